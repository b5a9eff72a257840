//! Delivers batches: encodes once, tries again, and accounts for every span.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use tokio::sync::watch;
use tokio::time::{Instant, sleep};

use super::retry::{Accepted, Backoff, Failure};
use super::{Client, Config, encode};
use crate::export::counters::{Counts, DropReason};
use crate::export::health::Health;
use crate::export::limits::RETRY_ELAPSED_MAX;
use crate::export::queue::Stamped;

/// Delivers to one collector.
#[derive(Debug)]
pub(crate) struct Sender {
    client: Client,
    counts: Counts,
    health: Health,
    rejection_said: AtomicBool,
}

impl Sender {
    pub(crate) fn new(config: &Config, counts: Counts) -> Self {
        Self {
            client: Client::new(config),
            counts,
            health: Health::new(config.to_string()),
            rejection_said: AtomicBool::new(false),
        }
    }

    /// Delivers a batch, or drops it for a counted reason. While the agent stops, the wait between tries is cut short
    /// once; a delivery that is dropped before its end, or before its start, counts its spans as lost to the shutdown.
    pub(crate) fn deliver(
        self: Arc<Self>,
        batch: Vec<Stamped>,
        stopping: watch::Receiver<bool>,
    ) -> impl Future<Output = ()> + Send + 'static {
        let pending = Pending { spans: batch.len() as u64, counts: self.counts.clone() };
        async move { self.run(batch, pending, stopping).await }
    }

    async fn run(&self, batch: Vec<Stamped>, pending: Pending, mut stopping: watch::Receiver<bool>) {
        let body = Bytes::from(encode::request(&batch));
        drop(batch);
        let give_up = Instant::now() + RETRY_ELAPSED_MAX;
        let mut backoff = Backoff::new();
        loop {
            let (reason, after) = match self.client.send(body.clone()).await {
                Ok(accepted) => {
                    self.health.worked();
                    return self.accepted(pending, &accepted);
                }
                Err(Failure::Permanent { reason }) => {
                    self.health.failed(&reason);
                    return pending.dropped(DropReason::Refused);
                }
                Err(Failure::Transient { reason, after }) => (reason, after),
            };
            self.health.failed(&reason);
            let wait = backoff.next(after, fastrand::f64());
            if Instant::now() + wait > give_up {
                return pending.dropped(DropReason::GaveUp);
            }
            let stopped_already = *stopping.borrow();
            tokio::select! {
                () = sleep(wait) => {}
                Ok(_) = stopping.wait_for(|stops| *stops), if !stopped_already => {}
            }
            self.counts.retried();
        }
    }

    fn accepted(&self, pending: Pending, accepted: &Accepted) {
        let Accepted { rejected, message } = accepted;
        let something = *rejected > 0 || !message.is_empty();
        if something && !self.rejection_said.swap(true, Ordering::Relaxed) {
            tracing::warn!(
                rejected,
                message,
                "the collector has something to say; this is said once, rejected spans are counted"
            );
        }
        pending.accepted(*rejected);
    }
}

/// Spans on their way. Whatever happens to them is counted, also when the delivery is cancelled.
struct Pending {
    spans: u64,
    counts: Counts,
}

impl Pending {
    fn accepted(mut self, rejected: u64) {
        let rejected = rejected.min(self.spans);
        self.counts.rejected(rejected);
        self.counts.exported(self.spans - rejected);
        self.spans = 0;
    }

    fn dropped(mut self, reason: DropReason) {
        self.counts.dropped(reason, self.spans);
        self.spans = 0;
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        if self.spans > 0 {
            self.counts.dropped(DropReason::Shutdown, self.spans);
        }
    }
}
