//! What is measured: the closed list of ids, with units and what is expected.

use super::stats::Estimate;

/// One number of the bench.
#[derive(Debug)]
pub(super) struct Id {
    pub(super) name: &'static str,
    pub(super) unit: &'static str,
    pub(super) expected: Expected,
    pub(super) family: Family,
    /// What it means, for people.
    pub(super) what: &'static str,
}

/// What a number should be.
#[derive(Clone, Copy, Debug)]
pub(super) enum Expected {
    /// 1.00, within what the measurement can tell.
    One,
    AtMost(f64),
    AtLeast(f64),
    /// Nothing: it is told.
    Reported,
}

/// Numbers that one run gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Family {
    Syscall,
    Kernel,
    Nginx,
    Python,
    Go,
    Load,
    Memory,
    Replay,
    Idle,
}

const fn id(name: &'static str, unit: &'static str, expected: Expected, family: Family, what: &'static str) -> Id {
    Id { name, unit, expected, family, what }
}

/// All ids, in the order of the table.
pub(super) const IDS: &[Id] = &[
    id(
        "noop_syscall_ratio",
        "ratio",
        Expected::One,
        Family::Syscall,
        "time of a system call that touches no socket, traced / bare",
    ),
    id(
        "kernel_ns_per_message",
        "ns",
        Expected::AtMost(1000.0),
        Family::Kernel,
        "time in all BPF programs per HTTP message exported",
    ),
    id("kernel_ns_per_message.sock_send_length", "ns", Expected::Reported, Family::Kernel, "of it: bytes sent"),
    id(
        "kernel_ns_per_message.sock_recv_length",
        "ns",
        Expected::Reported,
        Family::Kernel,
        "of it: bytes received, and calls that found none",
    ),
    id(
        "kernel_ns_per_message.other_hooks",
        "ns",
        Expected::Reported,
        Family::Kernel,
        "of it: connections, threads, processes",
    ),
    id(
        "nginx_cpu_us_added",
        "us",
        Expected::AtMost(3.0),
        Family::Nginx,
        "CPU time of nginx per request at half of its saturation, traced - bare",
    ),
    id(
        "nginx_throughput_ratio",
        "ratio",
        Expected::Reported,
        Family::Nginx,
        "requests/s at saturation, the agent on the same CPUs, traced / bare",
    ),
    id(
        "python_uvicorn_cpu_us",
        "us",
        Expected::Reported,
        Family::Python,
        "CPU time of a uvicorn service with one httpx call per request at half of its saturation, bare",
    ),
    id(
        "python_uvicorn_cpu_us_added",
        "us",
        Expected::Reported,
        Family::Python,
        "CPU time of this service and the agent per request, traced - bare",
    ),
    id(
        "python_uvicorn_throughput_ratio",
        "ratio",
        Expected::AtLeast(0.93),
        Family::Python,
        "requests/s of this service at saturation, traced / bare",
    ),
    id(
        "python_uvicorn_probe_runs",
        "1/request",
        Expected::Reported,
        Family::Python,
        "runs of probes in its interpreter per request",
    ),
    id(
        "python_otel_sdk_cpu_us_added",
        "us",
        Expected::Reported,
        Family::Python,
        "for comparison: CPU time of this service per request, with the OpenTelemetry SDK - bare",
    ),
    id(
        "python_uvicorn_share_of_otel_sdk",
        "ratio",
        Expected::AtMost(0.1),
        Family::Python,
        "CPU time added by Tracemend / by the SDK",
    ),
    id(
        "python_otel_sdk_throughput_ratio",
        "ratio",
        Expected::Reported,
        Family::Python,
        "for comparison: requests/s at saturation, with the OpenTelemetry SDK / bare",
    ),
    id(
        "go_http_cpu_us",
        "us",
        Expected::Reported,
        Family::Go,
        "CPU time of a net/http service with one call per request at half of its saturation, bare",
    ),
    id(
        "go_http_cpu_us_added",
        "us",
        Expected::Reported,
        Family::Go,
        "CPU time of this service and the agent per request, traced - bare",
    ),
    id("go_http_app_cpu_us_added", "us", Expected::Reported, Family::Go, "of it: of the service alone"),
    id(
        "go_http_throughput_ratio",
        "ratio",
        Expected::AtLeast(0.85),
        Family::Go,
        "requests/s of this service at saturation, traced / bare",
    ),
    id(
        "go_http_probe_runs",
        "1/request",
        Expected::Reported,
        Family::Go,
        "runs of probes in its functions per request",
    ),
    id(
        "go_otel_sdk_cpu_us_added",
        "us",
        Expected::Reported,
        Family::Go,
        "for comparison: CPU time of this service per request, with the OpenTelemetry SDK - bare",
    ),
    id(
        "go_http_share_of_otel_sdk",
        "ratio",
        Expected::AtMost(1.0),
        Family::Go,
        "CPU time added by Tracemend, service and agent / by the SDK",
    ),
    id(
        "go_http_app_share_of_otel_sdk",
        "ratio",
        Expected::AtMost(0.5),
        Family::Go,
        "CPU time added by Tracemend to the service alone / by the SDK",
    ),
    id(
        "go_otel_sdk_throughput_ratio",
        "ratio",
        Expected::Reported,
        Family::Go,
        "for comparison: requests/s at saturation, with the OpenTelemetry SDK / bare",
    ),
    id(
        "agent_us_per_span",
        "us",
        Expected::AtMost(5.0),
        Family::Load,
        "CPU time of the agent per exported span under the load",
    ),
    id("load_requests_per_s", "1/s", Expected::AtLeast(20_000.0), Family::Load, "requests/s while losses are counted"),
    id(
        "records_lost",
        "records",
        Expected::AtMost(0.0),
        Family::Load,
        "lost, shed and unseen at this load, and spans missing for whatever reason",
    ),
    id(
        "hindsight_shortened",
        "exchanges",
        Expected::Reported,
        Family::Load,
        "of those told at this load: decided, or forgotten afterwards, sooner than without one",
    ),
    id(
        "agent_memory_mib",
        "MiB",
        Expected::AtMost(96.0),
        Family::Memory,
        "the agent's control group, maps and rings included, 10,000 open connections",
    ),
    id("replay_spans_per_s", "1/s", Expected::AtLeast(300_000.0), Family::Replay, "the core alone on one CPU"),
    id(
        "agent_ready_ms",
        "ms",
        Expected::AtMost(2000.0),
        Family::Idle,
        "from its start until it is ready, beside 500 idle processes",
    ),
    id("agent_idle_cpu_percent", "%", Expected::AtMost(0.5), Family::Idle, "of one CPU, nothing to trace, beside them"),
    id("agent_idle_rss_mib", "MiB", Expected::AtMost(40.0), Family::Idle, "resident memory, beside them"),
];

impl Expected {
    /// Whether it is so; none where nothing is expected.
    pub(super) fn is_met(self, estimate: Estimate) -> Option<bool> {
        /// Half of the last digit of "1.00".
        const ROUNDING: f64 = 0.005;
        match self {
            Self::One => {
                let noise = estimate.low <= 1.0 && 1.0 <= estimate.high;
                Some(noise || (estimate.value - 1.0).abs() < ROUNDING)
            }
            Self::AtMost(limit) => Some(estimate.value <= limit),
            Self::AtLeast(limit) => Some(estimate.value >= limit),
            Self::Reported => None,
        }
    }
}

impl std::fmt::Display for Expected {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::One => f.write_str("1.00"),
            Self::AtMost(limit) => write!(f, "<= {limit}"),
            Self::AtLeast(limit) => write!(f, ">= {limit}"),
            Self::Reported => f.write_str("-"),
        }
    }
}

/// The families that `names` need, in the order of the table. A name also stands for its parts (`name.part`).
///
/// # Errors
/// A name is none of the list.
pub(super) fn chosen(names: &[String]) -> anyhow::Result<Vec<&'static Id>> {
    if let Some(unknown) = names.iter().find(|name| !IDS.iter().any(|id| id.is_called(name))) {
        let all: Vec<_> = IDS.iter().map(|id| id.name).collect();
        anyhow::bail!("there is no `{unknown}`; there are {}", all.join(", "));
    }
    Ok(IDS.iter().filter(|id| names.is_empty() || names.iter().any(|name| id.is_called(name))).collect())
}

impl Id {
    fn is_called(&self, name: &str) -> bool {
        self.name == name || self.name.strip_prefix(name).is_some_and(|rest| rest.starts_with('.'))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_stands_for_its_parts_and_none_for_all() {
        let names = |asked: &[&str]| -> Vec<_> {
            let asked: Vec<_> = asked.iter().map(|name| (*name).to_owned()).collect();
            chosen(&asked).expect("known").iter().map(|id| id.name).collect()
        };
        assert_eq!(names(&[]).len(), IDS.len());
        assert_eq!(names(&["kernel_ns_per_message"]).len(), 4);
        assert_eq!(names(&["records_lost", "noop_syscall_ratio"]), ["noop_syscall_ratio", "records_lost"]);
        let error = chosen(&["kernel".to_owned()]).expect_err("a part of a name is none");
        assert!(error.to_string().contains("no `kernel`"), "{error}");
    }

    #[test]
    fn an_expectation_is_judged_by_its_value_and_one_by_the_noise() {
        let wide = Estimate { value: 1.1, low: 0.9, high: 1.3 };
        assert_eq!(Expected::One.is_met(wide), Some(true));
        assert_eq!(Expected::One.is_met(Estimate { low: 1.05, ..wide }), Some(false));
        assert_eq!(Expected::One.is_met(Estimate { value: 1.004, low: 1.003, high: 1.006 }), Some(true));
        assert_eq!(Expected::AtMost(1.0).is_met(wide), Some(false));
        assert_eq!(Expected::AtLeast(1.0).is_met(wide), Some(true));
        assert_eq!(Expected::Reported.is_met(wide), None);
    }
}
