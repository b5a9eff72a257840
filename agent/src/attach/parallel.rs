//! Loads programs on several processors: the verifier takes most of the agent's start, and one processor for each program.

use std::panic::resume_unwind;
use std::sync::{Mutex, PoisonError};
use std::thread;

/// So many programs are loaded at a time: the host has something else to do too.
const WORKERS: usize = 4;

/// Does all jobs; what each gave, in their order.
pub(super) fn all<T: Send>(jobs: Vec<impl FnOnce() -> T + Send>) -> Vec<T> {
    let workers = WORKERS.min(jobs.len());
    let waiting = Mutex::new(jobs.into_iter().enumerate());
    // Whoever holds the lock only takes a job, so that what it guards is whole.
    let next = || waiting.lock().unwrap_or_else(PoisonError::into_inner).next();
    let work = || -> Vec<(usize, T)> { std::iter::from_fn(next).map(|(place, job)| (place, job())).collect() };
    let mut done = thread::scope(|scope| {
        // Where there is no room for another thread, this one does what it would have done.
        let start = |_| thread::Builder::new().name("load".into()).spawn_scoped(scope, work).ok();
        let others: Vec<_> = (1..workers).filter_map(start).collect();
        let mut done = work();
        done.extend(others.into_iter().flat_map(|one| one.join().unwrap_or_else(|panic| resume_unwind(panic))));
        done
    });
    done.sort_unstable_by_key(|(place, _)| *place);
    done.into_iter().map(|(_, given)| given).collect()
}

#[cfg(test)]
mod tests {
    use std::sync::Barrier;

    use super::*;

    #[test]
    fn what_is_done_at_the_same_time_is_given_in_order() {
        let met = Barrier::new(2);
        let jobs = (0..10).map(|number| {
            let met = &met;
            move || {
                // Each needs another one beside it.
                met.wait();
                number
            }
        });
        assert_eq!(all(jobs.collect()), (0..10).collect::<Vec<_>>());
        assert!(all(Vec::<fn() -> u8>::new()).is_empty());
    }
}
