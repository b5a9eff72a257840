//! Published applications as they are: each one's calls belong to the requests they were made for. What was seen of each is in
//! docs/APPLICATIONS.md.

mod benthos;
mod caddy;
mod mitmproxy;
mod proxpi;
mod simple_repository_server;

use std::env;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use tracemend_tests::agent::Builder;
use tracemend_tests::applications::{Answer, Application, Request, Upstream, Verdict, ask_all, judge};
use tracemend_tests::process::Process;
use tracemend_tests::scene::Scene;
use tracemend_tests::target::Target;

/// Clients at a time.
const CLIENTS: usize = 24;
/// Names a directory for recordings of what was played, for whoever wants to know why (`tracemend replay --explain`).
const RECORDINGS: &str = "TRACEMEND_RECORDINGS";
/// An agent that is started says that it is ready after two seconds at the latest, adapted or not: on a machine that is busy with
/// other things, processes may take longer to be adapted to, and what they read by then is not known.
const ADAPTED: Duration = Duration::from_secs(4);
/// Calls that come behind the answers are waited for this long.
const CALLS_LIMIT: Duration = Duration::from_secs(60);

/// Starts an application, which is asked at the first target and asks the second.
type Start = fn(&Scene, &Path, &Target, &Target) -> Result<Process>;

/// What is played with an application.
struct Play {
    application: Application,
    start: Start,
    /// What it is answered by what it calls.
    answer: fn(&str, &str) -> Answer,
    /// The name of the request that a path belongs to, at both ends.
    name: fn(&str) -> &str,
    requests: Vec<Request>,
    /// Calls that these cause.
    calls: usize,
}

impl Play {
    /// The application, an agent beside it, then the requests; what became of them. None, loudly, where that cannot be had.
    fn perform(&self, test: &str) -> Result<Option<Verdict>> {
        let Some(program) = self.application.program_for(test) else { return Ok(None) };
        let Some(scene) = Scene::open(test, &[])? else { return Ok(None) };
        let upstream = Upstream::start(self.answer)?;
        let front = Target::ipv4()?;
        let application = (self.start)(&scene, &program, &front, &upstream.target())?;
        let agent = Builder::new(&scene).tree(&application);
        let agent = match env::var_os(RECORDINGS) {
            Some(directory) => agent.recording(&Path::new(&directory).join(format!("{test}.tmrec"))).start()?,
            None => agent.start()?,
        };
        thread::sleep(ADAPTED);
        let asked = ask_all(&front, CLIENTS, &self.requests)?;
        let start = Instant::now();
        while upstream.seen().len() < self.calls {
            ensure!(start.elapsed() < CALLS_LIMIT, "{} of {} calls", upstream.seen().len(), self.calls);
            thread::sleep(Duration::from_millis(20));
        }
        let stopped = agent.stop()?;
        let seen = upstream.seen();
        ensure!(seen.len() == self.calls, "{} calls, not {}", seen.len(), self.calls);
        let verdict = judge(&stopped.spans, &asked, &seen, self.name);
        println!("{} {}: {verdict}", self.application.name, self.application.version);
        println!("losses: {:?}", stopped.losses);
        Ok(Some(verdict))
    }

    /// The same; nothing is wrong or unseen, and nearly everything is right.
    fn all_right(&self, test: &str) -> Result<()> {
        self.perform(test)?.map_or(Ok(()), |verdict| verdict.all_right())
    }
}

/// The last part of a path, where that is a request's name.
fn last(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}
