//! What the kernel says that BPF programs cost (`BPF_ENABLE_STATS`, bpf(2)).
//!
//! - `meter hold`: has the kernel measure them for as long as it runs; says `holding`.
//! - `meter read PID`: prints what the programs that process PID holds have run so far, as a JSON object of
//!   `{"NAME": {"ns": nanoseconds, "runs": count}}`.

use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;
use std::{fs, thread};

use anyhow::{Context, Result, bail};
use aya::programs::loaded_programs;
use aya::sys::{Stats, enable_stats};
use serde_json::json;

fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    match (arguments.next().as_deref(), arguments.next()) {
        (Some("hold"), None) => hold().map(|never| match never {}),
        (Some("read"), Some(pid)) => read(pid.parse().context("PID")?),
        _ => bail!("usage: meter hold | meter read PID"),
    }
}

fn hold() -> Result<Infallible> {
    // Off again when the descriptor is closed, however this program ends.
    let _measured = enable_stats(Stats::RunTime).context("the kernel does not measure BPF programs")?;
    println!("holding");
    loop {
        thread::park();
    }
}

fn read(pid: u32) -> Result<()> {
    let held = held(pid)?;
    let mut programs = BTreeMap::new();
    for program in loaded_programs() {
        let program = program.context("listing BPF programs")?;
        if held.contains(&program.id()) {
            let name = program.name_as_str().context("a program without a name")?.to_owned();
            programs.insert(name, json!({"ns": program.run_time().as_nanos(), "runs": program.run_count()}));
        }
    }
    println!("{}", serde_json::to_string(&programs)?);
    Ok(())
}

/// Ids of the programs that a process has descriptors of (`prog_id` in proc_pid_fdinfo(5)).
fn held(pid: u32) -> Result<BTreeSet<u32>> {
    let mut held = BTreeSet::new();
    for entry in fs::read_dir(format!("/proc/{pid}/fdinfo")).context("the process is not there")? {
        // A descriptor may be closed since the listing.
        let text = fs::read_to_string(entry?.path()).unwrap_or_default();
        let id = text.lines().find_map(|line| line.strip_prefix("prog_id:"));
        held.extend(id.and_then(|id| id.trim().parse::<u32>().ok()));
    }
    Ok(held)
}
