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
/// Goroutines of Benthos's that call: fewer than there are requests at a time, which wait for one of them.
const BENTHOS_WORKERS: usize = 8;

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

/// Puts what it is asked at `front` into a channel; workers take it, ask `upstream` for the same path and pass the answer on to
/// where answers are given.
///
/// # Errors
/// It does not start.
pub fn benthos(scene: &Scene, program: &Path, front: &Target, upstream: &Target) -> Result<Process> {
    stream(scene, program, front, "none: {}", &calls(upstream, BENTHOS_PATH, false))
}

/// The same, where each worker asks `upstream` for three things by three goroutines that it starts, and that take what to ask for
/// out of a channel.
///
/// # Errors
/// It does not start.
pub fn benthos_in_parallel(scene: &Scene, program: &Path, front: &Target, upstream: &Target) -> Result<Process> {
    let processors = [
        format!(
            r#"mapping: 'root = ["stock", "price", "text"].map_each(part -> "/%s%s".format(part, {BENTHOS_PATH}))'"#
        ),
        "unarchive: {format: json_array}".to_owned(),
        calls(upstream, "json()", true),
        "archive: {format: lines}".to_owned(),
    ];
    stream(scene, program, front, "none: {}", &processors.join("\n    - "))
}

/// The first one, but answers at once: what it is asked waits in a buffer, from which it comes into the channel.
///
/// # Errors
/// It does not start.
pub fn benthos_behind_a_buffer(scene: &Scene, program: &Path, front: &Target, upstream: &Target) -> Result<Process> {
    stream(scene, program, front, "memory: {}", &calls(upstream, BENTHOS_PATH, false))
}

/// What Benthos was asked for, in its language.
const BENTHOS_PATH: &str = r#"meta("http_server_request_path")"#;

fn calls(upstream: &Target, path: &str, in_parallel: bool) -> String {
    format!("http: {{url: 'http://{upstream}${{! {path} }}', verb: GET, parallel: {in_parallel}}}")
}

/// Runs Benthos with this buffer between what it is asked and its workers, who do what the processors say.
fn stream(scene: &Scene, program: &Path, front: &Target, buffer: &str, processors: &str) -> Result<Process> {
    let configuration = scene.path("benthos.yaml");
    let stream = format!(
        "http: {{enabled: false}}
logger: {{level: WARN}}
input:
  http_server: {{address: '{front}', path: '/{{rest:.*}}', allowed_verbs: [GET]}}
buffer:
  {buffer}
pipeline:
  threads: {BENTHOS_WORKERS}
  processors:
    - {processors}
output:
  sync_response: {{}}
"
    );
    fs::write(&configuration, stream)?;
    let mut command = at_home(scene, program);
    command.arg("-c").arg(configuration);
    Process::serving("benthos", &mut command, front)
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
fn at_home(scene: &Scene, program: &Path) -> Command {
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
