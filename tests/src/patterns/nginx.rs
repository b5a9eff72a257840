//! nginx as Debian builds it, in front of the backend, where the proxied request is the call, or of PHP.

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
    Pattern { id: "nginx/php-fpm-unix", variants: php, start: php_fpm, ..PLAIN },
    Pattern { id: "http/pipelining", pipelined: 4, ..PLAIN },
];

fn variants() -> Vec<Variant> {
    // "nginx version: nginx/1.22.1"
    let told = answer("/usr/sbin/nginx", &["-v"]).unwrap_or_default();
    let version = told.rsplit('/').next().unwrap_or_default();
    vec![installed(format!("nginx {version}"), "nginx")]
}

/// "PHP 8.2.29 (fpm-fcgi) (built: ...)"
fn php() -> Vec<Variant> {
    let told = answer("/usr/sbin/php-fpm8.2", &["--version"]).unwrap_or_default();
    let version = told.split(' ').nth(1).unwrap_or_default().to_owned();
    let both = |nginx: Variant| {
        let php = installed(format!("{}, PHP {version}", nginx.name), "php-fpm8.2");
        Variant { program: nginx.program.and(php.program), ..php }
    };
    variants().into_iter().map(both).collect()
}

fn php_fpm(start: &Start<'_>) -> Result<Vec<Process>> {
    workload::nginx_and_fpm(start.scene, start.front, start.program, start.backend)
}

fn start(start: &Start<'_>, upstream: Upstream) -> Result<Vec<Process>> {
    Ok(vec![workload::nginx(start.scene, start.front, start.backend, upstream)?])
}
