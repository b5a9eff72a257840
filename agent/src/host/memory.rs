//! Reads that may never return, given up in time.
//!
//! `/proc/PID/cmdline` and `environ` are that process's memory: the kernel takes its memory lock to read them, and a
//! process stuck on a dead file server, or one that means harm, keeps it. So another thread reads, the caller waits a
//! while, and a thread that is stuck is left behind.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use super::limits::{MEMORY_READ_MAX, STUCK_READS_MAX};
use super::proc::ProcessDir;

/// Reads other processes' memory files.
#[derive(Debug)]
pub(super) struct MemoryReader {
    worker: Option<Worker>,
    /// Reads begun that have not returned.
    stuck: Arc<AtomicUsize>,
    timeout: Duration,
    /// Reads given up, or not begun because too many are stuck.
    pub(super) stalls: u64,
}

type Job = Box<dyn FnOnce() -> Option<Vec<u8>> + Send>;

#[derive(Debug)]
struct Worker {
    jobs: Sender<Job>,
    results: Receiver<Option<Vec<u8>>>,
}

impl MemoryReader {
    pub(super) fn new() -> Self {
        Self { worker: None, stuck: Arc::default(), timeout: MEMORY_READ_MAX, stalls: 0 }
    }

    /// At most `cap` bytes of a file; none if it cannot be read, or not in time.
    pub(super) fn read(&mut self, dir: &Arc<ProcessDir>, file: &'static str, cap: usize) -> Option<Vec<u8>> {
        let dir = Arc::clone(dir);
        self.run(Box::new(move || dir.read(file, cap).ok()))
    }

    fn run(&mut self, job: Job) -> Option<Vec<u8>> {
        if self.worker.is_none() && self.stuck.load(Ordering::Relaxed) < STUCK_READS_MAX {
            self.worker = Worker::spawn(Arc::clone(&self.stuck));
        }
        let Some(worker) = &self.worker else {
            self.stalls += 1;
            return None;
        };
        // Counted from here until its thread is done, so that those left behind need no word from it.
        self.stuck.fetch_add(1, Ordering::Relaxed);
        if worker.jobs.send(job).is_ok()
            && let Ok(bytes) = worker.results.recv_timeout(self.timeout)
        {
            return bytes;
        }
        // Its thread goes on, finds nobody waiting, and ends.
        self.worker = None;
        self.stalls += 1;
        None
    }
}

impl Worker {
    fn spawn(stuck: Arc<AtomicUsize>) -> Option<Self> {
        let (jobs, queue) = channel::<Job>();
        let (answers, results) = channel();
        std::thread::Builder::new()
            .name("host-memory".into())
            .spawn(move || {
                for job in queue {
                    let answer = job();
                    stuck.fetch_sub(1, Ordering::Relaxed);
                    if answers.send(answer).is_err() {
                        return;
                    }
                }
            })
            .ok()?;
        Some(Self { jobs, results })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stuck_job() -> (Sender<()>, Job) {
        let (release, gate) = channel();
        let job: Job = Box::new(move || {
            let _: Result<(), _> = gate.recv();
            Some(Vec::new())
        });
        (release, job)
    }

    #[test]
    fn stuck_reads_cost_one_timeout_each_and_then_nothing() {
        let mut reader = MemoryReader::new();
        reader.timeout = Duration::from_millis(20);
        let mut gates = Vec::new();
        for _ in 0..STUCK_READS_MAX + 3 {
            let (gate, job) = stuck_job();
            gates.push(gate);
            assert_eq!(reader.run(job), None);
        }
        assert_eq!(reader.stalls, STUCK_READS_MAX as u64 + 3);
        assert_eq!(reader.stuck.load(Ordering::Relaxed), STUCK_READS_MAX);

        // Once they return, reading works again.
        drop(gates);
        while reader.stuck.load(Ordering::Relaxed) > 0 {
            std::thread::yield_now();
        }
        reader.timeout = Duration::from_secs(10);
        assert_eq!(reader.run(Box::new(|| Some(vec![7]))), Some(vec![7]));
    }

    #[test]
    fn reads_of_one_process_come_back_in_order() {
        let proc = super::super::proc::Proc::open(std::path::Path::new("/proc")).expect("opens");
        let own = Arc::new(proc.process(std::process::id()).expect("pinned"));
        let mut reader = MemoryReader::new();
        reader.timeout = Duration::from_secs(10);
        let cmdline = reader.read(&own, "cmdline", 1 << 16).expect("readable");
        assert!(!cmdline.is_empty());
        assert_eq!(reader.read(&own, "no-such-file", 10), None);
        assert_eq!(reader.read(&own, "cmdline", 3), Some(cmdline[..3].to_vec()));
        assert_eq!(reader.stalls, 0);
    }
}
