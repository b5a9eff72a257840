//! All stages, joined.

use crate::attach::{self, HookReport, Session};
use crate::config::Config;
use crate::export::{Destination, Sampler};
use crate::host::Host;
use crate::shutdown::Shutdown;

/// What a run is given.
pub struct Options {
    /// What the agent is told. Its targets hold the command that was started, if one was.
    pub config: Config,
    /// Where spans go.
    pub destination: Destination,
    /// Which traces are exported.
    pub sampler: Sampler,
    /// What is known of the host and its processes.
    pub host: Host,
}

/// What a run can say once it sees every byte.
#[derive(Debug)]
pub struct Ready {
    /// What became of each hook.
    pub hooks: Vec<HookReport>,
    /// Where spans go, in words.
    pub destination: String,
}

/// Traces until a shutdown is requested, then sends what it has within the shutdown's deadline. `on_ready` is called
/// once, when the hooks stand and the targets are set.
///
/// # Errors
/// When the hooks cannot be attached, or the exporter cannot start.
pub fn run(options: Options, shutdown: &Shutdown, on_ready: impl FnOnce(&Ready)) -> anyhow::Result<()> {
    let Options { config, destination, mut host, .. } = options;
    let attached = attach::Options {
        ring_bytes: config.limits.ring_bytes,
        process_budget_bytes: config.limits.process_budget_bytes,
        trace_by_default: config.targets.is_everything(),
        ..attach::Options::default()
    };
    let listeners = || {
        let listeners = host.listeners();
        listeners.iter().map(|listener| (listener.netns, listener.port)).collect()
    };
    let mut session = Session::start(&attached, listeners)?;
    for tgid in host.targeted(&config.targets) {
        session.targets().add(tgid.0)?;
    }
    on_ready(&Ready { hooks: std::mem::take(&mut session.hooks), destination: destination.to_string() });
    shutdown.wait();
    Ok(())
}
