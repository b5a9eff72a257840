//! `tracemend doctor`: what works on this machine, what does not, and why.

mod report;

use std::net::{TcpStream, ToSocketAddrs as _};
use std::process::ExitCode;
use std::time::Duration;

use self::report::{Check, Report, State};
use super::obstacles::{Obstacle, obstacles, shortcomings};
use super::variable;
use crate::attach::{self, HookReport};
use crate::export::{Destination, EnvError};
use crate::host::{Holder, Host, Instance, Kernel};

/// How long one address of a collector gets to answer.
const CONNECT_MAX: Duration = Duration::from_secs(1);

/// Looks, and says what it saw.
pub(super) fn run() -> ExitCode {
    let kernel = Kernel::read();
    let mut report = Report::default();
    report.section("this machine", machine(&kernel));
    report.section("hooks", hooks(attach::probe()));
    report.section("agent", vec![another(Instance::holder().ok().flatten()), identity(Host::new())]);
    report.section("spans", vec![spans(Destination::from_env(&variable))]);
    print!("tracemend {}\n{report}", env!("CARGO_PKG_VERSION"));
    ExitCode::from(report.exit_status())
}

/// What the kernel and the agent's surroundings offer; what stands in the way comes with its remedy.
fn machine(kernel: &Kernel) -> Vec<Check> {
    let paranoid = kernel.perf_event_paranoid.map_or_else(|| "unknown".to_owned(), |level| level.to_string());
    let mut checks = vec![
        Check::good("kernel", &kernel.release),
        Check::good("type information", if kernel.btf { "/sys/kernel/btf/vmlinux" } else { "missing" }),
        Check::good("capabilities", kernel.capabilities.to_string()),
        Check::good("pid namespace", if kernel.initial_pid_namespace { "the host's" } else { "its own" }),
        Check::good("lockdown", kernel.lockdown.as_deref().unwrap_or("unknown (securityfs is not mounted)")),
        Check::good("control groups", kernel.cgroups.name()),
        Check::good("perf_event_paranoid", paranoid),
        Check::good("tracefs", kernel.tracefs.unwrap_or("not mounted (not needed)")),
    ];
    let found = |Obstacle { what, remedy }, name: &str, state| Check::good(name, what).state(state).remedy(remedy);
    checks.extend(obstacles(kernel).into_iter().map(|one| found(one, "obstacle", State::Unusable)));
    checks.extend(shortcomings(kernel).into_iter().map(|one| found(one, "shortcoming", State::Reduced)));
    checks
}

fn hooks(probed: anyhow::Result<Vec<HookReport>>) -> Vec<Check> {
    let hooks = match probed {
        Ok(hooks) => hooks,
        Err(error) => return vec![Check::good("kernel half", format!("{error:#}")).state(State::Unusable)],
    };
    let check = |hook: HookReport| match (hook.state, hook.essential) {
        (attach::State::On, _) => Check::good(hook.name, hook.purpose),
        (attach::State::Off, essential) => {
            let state = if essential { State::Unusable } else { State::Reduced };
            Check::good(hook.name, format!("{}: {}", hook.purpose, hook.why)).state(state)
        }
    };
    hooks.into_iter().map(check).collect()
}

fn another(holder: Option<Holder>) -> Check {
    let found = match holder {
        None => "none".to_owned(),
        Some(Holder { pid, privileged }) => {
            let who = if privileged { "running" } else { "none, but a process that is no agent holds its lock" };
            format!("{who}{}", pid.map(|pid| format!(" (pid {pid})")).unwrap_or_default())
        }
    };
    Check::good("another agent", found)
}

fn identity(host: std::io::Result<Host>) -> Check {
    match host {
        Ok(host) => {
            let identity = host.identity();
            Check::good("host", format!("{} at {}, id {}", identity.name, identity.ip, identity.id))
        }
        Err(error) => Check::good("host", format!("/proc cannot be read: {error}")).state(State::Unusable),
    }
}

/// Where spans would go, and whether somebody answers there.
fn spans(destination: Result<Destination, EnvError>) -> Check {
    let destination = match destination {
        Ok(destination) => destination,
        Err(error) => {
            let remedy = "correct the variable: tracemend run refuses to start";
            return Check::good("exporter", error.to_string()).state(State::Unusable).remedy(remedy);
        }
    };
    let found = destination.to_string();
    let Destination::Otlp(config) = destination else {
        return Check::good("exporter", found);
    };
    let host = config.endpoint.host().unwrap_or_default();
    let port = config.endpoint.port_u16().unwrap_or(if config.tls.is_some() { 443 } else { 80 });
    match reach(host, port) {
        Ok(()) => Check::good("exporter", format!("{found}, which answers")),
        Err(error) => Check::good("exporter", format!("{found}: {error}"))
            .state(State::Reduced)
            .remedy("start the collector; the agent starts without it and keeps the newest spans meanwhile"),
    }
}

/// Connects to the first address that answers.
fn reach(host: &str, port: u16) -> std::io::Result<()> {
    // URLs write IPv6 addresses in brackets.
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let mut last = std::io::ErrorKind::NotFound.into();
    for address in (host, port).to_socket_addrs()? {
        match TcpStream::connect_timeout(&address, CONNECT_MAX) {
            Ok(_) => return Ok(()),
            Err(error) => last = error,
        }
    }
    Err(last)
}

#[cfg(test)]
mod tests {
    use super::super::obstacles::tests::good;
    use super::*;

    fn hook(essential: bool, state: attach::State) -> HookReport {
        HookReport { name: "a_hook", purpose: "a purpose", essential, state, why: "refused".into() }
    }

    fn worst(checks: &[Check]) -> Option<State> {
        checks.iter().map(|check| check.state).max()
    }

    #[test]
    fn a_good_machine_has_no_complaint() {
        assert_eq!(worst(&machine(&good())), Some(State::Good));
        let blind = Kernel { btf: false, ..good() };
        assert_eq!(worst(&machine(&blind)), Some(State::Unusable));
    }

    #[test]
    fn an_essential_hook_that_is_off_makes_it_unusable_another_reduces_it() {
        use attach::State::{Off, On};
        assert_eq!(worst(&hooks(Ok(vec![hook(true, On), hook(false, On)]))), Some(State::Good));
        let reduced = hooks(Ok(vec![hook(true, On), hook(false, Off)]));
        assert_eq!(worst(&reduced), Some(State::Reduced));
        assert_eq!(reduced[1].found, "a purpose: refused");
        assert_eq!(worst(&hooks(Ok(vec![hook(true, Off)]))), Some(State::Unusable));
        assert_eq!(worst(&hooks(Err(anyhow::anyhow!("no permission")))), Some(State::Unusable));
    }

    #[test]
    fn a_collector_is_asked_whether_it_answers() {
        let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).expect("binds");
        let port = listener.local_addr().expect("bound").port();
        let to = |endpoint: String| {
            let lookup = move |name: &str| (name == "OTEL_EXPORTER_OTLP_ENDPOINT").then(|| endpoint.clone());
            spans(Destination::from_env(&lookup))
        };
        assert_eq!(to(format!("http://127.0.0.1:{port}")).state, State::Good);
        drop(listener);
        assert_eq!(to(format!("http://127.0.0.1:{port}")).state, State::Reduced);
        assert_eq!(to("ftp://x".into()).state, State::Unusable);
    }

    #[test]
    fn another_agent_is_named_with_its_pid() {
        let holder = |privileged| another(Some(Holder { pid: Some(7), privileged })).found;
        assert_eq!(holder(true), "running (pid 7)");
        assert!(holder(false).contains("no agent"));
        assert_eq!(another(None).found, "none");
    }
}
