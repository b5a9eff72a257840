//! proxpi, a mirror of Python packages in Flask, under gunicorn with gevent: each request asks for a project's page, then starts
//! a thread that downloads, and asks for the file's length meanwhile.

use anyhow::Result;
use tracemend_tests::applications::{self, PROXPI, Request, package_index, project};

use super::{CLIENTS, Play};

const REQUESTS: usize = 300;
/// One asks for the page, one for the length, and one downloads.
const CALLS: usize = 3;

#[test]
fn proxpis_threads_download_for_the_request_that_started_them() -> Result<()> {
    let play = Play {
        application: PROXPI,
        start: applications::proxpi,
        answer: package_index,
        name: project,
        requests: (0..REQUESTS).map(|number| Request::get(format!("/index/p{number}/p{number}-1.0.tar.gz"))).collect(),
        calls: REQUESTS * CALLS,
    };
    let Some(verdict) = play.perform("proxpis_threads_download_for_the_request_that_started_them")? else {
        return Ok(());
    };
    verdict.nothing_wrong()?;
    // On a machine that is busy with other things, what serves a connection is no unit yet that is known when the first request
    // on it is read. All others are right.
    assert_eq!(
        verdict.orphans.keys().filter(|reason| *reason != "orphan: worker without item").count(),
        0,
        "{verdict}"
    );
    assert!(verdict.right + CLIENTS * CALLS >= verdict.calls, "{verdict}");
    Ok(())
}
