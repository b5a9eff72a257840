//! Spans on their way out: bounded in number and bytes, the oldest go first.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};
use tracemend_core::decode::Process;
use tracemend_core::span::{Attribute, Span, Value};

use super::counters::{Counts, DropReason};
use super::limits::{BATCH_BYTES_MAX, BATCH_SPANS_MAX, QUEUE_BYTES_MAX, QUEUE_SPANS_MAX};

/// A span with its trace's offset from the kernel's clock.
#[derive(Clone, Debug, PartialEq)]
pub struct Stamped {
    /// The span.
    pub span: Span,
    /// Nanoseconds to add to its times to get Unix time.
    pub offset_ns: i64,
}

/// The queue between the pipeline, which never waits, and one worker.
#[derive(Debug)]
pub(crate) struct Queue {
    state: Mutex<State>,
    ready: Notify,
    counts: Counts,
    limits: Limits,
}

/// Bounds of a queue.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    pub(crate) spans: usize,
    pub(crate) bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { spans: QUEUE_SPANS_MAX, bytes: QUEUE_BYTES_MAX }
    }
}

#[derive(Debug, Default)]
struct State {
    waiting: VecDeque<Waiting>,
    bytes: usize,
    closed: bool,
}

#[derive(Debug)]
struct Waiting {
    stamped: Stamped,
    bytes: usize,
    since: Instant,
}

impl Queue {
    pub(crate) fn new(limits: Limits, counts: Counts) -> Self {
        Self { state: Mutex::default(), ready: Notify::new(), counts, limits }
    }

    /// Adds spans without waiting, dropping the oldest beyond the limits, and all of them once closed.
    pub(crate) fn push(&self, spans: Vec<Stamped>) {
        let since = Instant::now();
        let mut resource = Resource::default();
        let mut state = self.lock();
        let idle = state.waiting.is_empty();
        for stamped in spans {
            if state.closed {
                self.counts.dropped(DropReason::Shutdown, 1);
                continue;
            }
            let bytes = weight(&stamped.span, &mut resource);
            state.bytes += bytes;
            state.waiting.push_back(Waiting { stamped, bytes, since });
            while state.waiting.len() > self.limits.spans || state.bytes > self.limits.bytes {
                let Some(oldest) = state.waiting.pop_front() else {
                    break;
                };
                state.bytes -= oldest.bytes;
                self.counts.dropped(DropReason::QueueFull, 1);
            }
        }
        // Else the worker knows already when the next batch is due.
        let is_news = idle || state.is_full();
        drop(state);
        if is_news {
            self.ready.notify_one();
        }
    }

    /// The next batch: when it is full, when its first span waited for `interval`, or at once when closed. None when
    /// closed and empty. Dropping the future loses no span.
    pub(crate) async fn take(&self, interval: Duration) -> Option<Vec<Stamped>> {
        loop {
            let due = match self.poll(interval) {
                Poll::Batch(batch) => return Some(batch),
                Poll::Over => return None,
                Poll::Due(due) => due,
            };
            let due = async {
                match due {
                    Some(due) => sleep_until(due).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = self.ready.notified() => {}
                () = due => {}
            }
        }
    }

    /// No span is taken from now on; what waits goes out at once.
    pub(crate) fn close(&self) {
        self.lock().closed = true;
        self.ready.notify_one();
    }

    /// Throws away what waits; returns how many spans that was.
    pub(crate) fn clear(&self) -> u64 {
        let mut state = self.lock();
        state.bytes = 0;
        std::mem::take(&mut state.waiting).len() as u64
    }

    fn poll(&self, interval: Duration) -> Poll {
        let mut state = self.lock();
        let Some(first) = state.waiting.front() else {
            return if state.closed { Poll::Over } else { Poll::Due(None) };
        };
        let due = first.since + interval;
        if state.is_full() || state.closed || due <= Instant::now() {
            Poll::Batch(state.batch())
        } else {
            Poll::Due(Some(due))
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing can panic while the lock is held, so what it guards is whole.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

enum Poll {
    Batch(Vec<Stamped>),
    Due(Option<Instant>),
    Over,
}

impl State {
    /// True if there is a whole batch.
    fn is_full(&self) -> bool {
        self.waiting.len() >= BATCH_SPANS_MAX || self.bytes >= BATCH_BYTES_MAX
    }

    fn batch(&mut self) -> Vec<Stamped> {
        let mut batch = Vec::with_capacity(self.waiting.len().min(BATCH_SPANS_MAX));
        let mut bytes = 0;
        while batch.len() < BATCH_SPANS_MAX {
            let Some(next) = self.waiting.front() else {
                break;
            };
            if !batch.is_empty() && bytes + next.bytes > BATCH_BYTES_MAX {
                break;
            }
            bytes += next.bytes;
            batch.extend(self.waiting.pop_front().map(|waiting| waiting.stamped));
        }
        self.bytes -= bytes;
        batch
    }
}

/// Bytes of a span, estimated from above both for memory and for the wire: its process's resource is counted with each
/// span, although spans of a process share it.
fn weight(span: &Span, resource: &mut Resource) -> usize {
    const SPAN: usize = 256;
    let attributes = |list: &[Attribute]| -> usize {
        list.iter().map(|(name, value)| ENTRY + name.len() + value_bytes(value)).sum()
    };
    let links = span.links.iter().map(|link| ENTRY + attributes(&link.attributes));
    SPAN + span.name.len()
        + span.tracestate.len()
        + attributes(&span.attributes)
        + links.sum::<usize>()
        + resource.bytes(&span.process)
}

/// Bytes that one entry of a list takes beside its texts.
const ENTRY: usize = 64;

/// The resource whose bytes were asked for last: mostly it is asked for again.
#[derive(Default)]
struct Resource(Option<(Arc<Process>, usize)>);

impl Resource {
    fn bytes(&mut self, process: &Arc<Process>) -> usize {
        if let Some((known, bytes)) = &self.0
            && Arc::ptr_eq(known, process)
        {
            return *bytes;
        }
        let bytes = process.resource.iter().map(|(name, value)| ENTRY + name.len() + value.len()).sum();
        self.0 = Some((Arc::clone(process), bytes));
        bytes
    }
}

fn value_bytes(value: &Value) -> usize {
    match value {
        Value::String(text) => text.len(),
        Value::Int(_) | Value::Bool(_) => 8,
        Value::Strings(texts) => texts.iter().map(|text| 32 + text.len()).sum(),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{BATCH_SPANS_MAX, Limits, Queue, Resource, weight};
    use crate::export::counters::{Counts, DropReason};
    use crate::export::testing::stamped;

    const SECOND: Duration = Duration::from_secs(1);

    fn queue(limits: Limits) -> (Queue, Counts) {
        let counts = Counts::default();
        (Queue::new(limits, counts.clone()), counts)
    }

    async fn numbers(queue: &Queue) -> Option<Vec<u8>> {
        let batch = queue.take(SECOND).await?;
        Some(batch.iter().map(|stamped| stamped.span.span_id.0[7]).collect())
    }

    #[tokio::test(start_paused = true)]
    async fn beyond_the_span_limit_the_oldest_go() {
        let (queue, counts) = queue(Limits { spans: 2, bytes: usize::MAX });
        queue.push((1..=5).map(stamped).collect());
        assert_eq!(numbers(&queue).await, Some(vec![4, 5]));
        assert_eq!(counts.read().dropped.of(DropReason::QueueFull), 3);
    }

    #[tokio::test(start_paused = true)]
    async fn beyond_the_byte_limit_the_oldest_go() {
        let bytes = 2 * weight(&stamped(1).span, &mut Resource::default());
        let (queue, counts) = queue(Limits { spans: usize::MAX, bytes });
        queue.push((1..=3).map(stamped).collect());
        assert_eq!(numbers(&queue).await, Some(vec![2, 3]));
        assert_eq!(counts.read().dropped.of(DropReason::QueueFull), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn a_batch_waits_for_its_interval_unless_it_is_full() {
        let (queue, _) = queue(Limits::default());
        let start = tokio::time::Instant::now();
        queue.push(vec![stamped(1)]);
        assert_eq!(numbers(&queue).await, Some(vec![1]));
        assert_eq!(start.elapsed(), SECOND);
        queue.push((0..=BATCH_SPANS_MAX).map(|n| stamped(n as u8)).collect());
        assert_eq!(numbers(&queue).await.map(|batch| batch.len()), Some(BATCH_SPANS_MAX));
        assert_eq!(start.elapsed(), SECOND);
        assert_eq!(numbers(&queue).await.map(|batch| batch.len()), Some(1));
        assert_eq!(start.elapsed(), 2 * SECOND);
    }

    #[tokio::test(start_paused = true)]
    async fn a_closed_queue_empties_at_once_and_takes_nothing_more() {
        let (queue, counts) = queue(Limits::default());
        let start = tokio::time::Instant::now();
        queue.push(vec![stamped(1)]);
        queue.close();
        queue.push(vec![stamped(2)]);
        assert_eq!(numbers(&queue).await, Some(vec![1]));
        assert_eq!(numbers(&queue).await, None);
        assert_eq!(start.elapsed(), Duration::ZERO);
        assert_eq!(counts.read().dropped.of(DropReason::Shutdown), 1);
    }
}
