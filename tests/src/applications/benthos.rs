//! How Benthos is started: streams that ask `upstream` for what is asked at `front`.

use std::fs;
use std::path::Path;

use anyhow::Result;

use super::run::at_home;
use crate::process::Process;
use crate::scene::Scene;
use crate::target::Target;

/// Goroutines that take what is asked, or what comes of it: fewer than there are requests at a time, which wait for one of them.
const WORKERS: usize = 8;
/// Requests that one call is made for, where it is for several.
pub const BENTHOS_BATCH: usize = 4;

/// What was asked for, in Benthos's language.
const PATH: &str = r#"meta("http_server_request_path")"#;

/// Workers take what is asked out of a channel, call, and pass the answer on to where answers are given.
///
/// # Errors
/// It does not start.
pub fn benthos(scene: &Scene, program: &Path, front: &Target, upstream: &Target) -> Result<Process> {
    Stream { processors: &[http(upstream, PATH, false)], ..Stream::default() }.start(scene, program, front)
}

/// Each worker asks for three things by three goroutines that it starts, and that take what to ask for out of a channel.
///
/// # Errors
/// It does not start.
pub fn benthos_in_parallel(scene: &Scene, program: &Path, front: &Target, upstream: &Target) -> Result<Process> {
    let processors = [
        format!(r#"mapping: 'root = ["stock", "price", "text"].map_each(part -> "/%s%s".format(part, {PATH}))'"#),
        "unarchive: {format: json_array}".to_owned(),
        http(upstream, "json()", true),
        "archive: {format: lines}".to_owned(),
    ];
    Stream { processors: &processors, ..Stream::default() }.start(scene, program, front)
}

/// Workers pass on what they take, and what they pass it to passes it on again, by a channel each time, to those who call.
///
/// # Errors
/// It does not start.
pub fn benthos_at_the_end(scene: &Scene, program: &Path, front: &Target, upstream: &Target) -> Result<Process> {
    let output = client(upstream, PATH, "{}");
    Stream { output: &output, ..Stream::default() }.start(scene, program, front)
}

/// The same, but on the way there one goroutine collects them: one call is made for [`BENTHOS_BATCH`] requests.
///
/// # Errors
/// It does not start.
pub fn benthos_in_batches(scene: &Scene, program: &Path, front: &Target, upstream: &Target) -> Result<Process> {
    let name = [format!(r#"mapping: 'root = {PATH}.split("/").index(-1)'"#)];
    let batching = format!("{{count: {BENTHOS_BATCH}, processors: [{{archive: {{format: lines}}}}]}}");
    let output = client(upstream, r#""/" + content().string().replace_all("\n", "+")"#, &batching);
    Stream { processors: &name, output: &output, ..Stream::default() }.start(scene, program, front)
}

/// What is asked is answered at once, and waits in a buffer, from which it comes into the workers' channel.
///
/// # Errors
/// It does not start.
pub fn benthos_behind_a_buffer(scene: &Scene, program: &Path, front: &Target, upstream: &Target) -> Result<Process> {
    let processors = [http(upstream, PATH, false)];
    Stream { buffer: "memory: {}", processors: &processors, ..Stream::default() }.start(scene, program, front)
}

fn http(upstream: &Target, path: &str, in_parallel: bool) -> String {
    format!("http: {{url: 'http://{upstream}${{! {path} }}', verb: GET, parallel: {in_parallel}}}")
}

fn client(upstream: &Target, path: &str, batching: &str) -> String {
    let url = format!("http://{upstream}${{! {path} }}");
    format!("http_client: {{url: '{url}', verb: POST, max_in_flight: {WORKERS}, batching: {batching}}}")
}

/// From requests to answers.
#[derive(Debug)]
struct Stream<'a> {
    buffer: &'a str,
    processors: &'a [String],
    output: &'a str,
}

impl Default for Stream<'_> {
    fn default() -> Self {
        Self { buffer: "none: {}", processors: &[], output: "sync_response: {}" }
    }
}

impl Stream<'_> {
    fn start(&self, scene: &Scene, program: &Path, front: &Target) -> Result<Process> {
        let Self { buffer, processors, output } = self;
        let processors: String = processors.iter().map(|one| format!("\n    - {one}")).collect();
        let configuration = scene.path("benthos.yaml");
        let stream = format!(
            "http: {{enabled: false}}
logger: {{level: WARN}}
input:
  http_server: {{address: '{front}', path: '/{{rest:.*}}', allowed_verbs: [GET]}}
buffer:
  {buffer}
pipeline:
  threads: {WORKERS}
  processors:{processors}
    - noop: {{}}
output:
  {output}
"
        );
        fs::write(&configuration, stream)?;
        let mut command = at_home(scene, program);
        command.arg("-c").arg(configuration);
        Process::serving("benthos", &mut command, front)
    }
}
