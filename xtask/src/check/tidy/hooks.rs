//! Hook contracts: a probe is written against a prototype of the kernel, so its file states it.

use std::path::Path;

use super::Violation;

const PROBES: &str = "agent-ebpf/src/probes";

/// The attributes by which aya-ebpf marks programs, and so probe files.
const PROGRAMS: &[&str] = &[
    "#[btf_tracepoint",
    "#[cgroup_",
    "#[fentry",
    "#[fexit",
    "#[kprobe",
    "#[kretprobe",
    "#[perf_event",
    "#[raw_tracepoint",
    "#[sk_",
    "#[sock_ops",
    "#[tracepoint",
    "#[uprobe",
    "#[uretprobe",
];

/// A file with programs states, in its header, the C prototype of each hook (a line of a comment with a parameter list)
/// and since which kernel it is there.
pub(super) fn check(path: &Path, text: &str, found: &mut Vec<Violation>) {
    if !path.starts_with(PROBES) {
        return;
    }
    let programs = text.lines().filter(|line| is_program(line)).count();
    if programs == 0 {
        return;
    }
    let header: Vec<_> = text
        .lines()
        .take_while(|line| line.starts_with("//!"))
        .collect();
    if !header.iter().any(|line| is_prototype(line)) {
        found.push(Violation::new(
            path,
            1,
            "the header states no prototype of a hook: `name(type name, ...)`",
        ));
    }
    if !header
        .iter()
        .any(|line| line.to_lowercase().contains("kernel"))
    {
        found.push(Violation::new(
            path,
            1,
            "the header does not say which kernels have the hook",
        ));
    }
}

fn is_program(line: &str) -> bool {
    let line = line.trim_start();
    PROGRAMS.iter().any(|attribute| line.starts_with(attribute))
}

/// A parameter list of C: a type and a name, at least once.
fn is_prototype(line: &str) -> bool {
    let Some((before, after)) = line.split_once('(') else {
        return false;
    };
    let Some((parameters, _)) = after.split_once(')') else {
        return false;
    };
    let name = before
        .rsplit(|c: char| c.is_whitespace() || c == '`' || c == '*')
        .next()
        .unwrap_or_default();
    let is_identifier =
        |word: &str| !word.is_empty() && word.chars().all(|c| c.is_alphanumeric() || c == '_');
    let typed = |parameter: &str| parameter.split_whitespace().count() >= 2;
    is_identifier(name) && (parameters == "void" || parameters.split(',').all(typed))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn broken(path: &str, text: &str) -> usize {
        let mut found = Vec::new();
        check(Path::new(path), text, &mut found);
        found.len()
    }

    const PROBE: &str = "agent-ebpf/src/probes/payload.rs";

    #[test]
    fn a_contract_has_a_prototype_and_kernels() {
        let good = "//! `sock_send_length(struct sock *sk, int ret, int flags)`, kernel 6.3 and later.\n\n#[btf_tracepoint]\nfn x() {}\n";
        assert_eq!(broken(PROBE, good), 0);
        assert_eq!(
            broken(PROBE, "//! Payload.\n\n#[btf_tracepoint]\nfn x() {}\n"),
            2
        );
    }

    #[test]
    fn prose_in_parentheses_is_no_prototype() {
        assert!(!is_prototype(
            "//! The hook (see above, and below) fires on sends."
        ));
        assert!(!is_prototype("//! Calls `f()` once."));
        assert!(is_prototype(
            "//!     void tcp_close(struct sock *sk, long timeout)"
        ));
        assert!(is_prototype(
            "//! sched_process_exit(struct task_struct *p, bool group_dead)"
        ));
    }

    #[test]
    fn files_without_programs_and_other_folders_owe_none() {
        assert_eq!(
            broken(
                "agent-ebpf/src/probes/mod.rs",
                "//! Probes.\npub mod payload;\n"
            ),
            0
        );
        assert_eq!(
            broken("agent-ebpf/src/maps.rs", "#[map]\nstatic X: u8 = 0;\n"),
            0
        );
    }
}
