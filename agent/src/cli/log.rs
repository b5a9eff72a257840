//! The agent's own log: events of `tracing`, on standard error.

use std::io::IsTerminal as _;

use tracing::Level;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::prelude::*;

use crate::config::{LogFormat, LogLevel};

/// Starts logging. Libraries (HTTP, TLS, BPF) speak of their own matters: only their warnings are shown, unless every
/// record is asked for.
pub(super) fn start(level: LogLevel, format: LogFormat) {
    let own = level_of(level);
    let libraries = if own == Level::TRACE { own } else { own.min(Level::WARN) };
    let filter = Targets::new().with_target("tracemend", own).with_default(LevelFilter::from_level(libraries));
    let layer = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
    let layer = match format {
        LogFormat::Text => {
            let colours = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
            layer.with_target(false).with_ansi(colours).boxed()
        }
        LogFormat::Json => layer.json().flatten_event(true).boxed(),
    };
    // Fails only where a log was started before: in tests, which then keep the first.
    let _ = tracing_subscriber::registry().with(layer.with_filter(filter)).try_init();
}

fn level_of(level: LogLevel) -> Level {
    match level {
        LogLevel::Error => Level::ERROR,
        LogLevel::Warn => Level::WARN,
        LogLevel::Info => Level::INFO,
        LogLevel::Debug => Level::DEBUG,
        LogLevel::Trace => Level::TRACE,
    }
}
