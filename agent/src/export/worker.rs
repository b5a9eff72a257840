//! Takes batches from the queue to where they go.

use std::sync::Arc;

use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};

use super::limits::{BATCH_INTERVAL, LOCAL_INTERVAL, REQUESTS_IN_FLIGHT_MAX};
use super::otlp::Sender;
use super::queue::Queue;
use super::{console, file};

/// Where spans go.
#[derive(Debug)]
pub(super) enum Sink {
    Otlp(Arc<Sender>),
    File(file::Sink),
    Console(Box<console::Sink>),
}

impl Sink {
    /// Runs until the queue is closed and empty and everything taken from it is done with.
    pub(super) async fn run(self, queue: &Queue, stopping: watch::Receiver<bool>) {
        match self {
            Self::Otlp(sender) => deliver(sender, queue, stopping).await,
            Self::File(sink) => write(sink, queue).await,
            Self::Console(sink) => draw(*sink, queue).await,
        }
    }
}

async fn deliver(sender: Arc<Sender>, queue: &Queue, stopping: watch::Receiver<bool>) {
    let slots = Arc::new(Semaphore::new(REQUESTS_IN_FLIGHT_MAX));
    let mut under_way = JoinSet::new();
    loop {
        // The slot comes first, so that spans wait where the oldest of them can be dropped.
        let slot = Arc::clone(&slots).acquire_owned().await.expect("the semaphore is never closed");
        let Some(batch) = queue.take(BATCH_INTERVAL).await else {
            break;
        };
        let delivery = Arc::clone(&sender).deliver(batch, stopping.clone());
        under_way.spawn(async move {
            delivery.await;
            drop(slot);
        });
        while under_way.try_join_next().is_some() {}
    }
    under_way.join_all().await;
}

// The file and the terminal may block; nothing but the agent's own metrics shares this runtime, on a thread of its own.
async fn write(mut sink: file::Sink, queue: &Queue) {
    while let Some(batch) = queue.take(LOCAL_INTERVAL).await {
        sink.write(batch);
    }
}

async fn draw(mut sink: console::Sink, queue: &Queue) {
    loop {
        match timeout(LOCAL_INTERVAL, queue.take(LOCAL_INTERVAL)).await {
            Ok(Some(batch)) => sink.write(batch, Instant::now()),
            Ok(None) => break,
            Err(_) => sink.draw_quiet(Instant::now()),
        }
    }
    sink.finish();
}
