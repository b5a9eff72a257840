//! What the user half says of processes and of its own losses is what the docs list.

use agent_ebpf::wire::names;
use tracemend::export::{DropReason, limits};
use tracemend::host::Host;
use tracemend_core::ids::Tgid;

const SPANS: &str = include_str!("../../docs/spans.md");
const KERNELS: &str = include_str!("../../docs/kernels.md");

fn is_listed(docs: &str, name: &str) -> bool {
    docs.lines().any(|line| line.starts_with(&format!("| `{name}` |")))
}

#[test]
fn resource_attributes_are_listed() {
    let process = Host::new().expect("/proc").find(Tgid(std::process::id())).expect("this process");
    assert!(!process.resource.is_empty());
    for (name, _) in &process.resource {
        // A test runner may declare more, which is passed on.
        let declared = std::env::var("OTEL_RESOURCE_ATTRIBUTES").is_ok_and(|declared| declared.contains(name));
        assert!(declared || is_listed(SPANS, name), "{name}");
    }
}

#[test]
fn reasons_of_dropped_spans_are_listed() {
    for reason in DropReason::ALL {
        assert!(is_listed(SPANS, reason.name()), "{reason:?}");
    }
    let minutes = limits::RETRY_ELAPSED_MAX.as_secs() / 60;
    assert!(SPANS.contains(&format!("could not take them for {minutes} minutes")));
}

#[test]
fn programs_and_maps_are_listed() {
    use names::program::{
        EXEC, EXIT, FORK, GO_ENDED, GO_MADE, GO_QUEUED, GO_ROUND, GO_WRITER, GREENLET_FREE, GREENLET_MAKE, PIPE_READ,
        PIPE_WRITE, PYTHON_APPEND, PYTHON_COPY, PYTHON_FREE, PYTHON_GET, PYTHON_MADE, PYTHON_POPLEFT, PYTHON_PUT,
        PYTHON_REUSED, PYTHON_TAKEN, SOCK_RECV, SOCK_SEND, SOCK_STATE,
    };
    let always = [SOCK_SEND, SOCK_RECV, SOCK_STATE, FORK, EXEC, EXIT];
    let of_python =
        [PYTHON_MADE, PYTHON_REUSED, PYTHON_COPY, PYTHON_FREE, PYTHON_PUT, PYTHON_GET, PYTHON_APPEND, PYTHON_POPLEFT];
    let of_others = [
        PYTHON_TAKEN,
        GREENLET_FREE,
        GREENLET_MAKE,
        PIPE_WRITE,
        PIPE_READ,
        GO_MADE,
        GO_QUEUED,
        GO_ENDED,
        GO_WRITER,
        GO_ROUND,
    ];
    for program in always.into_iter().chain(of_python).chain(of_others) {
        assert!(is_listed(KERNELS, program), "{program}");
    }
    use names::{
        CONTROL, COUNTS, GOS, ITEMS, LISTENERS, LOSSES, OFFSETS, OLD_SOCKETS, OVER_SHARE, POLICIES, PROCESSES, PYTHONS,
        SETTINGS, TAKES, UNITS, VERDICTS, WATCHES,
    };
    let maps =
        [CONTROL, COUNTS, LISTENERS, LOSSES, OFFSETS, OLD_SOCKETS, OVER_SHARE, POLICIES, PROCESSES, PYTHONS, SETTINGS];
    for map in maps.into_iter().chain([GOS, ITEMS, OVER_SHARE, TAKES, UNITS, VERDICTS, WATCHES]).chain([
        "CONNECTIONS",
        "THREADS",
        "SCRATCH",
        "SENDS_FOR",
        "MESSAGES",
    ]) {
        assert!(is_listed(KERNELS, map), "{map}");
    }
    for ring in names::RINGS {
        assert!(KERNELS.contains(&format!("`{ring}`")), "{ring}");
    }
}
