//! Spans out of the agent: to a collector over OTLP, to a file, or to the terminal.
//!
//! [`Exporter::send`] never waits: spans go into a bounded queue whose oldest are dropped when it is full, and every
//! span ends in exactly one of the [`Counters`].

mod console;
pub mod convert;
mod counters;
mod env;
mod file;
mod health;
pub mod limits;
pub mod otlp;
mod queue;
mod sampler;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
mod traces;
pub mod waterfall;
mod worker;

pub use console::Config as Console;
pub use counters::{Counters, Counts, DropReason, Dropped};
pub use env::{EnvError, Lookup};
pub use queue::Stamped;
pub use sampler::Sampler;
pub(crate) use traces::Traces;

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::runtime::{Handle, Runtime};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tracemend_core::span::Span;

use self::otlp::{Sender, Signal};
use self::queue::Queue;
use self::traces::Fate;
use self::worker::Sink;

/// Nanoseconds to add to the kernel's boot clock to get Unix time, as of now.
pub type Clock = Box<dyn Fn() -> i64 + Send + Sync>;

/// Where spans go.
#[derive(Debug)]
pub enum Destination {
    /// A collector.
    Otlp(Box<otlp::Config>),
    /// A file of OTLP JSON lines, appended to.
    File(PathBuf),
    /// Waterfalls on the terminal.
    Console(Console),
    /// Nowhere: they are counted and dropped.
    None,
}

impl Destination {
    /// What the environment asks for: `OTEL_TRACES_EXPORTER` (`otlp`, `console` or `none`), else the collector that the
    /// `OTEL_EXPORTER_OTLP_*` variables name, else the terminal.
    ///
    /// # Errors
    /// A value that is not understood.
    pub fn from_env(lookup: Lookup<'_>) -> Result<Self, EnvError> {
        const VARIABLE: &str = "OTEL_TRACES_EXPORTER";
        let otlp = || otlp::Config::from_env(Signal::Traces, lookup).map(|config| Self::Otlp(Box::new(config)));
        match env::get(lookup, VARIABLE).as_deref() {
            None if !otlp::is_configured(Signal::Traces, lookup) => Ok(Self::Console(Console::stdout(lookup))),
            None | Some("otlp") => otlp(),
            Some("console") => Ok(Self::Console(Console::stdout(lookup))),
            Some("none") => Ok(Self::None),
            Some(other) => Err(EnvError::value(VARIABLE, other, "otlp, console or none")),
        }
    }
}

impl fmt::Display for Destination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Otlp(config) => config.fmt(f),
            Self::File(path) => write!(f, "file {}", path.display()),
            Self::Console(_) => f.write_str("terminal"),
            Self::None => f.write_str("nowhere"),
        }
    }
}

/// What an exporter needs.
pub struct Config {
    /// Where spans go.
    pub destination: Destination,
    /// Which traces are exported.
    pub sampler: Sampler,
    /// Offset of the clocks; read once for each trace, at its first span.
    pub clock: Clock,
}

/// An exporter that cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Its threads could not be started.
    #[error("cannot start the exporter's threads: {0}")]
    Runtime(#[source] io::Error),
    /// Its file could not be opened.
    #[error("cannot open {} for spans: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// Exports spans on threads of its own.
pub struct Exporter {
    runtime: Runtime,
    worker: Option<JoinHandle<()>>,
    queue: Arc<Queue>,
    counts: Counts,
    stopping: watch::Sender<bool>,
    sampler: Sampler,
    clock: Clock,
    traces: Mutex<Traces>,
}

impl Exporter {
    /// Starts it. A collector that cannot be reached is no error: that is said once, and tried again.
    ///
    /// # Errors
    /// No threads, or a file that cannot be opened.
    pub fn start(config: Config) -> Result<Self, StartError> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            // One for spans, which may block on a file, and one for everything else.
            .worker_threads(2)
            .thread_name("tracemend-export")
            .enable_all()
            .build()
            .map_err(StartError::Runtime)?;
        let counts = Counts::default();
        let queue = Arc::new(Queue::new(queue::Limits::default(), counts.clone()));
        let (stopping, stops) = watch::channel(false);
        let sink = {
            let _inside = runtime.enter();
            sink(config.destination, &counts)?
        };
        let worker = sink.map(|sink| {
            let queue = Arc::clone(&queue);
            runtime.spawn(async move { sink.run(&queue, stops).await })
        });
        let Config { sampler, clock, .. } = config;
        Ok(Self { runtime, worker, queue, counts, stopping, sampler, clock, traces: Mutex::default() })
    }

    /// Hands spans over without waiting.
    pub fn send(&self, spans: Vec<Span>) {
        if self.worker.is_none() {
            return self.counts.dropped(DropReason::NoExporter, spans.len() as u64);
        }
        let mut traces = self.traces.lock().unwrap_or_else(PoisonError::into_inner);
        let mut stamped = Vec::with_capacity(spans.len());
        for span in spans {
            let fate = traces.fate(span.trace_id, || Fate {
                sampled: self.sampler.samples(span.trace_id, span.sampled),
                offset_ns: (self.clock)(),
            });
            if fate.sampled {
                stamped.push(Stamped { span, offset_ns: fate.offset_ns });
            } else {
                self.counts.sampled_out(1);
            }
        }
        drop(traces);
        self.queue.push(stamped);
    }

    /// Its counters, live.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.counts.clone()
    }

    /// Its runtime, for other things that are sent to a collector.
    #[must_use]
    pub fn runtime(&self) -> &Handle {
        self.runtime.handle()
    }

    /// Sends what waits, for at most `limit` and a moment, and stops. Not to be called on a thread of an async runtime. What could not be delivered by then is dropped and counted.
    pub fn shutdown(self, limit: Duration) -> Counters {
        self.queue.close();
        self.stopping.send_replace(true);
        if let Some(mut worker) = self.worker {
            self.runtime.block_on(async {
                if timeout(limit, &mut worker).await.is_err() {
                    worker.abort();
                }
            });
        }
        // Deliveries that are cancelled here count their spans themselves.
        self.runtime.shutdown_timeout(STOP_TIMEOUT);
        self.counts.dropped(DropReason::Shutdown, self.queue.clear());
        self.counts.read()
    }
}

/// A thread that is blocked on a file gets so long to come back at shutdown.
const STOP_TIMEOUT: Duration = Duration::from_millis(200);

fn sink(destination: Destination, counts: &Counts) -> Result<Option<Sink>, StartError> {
    let counts = counts.clone();
    Ok(match destination {
        Destination::Otlp(config) => Some(Sink::Otlp(Arc::new(Sender::new(&config, counts)))),
        Destination::File(path) => match file::Sink::open(&path, counts) {
            Ok(sink) => Some(Sink::File(sink)),
            Err(source) => return Err(StartError::File { path, source }),
        },
        Destination::Console(config) => Some(Sink::Console(Box::new(console::Sink::new(config, counts)))),
        Destination::None => None,
    })
}
