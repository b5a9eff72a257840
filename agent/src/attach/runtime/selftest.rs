//! Whether a return probe leaves a filtered process alive.
//!
//! Since Linux 6.11 a function under a return probe comes back through a system call of the kernel's own (`uretprobe`). A
//! program that filters its system calls, as containers do, does not expect it and dies, unless the kernel exempts it (6.14,
//! and stable releases before). Version numbers do not tell, so this program is run once more, filtered, and probed.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::num::NonZeroU32;
use std::path::Path;
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use aya::programs::UProbe;
use aya::programs::uprobe::UProbeScope;
use seccompiler::{BpfProgram, SeccompAction, SeccompFilter};

use super::maps::Mapping;

/// Says to this program that it is the one to be probed.
const ROLE: &str = "TRACEMEND_SELF_TEST";
/// What it answers.
const ANSWER: &[u8] = b"came back\n";
/// It answers within this, or not at all.
const ANSWER_MAX: Duration = Duration::from_secs(2);
/// `uretprobe` and `uprobe` on x86-64 (arch/x86/entry/syscalls/syscall_64.tbl, Linux 6.18).
const REFUSED: [i64; 2] = [335, 336];
const EPERM: u32 = 1;

/// Plays the probed program if this process was started for that.
#[must_use]
pub fn play() -> Option<ExitCode> {
    std::env::var_os(ROLE)?;
    Some(if answer().is_some() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn answer() -> Option<()> {
    println!("{}", offset_of_probed()?);
    // A line says that the probe stands.
    std::io::stdin().read_exact(&mut [0]).ok()?;
    let rules: BTreeMap<i64, Vec<_>> = REFUSED.map(|number| (number, Vec::new())).into();
    let arch = std::env::consts::ARCH.try_into().ok()?;
    let filter = SeccompFilter::new(rules, SeccompAction::Allow, SeccompAction::Errno(EPERM), arch).ok()?;
    let filter: BpfProgram = filter.try_into().ok()?;
    seccompiler::apply_filter(&filter).ok()?;
    let answer = probed(ANSWER);
    std::io::stdout().write_all(answer).ok()
}

/// What the probe is attached to.
#[inline(never)]
fn probed(answer: &'static [u8]) -> &'static [u8] {
    std::hint::black_box(answer)
}

/// Probes a filtered process of `program`, the agent's own: what it did instead of answering, if so.
pub(super) fn run(probe: &mut UProbe, program: &Path) -> Result<(), String> {
    let mut child = Command::new(program)
        .env(ROLE, "1")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .map_err(|error| format!("{} cannot be run: {error}", program.display()))?;
    let outcome = probe_and_ask(probe, program, &mut child);
    // It has ended, or must.
    let _ = child.kill();
    let _ = child.wait();
    outcome
}

fn probe_and_ask(probe: &mut UProbe, program: &Path, child: &mut Child) -> Result<(), String> {
    let pid = NonZeroU32::new(child.id()).ok_or("a process without an id")?;
    let (Some(mut stdin), Some(stdout)) = (child.stdin.take(), child.stdout.take()) else {
        return Err("a process without pipes".into());
    };
    let mut said = BufReader::new(stdout);
    let mut offset = String::new();
    said.read_line(&mut offset).map_err(|error| error.to_string())?;
    let offset: u64 = offset.trim().parse().map_err(|_| format!("{} does not know its part", program.display()))?;
    let link = probe.attach(offset, program, UProbeScope::OneProcess(pid)).map_err(|error| error.to_string())?;
    let told = stdin.write_all(b"\n");
    let status = wait(child);
    probe.detach(link).map_err(|error| error.to_string())?;
    told.map_err(|_| "a filtered process did not start")?;
    match status {
        Some(status) if status.success() => {}
        Some(status) => return Err(format!("a filtered process under a return probe ended with {status}")),
        None => return Err("a filtered process under a return probe did not end".into()),
    }
    let mut answer = Vec::new();
    said.read_to_end(&mut answer).map_err(|error| error.to_string())?;
    if answer == ANSWER { Ok(()) } else { Err("a filtered process did not answer".into()) }
}

fn wait(child: &mut Child) -> Option<std::process::ExitStatus> {
    let until = Instant::now() + ANSWER_MAX;
    while Instant::now() < until {
        if let Some(status) = child.try_wait().ok()? {
            return Some(status);
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    None
}

/// Where in the program's file the probed function is.
fn offset_of_probed() -> Option<u64> {
    let address = probed as *const () as u64;
    let all = Mapping::all(std::process::id()).ok()?;
    let holds = |mapping: &&Mapping| mapping.start <= address && address < mapping.end;
    all.iter().find(holds).map(|mapping| address - mapping.start + mapping.offset)
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::os::unix::fs::FileExt as _;

    use super::*;

    #[test]
    fn the_probe_goes_where_the_function_is() {
        let read = |path: &str, offset: u64| {
            let mut bytes = [0; 16];
            File::open(path).and_then(|file| file.read_exact_at(&mut bytes, offset)).expect("readable");
            bytes
        };
        let offset = offset_of_probed().expect("found");
        assert_eq!(read("/proc/self/exe", offset), read("/proc/self/mem", probed as *const () as u64));
    }
}
