//! What the kernel says of a process: processor time and memory.

use std::fs;
use std::time::Duration;

use anyhow::{Context, Result};

/// Processor time of all threads of a process so far (the first number of `/proc/PID/task/TID/schedstat`, nanoseconds;
/// Documentation/scheduler/sched-stats.rst). Threads that ended do not count: agent and server keep theirs.
pub(super) fn consumed(pid: u32) -> Result<Duration> {
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).with_context(|| format!("process {pid} is gone"))?;
    let mut nanoseconds = 0;
    for task in tasks {
        // A thread may end between the listing and the look.
        let text = fs::read_to_string(task?.path().join("schedstat")).unwrap_or_default();
        nanoseconds += text.split_whitespace().next().and_then(|word| word.parse::<u64>().ok()).unwrap_or(0);
    }
    Ok(Duration::from_nanos(nanoseconds))
}

/// Resident memory of a process, MiB (`Rss` of proc_pid_smaps_rollup(5)).
pub(super) fn resident_mib(pid: u32) -> Result<f64> {
    let text = fs::read_to_string(format!("/proc/{pid}/smaps_rollup"))
        .with_context(|| format!("cannot read the memory map of process {pid}"))?;
    kilobytes(&text, "Rss:").map(|kilobytes| kilobytes / 1024.0).context("no Rss in smaps_rollup")
}

fn kilobytes(text: &str, name: &str) -> Option<f64> {
    text.lines().find_map(|line| line.strip_prefix(name))?.trim().strip_suffix("kB")?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_has_consumed_time_and_memory() {
        let before = consumed(std::process::id()).expect("alive");
        let start = std::time::Instant::now();
        while start.elapsed() < Duration::from_millis(100) {
            std::hint::spin_loop();
        }
        let spent = consumed(std::process::id()).expect("alive") - before;
        // The kernel brings the number up to date at least every tick, and others may hold the processor meanwhile.
        assert!(spent > Duration::from_millis(5), "{spent:?}");
        assert!(resident_mib(std::process::id()).expect("readable") > 0.5);
        assert!(consumed(u32::MAX).is_err());
    }

    #[test]
    fn sizes_are_read_by_name() {
        let text = "5562 ---p [rollup]\nRss:                2048 kB\nPss:                 17 kB\n";
        assert_eq!(kilobytes(text, "Rss:"), Some(2048.0));
        assert_eq!(kilobytes(text, "Swap:"), None);
    }
}
