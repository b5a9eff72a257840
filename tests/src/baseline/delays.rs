//! Guesses by the statistics of delays, after `TraceWeaver` (Ashok and others, SIGCOMM 2024): a call lies within the request
//! that caused it, each request makes as many calls as the others, and of all assignments that keep to that the likeliest
//! is taken, by how long calls come after their request was read and how long before it is answered. How long that is, is
//! learned from the assignment before.
//!
//! Simpler than the original in this: delays have one normal distribution and not a mixture; calls that come one after the
//! other are the slots of a request, in the order of time; and assignments are optimal within a window of calls instead of
//! a batch between two moments of rest, which a closed loop never has.

use super::Process;
use super::assign::{IMPOSSIBLE, assign};
use super::rules::{oldest, open_at};

/// Calls that are assigned together.
const WINDOW: usize = 96;

/// Assignments, each by the delays of the one before.
const ROUNDS: usize = 5;

/// The likeliest assignment.
pub(super) fn delays(process: &Process) -> Vec<Option<usize>> {
    if process.calls.is_empty() || process.requests.is_empty() {
        return vec![None; process.calls.len()];
    }
    #[expect(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a few")]
    let slots = (process.calls.len() as f64 / process.requests.len() as f64).round().max(1.0) as usize;
    let mut causes = oldest(process);
    for _ in 0..ROUNDS {
        let learned = Learned::from(process, &causes, slots);
        causes = likeliest(process, &learned, slots);
    }
    causes
}

/// A normal distribution of milliseconds.
#[derive(Clone, Copy, Debug)]
struct Normal {
    mean: f64,
    deviation: f64,
}

impl Normal {
    fn of(values: &[f64]) -> Self {
        /// Where nothing varies, or nothing is known: a fraction of the times between events.
        const LEAST: f64 = 0.05;
        #[expect(clippy::cast_precision_loss, reason = "thousands")]
        let count = values.len().max(1) as f64;
        let mean = values.iter().sum::<f64>() / count;
        let variance = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / count;
        Self { mean, deviation: variance.sqrt().max(LEAST) }
    }

    /// The less, the likelier.
    fn cost(self, value: f64) -> f64 {
        ((value - self.mean) / self.deviation).powi(2) / 2.0 + self.deviation.ln()
    }
}

/// Delays of each slot: from the request's reading to the call, and from the call's answer to the request's.
struct Learned(Vec<(Normal, Normal)>);

impl Learned {
    fn from(process: &Process, causes: &[Option<usize>], slots: usize) -> Self {
        let mut made = vec![0; process.requests.len()];
        let mut delays = vec![(Vec::new(), Vec::new()); slots];
        for (call, cause) in process.calls.iter().zip(causes) {
            let Some(cause) = *cause else { continue };
            let request = process.requests[cause];
            if let Some((before, after)) = delays.get_mut(made[cause]) {
                before.push(ms(request.start_ns, call.start_ns));
                after.push(ms(call.end_ns, request.end_ns));
            }
            made[cause] += 1;
        }
        Self(delays.iter().map(|(before, after)| (Normal::of(before), Normal::of(after))).collect())
    }
}

fn likeliest(process: &Process, learned: &Learned, slots: usize) -> Vec<Option<usize>> {
    let mut taken = vec![0; process.requests.len()];
    let mut causes = Vec::with_capacity(process.calls.len());
    for calls in process.calls.chunks(WINDOW) {
        // Every free slot of every request that is open at one of the calls, and a place for each call that finds none.
        let mut open: Vec<usize> = calls.iter().flat_map(|call| open_at(&process.requests, call.start_ns)).collect();
        open.sort_unstable();
        open.dedup();
        let columns: Vec<(usize, usize)> =
            open.into_iter().flat_map(|request| (taken[request]..slots).map(move |slot| (request, slot))).collect();
        let mut costs = vec![vec![IMPOSSIBLE; columns.len() + calls.len()]; calls.len()];
        for (row, call) in calls.iter().enumerate() {
            for (column, (place, slot)) in columns.iter().enumerate() {
                let request = process.requests[*place];
                if request.start_ns <= call.start_ns && call.end_ns <= request.end_ns {
                    let (before, after) = learned.0[*slot];
                    costs[row][column] =
                        before.cost(ms(request.start_ns, call.start_ns)) + after.cost(ms(call.end_ns, request.end_ns));
                }
            }
        }
        for column in assign(&costs) {
            let cause = column.and_then(|column| columns.get(column)).map(|(request, _)| *request);
            if let Some(cause) = cause {
                taken[cause] += 1;
            }
            causes.push(cause);
        }
    }
    causes
}

#[expect(clippy::cast_precision_loss, reason = "minutes in nanoseconds")]
fn ms(from_ns: u64, to_ns: u64) -> f64 {
    to_ns.saturating_sub(from_ns) as f64 / 1e6
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::baseline::{Call, Request};

    /// A service that gets `per_second` requests at random times, calls once for each after some time, and answers some time
    /// after the answer: normal delays of these means and deviations, in milliseconds. The n-th call is the n-th request's.
    fn service(per_second: f64, delays: [(f64, f64); 3], count: usize) -> (Process, Vec<usize>) {
        let mut random = fastrand::Rng::with_seed(3);
        let mut normal = |(mean, deviation): (f64, f64)| {
            // Box and Muller 1958.
            let radius = (-2.0 * (1.0 - random.f64()).ln()).sqrt();
            (mean + deviation * radius * (std::f64::consts::TAU * random.f64()).cos()).max(0.0)
        };
        let mut arrivals = fastrand::Rng::with_seed(4);
        let mut at = 0.0;
        let mut process = Process::default();
        for span in 0..count {
            at += -(1.0 - arrivals.f64()).ln() / per_second * 1000.0;
            let called = at + normal(delays[0]);
            let answered = called + normal(delays[1]);
            let ns = |ms: f64| std::time::Duration::from_secs_f64(ms / 1000.0).as_nanos() as u64;
            let (start_ns, end_ns) = (ns(called), ns(answered));
            process.calls.push(Call { span, thread: 0, start_ns, end_ns, answered: None });
            let end_ns = ns(answered + normal(delays[2]));
            process.requests.push(Request { span, thread: 0, start_ns: ns(at), end_ns });
        }
        process.requests.sort_by_key(|request| request.start_ns);
        process.calls.sort_by_key(|call| call.start_ns);
        let truth = process.calls.iter().map(|call| call.span).collect();
        (process, truth)
    }

    #[expect(clippy::cast_precision_loss, reason = "thousands")]
    fn right(process: &Process, truth: &[usize], guess: fn(&Process) -> Vec<Option<usize>>) -> f64 {
        let guessed = guess(process);
        let spans = guessed.iter().map(|cause| cause.map(|cause| process.requests[cause].span));
        spans.zip(truth).filter(|(guessed, truth)| *guessed == Some(**truth)).count() as f64 / truth.len() as f64
    }

    #[test]
    fn nearly_all_are_right_where_delays_vary_little() {
        let (process, truth) = service(300.0, [(2.0, 0.6), (8.0, 3.0), (1.0, 0.6)], 3000);
        let (likeliest, first) = (right(&process, &truth, delays), right(&process, &truth, oldest));
        assert!(likeliest > 0.95 && likeliest > first + 0.1, "{likeliest} {first}");
    }

    #[test]
    fn little_is_right_where_they_vary_much() {
        let (process, truth) = service(1500.0, [(20.0, 12.0), (20.0, 12.0), (1.0, 0.6)], 3000);
        let likeliest = right(&process, &truth, delays);
        assert!(likeliest < 0.6, "{likeliest}");
    }
}
