//! How each application is started, by its own options alone.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::Result;

use crate::process::Process;
use crate::scene::Scene;
use crate::target::Target;

/// Processes of proxpi's that serve.
const WORKERS: usize = 2;

/// Passes requests for `front` on to `upstream`.
///
/// # Errors
/// It does not start.
pub fn caddy(scene: &Scene, program: &Path, front: &Target, upstream: &Target) -> Result<Process> {
    let configuration = scene.path("Caddyfile");
    let global = "{\n\tadmin off\n\tpersist_config off\n}\n";
    fs::write(
        &configuration,
        format!("{global}http://{front} {{\n\tbind 127.0.0.1\n\treverse_proxy {upstream}\n}}\n"),
    )?;
    let mut command = at_home(scene, program);
    command.args(["run", "--adapter", "caddyfile", "--config"]).arg(configuration);
    Process::serving("caddy", &mut command, front)
}

/// Passes requests for `front` on to `upstream`.
///
/// # Errors
/// It does not start.
pub fn mitmproxy(scene: &Scene, program: &Path, front: &Target, upstream: &Target) -> Result<Process> {
    let (host, port) = host_and_port(front);
    let mut command = at_home(scene, program);
    command.args(["--quiet", "--mode", &format!("reverse:http://{upstream}")]);
    command.args(["--listen-host", &host, "--listen-port", &port]);
    Process::serving("mitmproxy", &mut command, front)
}

/// Serves at `front` what the index of packages at `upstream` has below `/simple/`, in gunicorn's gevent workers. A request for
/// a file makes it ask for the project's page, start a thread that downloads, and ask for the file's length.
///
/// # Errors
/// It does not start.
pub fn proxpi(scene: &Scene, program: &Path, front: &Target, upstream: &Target) -> Result<Process> {
    let mut command = at_home(scene, program);
    command.args(["--worker-class", "gevent", "--workers", &WORKERS.to_string(), "--bind", &front.to_string()]);
    command.args(["--log-level", "warning", "proxpi.server:app"]);
    command.env("PROXPI_INDEX_URL", format!("http://{upstream}/simple/")).env("PROXPI_CACHE_DIR", scene.path("files"));
    // Longer than a busy machine takes: what takes longer is not downloaded but pointed to.
    command.env("PROXPI_DOWNLOAD_TIMEOUT", "60");
    Process::serving("proxpi", &mut command, front)?.forked(WORKERS + 1)
}

/// Serves at `front` what the index of packages at `upstream` has below `/simple/`, and passes files through. A request for a file
/// makes it ask for the project's page, for the file's length and for the file.
///
/// # Errors
/// It does not start.
pub fn simple_repository_server(scene: &Scene, program: &Path, front: &Target, upstream: &Target) -> Result<Process> {
    let (host, port) = host_and_port(front);
    let mut command = at_home(scene, program);
    command.args(["--host", &host, "--port", &port, "--stream-http-resources", &format!("http://{upstream}/simple/")]);
    Process::serving("simple-repository-server", &mut command, front)
}

/// A program that keeps what it keeps at home in the scene's directory.
pub(super) fn at_home(scene: &Scene, program: &Path) -> Command {
    let mut command = Command::new(program);
    command.env("HOME", scene.directory()).current_dir(scene.directory());
    for name in ["XDG_DATA_HOME", "XDG_CONFIG_HOME", "XDG_CACHE_HOME"] {
        command.env_remove(name);
    }
    command
}

fn host_and_port(target: &Target) -> (String, String) {
    let Target::Tcp(address) = target else { unreachable!("applications listen on TCP") };
    (address.ip().to_string(), address.port().to_string())
}
