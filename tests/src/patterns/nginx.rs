//! nginx as Debian builds it, in front of the backend: the proxied request is the call.

use anyhow::Result;

use super::build::{answer, installed};
use super::{Pattern, Start, Variant};
use crate::process::Process;
use crate::workload::{self, Upstream};

const PLAIN: Pattern = Pattern {
    id: "nginx/proxy",
    calls: 1,
    shared: 1,
    leaves: false,
    pipelined: 1,
    path: "/",
    variants,
    start: |with| start(with, Upstream::PerRequest),
};

pub(super) const PATTERNS: &[Pattern] = &[
    PLAIN,
    Pattern { id: "nginx/proxy-keepalive", start: |with| start(with, Upstream::KeptAlive), ..PLAIN },
    Pattern { id: "http/pipelining", pipelined: 4, ..PLAIN },
];

fn variants() -> Vec<Variant> {
    // "nginx version: nginx/1.22.1"
    let told = answer("/usr/sbin/nginx", &["-v"]).unwrap_or_default();
    let version = told.rsplit('/').next().unwrap_or_default();
    vec![installed(format!("nginx {version}"), "nginx")]
}

fn start(start: &Start<'_>, upstream: Upstream) -> Result<Vec<Process>> {
    Ok(vec![workload::nginx(start.scene, start.front, start.backend, upstream)?])
}
