//! A real Jaeger for the demo and the tests: built from its Go module once, started with everything on free ports.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result};

use crate::child::{self, Child};
use crate::{ports, shell, tree::Tree};

/// Jaeger 2.13; the Go module proxy numbers Jaeger 2 as 1.x.
const MODULE: &str = "github.com/jaegertracing/jaeger";
const VERSION: &str = "v1.76.0";

/// Names a ready binary, so that none is built.
pub(crate) const BINARY: &str = "TRACEMEND_JAEGER";

/// Start-up takes one to three seconds; more on a machine that also builds.
const READY_MAX: Duration = Duration::from_secs(60);

/// A running Jaeger with its storage in memory.
pub(crate) struct Jaeger {
    child: Child,
    otlp_port: u16,
    query_port: u16,
}

/// Whether there is a binary, or the Go to build one.
pub(crate) fn is_possible(tree: &Tree) -> bool {
    std::env::var_os(BINARY).is_some() || cached(tree).is_file() || shell::find("go").is_some()
}

/// The binary, built if there is none: about four minutes of two cores the first time.
pub(crate) fn binary(tree: &Tree) -> Result<PathBuf> {
    if let Some(path) = std::env::var_os(BINARY) {
        return Ok(path.into());
    }
    let cached = cached(tree);
    if !cached.is_file() {
        build(&cached)?;
    }
    Ok(cached)
}

/// Where the binary that this program builds is kept.
pub(crate) fn cached(tree: &Tree) -> PathBuf {
    tree.target.join("jaeger").join(format!("jaeger-{VERSION}"))
}

fn build(into: &Path) -> Result<()> {
    println!("no Jaeger here: building {MODULE}@{VERSION}, once, about four minutes");
    let go = shell::find("go")
        .context("Go is missing, and Jaeger is built with it (or name a binary in TRACEMEND_JAEGER)")?;
    shell::run(Command::new(&go).args(["mod", "download", &format!("{MODULE}@{VERSION}")]))?;
    let cache = shell::output(Command::new(&go).args(["env", "GOMODCACHE"]))?;
    // In the module's own folder its go.sum and its replacements hold; `go install` refuses modules with replacements.
    let module = Path::new(cache.trim()).join(format!("{MODULE}@{VERSION}"));
    fs::create_dir_all(into.parent().context("a path without a folder")?)?;
    // Under another name until it is whole.
    let unfinished = into.with_extension("part");
    shell::run(
        Command::new(go)
            .args(["build", "-mod=readonly", "-o"])
            .arg(&unfinished)
            .arg("./cmd/jaeger")
            .current_dir(module),
    )?;
    fs::rename(&unfinished, into).with_context(|| format!("cannot rename {}", unfinished.display()))
}

impl Jaeger {
    /// Starts `binary` with its configuration and log in `dir` and waits until it takes spans and answers queries.
    pub(crate) fn start(binary: &Path, dir: &Path) -> Result<Self> {
        let [otlp_port, otlp_grpc_port, query_port, query_grpc_port] = ports::free()?;
        let config = dir.join("jaeger.yaml");
        fs::write(&config, configuration(otlp_port, otlp_grpc_port, query_port, query_grpc_port))?;
        let log = fs::File::create(dir.join("jaeger.log")).context("cannot create Jaeger's log")?;
        let mut command = child::command(binary);
        command.arg("--config").arg(&config).stdout(Stdio::null()).stderr(log);
        // Jaeger would trace and configure itself by these.
        for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("OTEL_")) {
            command.env_remove(name);
        }
        let mut child = Child::start("jaeger", &mut command)?;
        child::wait_until(&mut child, "Jaeger's start", READY_MAX, || {
            (ports::is_open(otlp_port) && ports::is_open(query_port)).then_some(())
        })
        .with_context(|| format!("see {}", dir.join("jaeger.log").display()))?;
        Ok(Self { child, otlp_port, query_port })
    }

    /// Base URL of its OTLP receiver (HTTP).
    pub(crate) fn otlp(&self) -> String {
        format!("http://127.0.0.1:{}", self.otlp_port)
    }

    /// Base URL of its query API.
    pub(crate) fn query(&self) -> String {
        format!("http://127.0.0.1:{}", self.query_port)
    }

    /// Ends it.
    pub(crate) fn stop(&mut self) -> Result<()> {
        self.child.stop().map(|_| ())
    }
}

fn configuration(otlp: u16, otlp_grpc: u16, query: u16, query_grpc: u16) -> String {
    format!(
        "\
service:
  extensions: [jaeger_storage, jaeger_query]
  pipelines:
    traces: {{ receivers: [otlp], exporters: [jaeger_storage_exporter] }}
  telemetry:
    metrics: {{ level: none }}
    logs: {{ level: warn }}
extensions:
  jaeger_storage: {{ backends: {{ memory: {{ memory: {{ max_traces: 100000 }} }} }} }}
  jaeger_query:
    storage: {{ traces: memory }}
    http: {{ endpoint: '127.0.0.1:{query}' }}
    grpc: {{ endpoint: '127.0.0.1:{query_grpc}' }}
receivers:
  otlp:
    protocols:
      http: {{ endpoint: '127.0.0.1:{otlp}' }}
      grpc: {{ endpoint: '127.0.0.1:{otlp_grpc}' }}
exporters:
  jaeger_storage_exporter: {{ trace_storage: memory }}
"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_listener_gets_its_own_port() {
        let text = configuration(1001, 1002, 1003, 1004);
        for port in 1001..=1004 {
            assert_eq!(text.matches(&format!("'127.0.0.1:{port}'")).count(), 1, "{port}");
        }
    }
}
