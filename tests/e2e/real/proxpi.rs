//! proxpi, a mirror of Python packages in Flask, under gunicorn with gevent: each request asks for a project's page, then starts
//! a thread that downloads, and asks for the file's length meanwhile.

use anyhow::Result;
use tracemend_tests::applications::{self, PROXPI, Request, package_index, project};

use super::Play;

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
    play.all_right("proxpis_threads_download_for_the_request_that_started_them")
}
