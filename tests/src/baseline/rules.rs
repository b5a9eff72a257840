//! Guesses by one rule.

use std::collections::HashMap;

use super::{Process, Request};

/// The only open request that the calling thread has read; none if there are several.
pub(super) fn same_thread(process: &Process) -> Vec<Option<usize>> {
    let mut by_thread = HashMap::<u32, Vec<usize>>::new();
    for (place, request) in process.requests.iter().enumerate() {
        by_thread.entry(request.thread).or_default().push(place);
    }
    let cause = |thread: u32, ns| {
        let read = by_thread.get(&thread)?;
        let mut open = read.iter().copied().filter(|place| process.requests[*place].open_at(ns));
        open.next().filter(|_| open.next().is_none())
    };
    process.calls.iter().map(|call| cause(call.thread, call.start_ns)).collect()
}

/// The request that the calling thread read last; if it read the answer to a call since, then the one which that call was
/// made for.
pub(super) fn last_read(process: &Process) -> Vec<Option<usize>> {
    enum Act {
        Read(usize),
        Call(usize),
        Answer(usize),
    }
    let reads = process.requests.iter().enumerate().map(|(at, one)| (one.start_ns, one.thread, Act::Read(at)));
    let calls = process.calls.iter().enumerate().map(|(at, one)| (one.start_ns, one.thread, Act::Call(at)));
    let answers = process.calls.iter().enumerate().filter_map(|(at, one)| {
        let (thread, ns) = one.answered?;
        Some((ns, thread, Act::Answer(at)))
    });
    let mut acts: Vec<_> = reads.chain(calls).chain(answers).collect();
    acts.sort_by_key(|(ns, ..)| *ns);
    let mut last = HashMap::new();
    let mut causes = vec![None; process.calls.len()];
    for (_, thread, act) in acts {
        match act {
            Act::Read(request) => drop(last.insert(thread, Some(request))),
            Act::Answer(call) => drop(last.insert(thread, causes[call])),
            Act::Call(call) => causes[call] = last.get(&thread).copied().flatten(),
        }
    }
    causes
}

/// First come, first served: the open request with the fewest calls, of those the one that was read first.
pub(super) fn oldest(process: &Process) -> Vec<Option<usize>> {
    let mut made = vec![0_usize; process.requests.len()];
    let mut cause = |ns| {
        let oldest = open_at(&process.requests, ns).min_by_key(|place| (made[*place], *place))?;
        made[oldest] += 1;
        Some(oldest)
    };
    process.calls.iter().map(|call| cause(call.start_ns)).collect()
}

/// The open request that was read last before the call.
pub(super) fn nearest(process: &Process) -> Vec<Option<usize>> {
    process.calls.iter().map(|call| open_at(&process.requests, call.start_ns).last()).collect()
}

/// Places of the requests that are open, in the order of reading.
pub(super) fn open_at(requests: &[Request], ns: u64) -> impl Iterator<Item = usize> {
    /// Requests that are looked at behind the latest one: more are not under way at a time.
    const BACK: usize = 2_000;
    let read = requests.partition_point(|request| request.start_ns <= ns);
    (read.saturating_sub(BACK)..read).filter(move |place| requests[*place].open_at(ns))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::baseline::Call;

    const MS: u64 = 1_000_000;

    /// Requests and calls by thread, start and end in milliseconds; no answer was seen.
    fn process(requests: &[(u32, u64, u64)], calls: &[(u32, u64, u64)]) -> Process {
        let request = |(span, (thread, start, end)): (usize, &(u32, u64, u64))| Request {
            span,
            thread: *thread,
            start_ns: start * MS,
            end_ns: end * MS,
        };
        let call = |(span, (thread, start, end)): (usize, &(u32, u64, u64))| Call {
            span,
            thread: *thread,
            start_ns: start * MS,
            end_ns: end * MS,
            answered: Some((*thread, end * MS)),
        };
        Process {
            requests: requests.iter().enumerate().map(request).collect(),
            calls: calls.iter().enumerate().map(call).collect(),
        }
    }

    #[test]
    fn each_guesses_by_its_rule() {
        // Thread 1 reads two requests, thread 2 one; thread 3 reads none.
        let process = process(&[(1, 0, 100), (2, 10, 100), (1, 20, 100)], &[(2, 30, 40), (1, 50, 60), (3, 70, 80)]);
        assert_eq!(same_thread(&process), [Some(1), None, None]);
        assert_eq!(last_read(&process), [Some(1), Some(2), None]);
        assert_eq!(oldest(&process), [Some(0), Some(1), Some(2)]);
        assert_eq!(nearest(&process), [Some(2), Some(2), Some(2)]);
    }

    #[test]
    fn an_answer_leads_back_to_what_its_call_was_for() {
        // The thread calls for the first request, reads another one, and then the answer.
        let process = process(&[(1, 0, 100), (1, 20, 100)], &[(1, 10, 30), (1, 40, 50)]);
        assert_eq!(last_read(&process), [Some(0), Some(0)]);
    }

    #[test]
    fn what_is_answered_is_no_cause() {
        let process = process(&[(1, 0, 10)], &[(1, 20, 30)]);
        for guess in [same_thread, oldest, nearest] {
            assert_eq!(guess(&process), [None]);
        }
    }
}
