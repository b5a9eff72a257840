//! `cargo xtask demo`: sets up, builds, traces one request through a chain of real programs and shows what came out.

mod agent;
mod chain;
mod collector;
mod recording;
mod root;
mod span;
mod verdict;

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

use agent::{Agent, Export};
use chain::Chain;
use collector::Collector;
use root::{Ended, Root};
use span::Span;

use crate::jaeger::{self, Jaeger};
use crate::scratch::Scratch;
use crate::{http, interrupt, permission, release, setup, shell, tree::Tree};

/// Links settle within 1 s of an exchange's end, and spans leave within 1 s of that.
const TRACE_MAX: Duration = Duration::from_secs(20);

const SERVICE_NAME: &str = "OTEL_SERVICE_NAME";
const ENDPOINT: &str = "OTEL_EXPORTER_OTLP_ENDPOINT";

/// Arguments of `cargo xtask demo`.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Export to a Jaeger and read the trace back from it: the one at OTEL_EXPORTER_OTLP_ENDPOINT if that is set, else a
    /// real one that is built if there is none
    #[arg(long)]
    jaeger: bool,
    /// Base URL of the query API of the Jaeger at OTEL_EXPORTER_OTLP_ENDPOINT [default: port 16686 of the same host]
    #[arg(long, value_name = "URL", requires = "jaeger")]
    jaeger_query: Option<String>,
    /// Leave everything running until Ctrl-C
    #[arg(long)]
    keep: bool,
    /// Record the run to this file, for where BPF is not permitted
    #[arg(long, value_name = "FILE", hide = true)]
    record: Option<PathBuf>,
}

/// The command.
pub(crate) fn command(tree: &Tree, args: &Args) -> Result<ExitCode> {
    name_this_process()?;
    interrupt::listen()?;
    if let Some(reason) = permission::missing()? {
        return recording::show(tree, &reason);
    }
    shell::timed("set-up", setup::ensure)?;
    shell::timed("build", || release::build(tree))?;
    let ours = args.jaeger && std::env::var_os(ENDPOINT).is_none();
    let jaeger = if ours { Some(shell::timed("Jaeger", || jaeger::binary(tree))?) } else { None };
    if let Some(reason) = agent::unusable(&tree.agent())? {
        return recording::show(tree, &reason);
    }
    let start = Instant::now();
    let scratch = Scratch::new()?;
    let jaeger = jaeger.map(|binary| Jaeger::start(&binary, scratch.path())).transpose()?;
    let demo = Demo { tree, args, scratch: &scratch, jaeger };
    // The log goes with the folder.
    let line = demo.run().inspect_err(|_| {
        eprintln!("the agent's log ended with\n{}\n", scratch.tail(agent::LOG, 20));
    })?;
    println!("took {:.1} s after set-up and build", start.elapsed().as_secs_f64());
    drop(scratch);
    println!("{line}");
    Ok(ExitCode::SUCCESS)
}

/// The agent reads service names from a process's environment as it was at its start, so this program starts again with
/// its own.
fn name_this_process() -> Result<()> {
    if std::env::var_os(SERVICE_NAME).is_some_and(|name| name == root::SERVICE) {
        return Ok(());
    }
    let error = shell::this().args(std::env::args_os().skip(1)).env(SERVICE_NAME, root::SERVICE).exec();
    Err(error).context("cannot start this program again")
}

/// Records the demo for where BPF is not permitted.
pub(crate) fn record(tree: &Tree) -> Result<()> {
    recording::make(tree)
}

/// A run of the demo.
struct Demo<'a> {
    tree: &'a Tree,
    args: &'a Args,
    scratch: &'a Scratch,
    jaeger: Option<Jaeger>,
}

impl Demo<'_> {
    /// Everything after set-up; returns the closing line.
    fn run(mut self) -> Result<String> {
        let mut chain = Chain::start(self.tree, self.scratch.path())?;
        println!("chain: demo -> nginx -> shop -> (unix socket) cart -> (thread) stock, at {}", chain.url());
        let (endpoint, collector) = self.destination()?;
        let export = match (&endpoint, &collector) {
            (None, Collector::File(path)) => Export::File(path),
            (Some(endpoint), _) => Export::Otlp { endpoint, is_ours: self.jaeger.is_some() },
            (None, Collector::Jaeger(_)) => {
                bail!("a Jaeger to read from without an endpoint to export to")
            }
        };
        let mut services = vec![(root::SERVICE, BTreeSet::from([std::process::id()]))];
        services.extend(chain.processes()?);
        // What is recorded is kept: nothing but the demo.
        let record =
            self.args.record.as_deref().map(|path| (path, services.iter().flat_map(|(_, pids)| pids).copied()));
        let mut agent = Agent::start(self.tree, &export, record, self.scratch)?;
        println!("agent: ready");

        let root = request(&chain.url())?;
        if let Some(endpoint) = &endpoint {
            root.export(endpoint)?;
        }
        let trace = self.read_back(&collector, &root, &services, &mut agent)?;
        let line = self.judge(&collector, &root.span(), &services, trace)?;
        if let Collector::Jaeger(query) = &collector {
            show_url(query, &root.span().trace);
        }
        if self.args.keep {
            keep(&collector, &mut chain, &mut agent)?;
        }
        agent.stop()?;
        if let Some(jaeger) = &mut self.jaeger {
            jaeger.stop()?;
        }
        Ok(line)
    }

    /// The OTLP receiver to export to, if any, and where the spans are read back.
    fn destination(&self) -> Result<(Option<String>, Collector)> {
        if let Some(jaeger) = &self.jaeger {
            return Ok((Some(jaeger.otlp()), Collector::Jaeger(jaeger.query())));
        }
        if !self.args.jaeger {
            return Ok((None, Collector::File(self.scratch.path().join("spans.jsonl"))));
        }
        let endpoint = std::env::var(ENDPOINT).with_context(|| format!("{ENDPOINT} is not text"))?;
        let query = match &self.args.jaeger_query {
            Some(query) => query.trim_end_matches('/').to_owned(),
            None => query_beside(&endpoint).with_context(|| format!("{ENDPOINT} is no http URL: {endpoint}"))?,
        };
        Ok((Some(endpoint), Collector::Jaeger(query)))
    }

    /// Polls until the trace is the one that happened, or for as long as that may take; the last look counts.
    fn read_back(
        &self,
        collector: &Collector,
        root: &Ended,
        services: &[(&'static str, BTreeSet<u32>)],
        agent: &mut Agent,
    ) -> Result<Vec<Span>> {
        let root = root.span();
        let steps = verdict::steps(services);
        let mut trace = Vec::new();
        interrupt::wait_for(TRACE_MAX, || {
            agent.check_running()?;
            trace = collector.trace(&root.trace)?;
            if matches!(collector, Collector::File(_)) {
                trace.push(root.clone());
            }
            Ok(verdict::problems(&trace, &root.id, &steps).is_empty().then_some(()))
        })?;
        trace.sort_by_key(|span| span.start);
        Ok(trace)
    }

    /// Draws the trace and counts it; an error if it is not the one that happened.
    fn judge(
        &self,
        collector: &Collector,
        root: &Span,
        services: &[(&'static str, BTreeSet<u32>)],
        trace: Vec<Span>,
    ) -> Result<String> {
        let file = self.scratch.path().join("trace.jsonl");
        let lines: String = trace.iter().map(|span| span.to_line() + "\n").collect();
        fs::write(&file, lines).context("cannot write the trace")?;
        println!();
        shell::run(Command::new(self.tree.agent()).arg("show").arg(&file))?;

        let names: BTreeSet<_> = trace.iter().map(Span::service).collect();
        let pids = services.iter().flat_map(|(_, pids)| pids).copied().collect();
        let all = collector.all(root.start, &names.iter().cloned().collect::<Vec<_>>())?;
        let orphans = verdict::orphans(&all, &pids);
        let mut problems = verdict::problems(&trace, &root.id, &verdict::steps(services));
        problems.extend(orphans.iter().map(|span| format!("{} is an orphan", span.describe())));
        let numbers =
            format!("trace={} spans={} services={} orphans={}", root.trace, trace.len(), names.len(), orphans.len());
        ensure!(problems.is_empty(), "not the trace that happened ({numbers}):\n  {}", problems.join("\n  "));
        Ok(format!("demo: ok {numbers}"))
    }
}

/// Sends the one request, under a root span of its own.
fn request(url: &str) -> Result<Ended> {
    let root = Root::start()?;
    let answer = http::get(url, &[("traceparent", &root.traceparent())])?;
    let root = root.end()?;
    ensure!(answer.status == 200, "the chain answered {}: {}", answer.status, answer.body.trim());
    println!("request: answered {} {:?}", answer.status, answer.body.trim());
    Ok(root)
}

/// Jaeger's default query port on the host of its OTLP receiver.
fn query_beside(endpoint: &str) -> Option<String> {
    let (scheme, rest) = endpoint.split_once("://")?;
    let authority = rest.split('/').next()?;
    let host = match authority.rsplit_once(':') {
        Some((host, port)) if port.parse::<u16>().is_ok() => host,
        _ => authority,
    };
    Some(format!("{scheme}://{host}:16686"))
}

fn show_url(query: &str, trace: &str) {
    if collector::has_page(query) {
        println!("Jaeger: {query}/trace/{trace}");
    } else {
        println!("Jaeger: {query}/api/traces/{trace}");
        println!("  this build of Jaeger has no web page, only its API: README.md shows how to use an official one");
    }
}

fn keep(collector: &Collector, chain: &mut Chain, agent: &mut Agent) -> Result<()> {
    println!("\nrunning until Ctrl-C; send requests to {}", chain.url());
    if let Collector::File(path) = collector {
        println!("spans are written to {}", path.display());
    }
    while !interrupt::raised() {
        chain.check_running()?;
        agent.check_running()?;
        std::thread::sleep(interrupt::LOOK_EVERY);
    }
    println!();
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_query_api_is_looked_for_beside_the_receiver() {
        assert_eq!(query_beside("http://jaeger:4318").as_deref(), Some("http://jaeger:16686"));
        assert_eq!(query_beside("http://[::1]:4318/").as_deref(), Some("http://[::1]:16686"));
        assert_eq!(query_beside("https://jaeger/otlp").as_deref(), Some("https://jaeger:16686"));
        assert_eq!(query_beside("jaeger:4318"), None);
    }

    /// The programs of the chain, without an agent.
    #[test]
    #[ignore = "needs what `cargo xtask setup` installs; `cargo xtask test` includes it"]
    fn the_chain_answers() {
        let tree = Tree::find().expect("a workspace");
        let scratch = Scratch::new().expect("a folder");
        let mut chain = Chain::start(&tree, scratch.path()).expect("starts");
        request(&chain.url()).expect("answers");
        chain.check_running().expect("runs");
        let processes = chain.processes().expect("readable");
        assert_eq!(processes.iter().map(|(name, _)| *name).collect::<Vec<_>>(), ["nginx", "shop", "cart", "stock"]);
        assert!(processes.iter().all(|(_, pids)| pids.len() == 2), "{processes:?}");
    }
}
