//! simple-repository-server, an index of Python packages in front of another one: FastAPI under uvicorn on uvloop, calling by
//! httpx.

use anyhow::Result;
use tracemend_tests::applications::{self, Request, SIMPLE_REPOSITORY_SERVER, package_index, project};

use super::Play;

const REQUESTS: usize = 300;

fn play(path: fn(usize) -> String, calls: usize) -> Play {
    Play {
        application: SIMPLE_REPOSITORY_SERVER,
        start: applications::simple_repository_server,
        answer: package_index,
        name: project,
        requests: (0..REQUESTS).map(|number| Request::get(path(number))).collect(),
        calls: REQUESTS * calls,
    }
}

/// A project's page is asked for and answered by one task.
#[test]
fn simple_repository_server_calls_for_the_page_it_serves() -> Result<()> {
    play(|number| format!("/simple/p{number}/"), 1).all_right("simple_repository_server_calls_for_the_page_it_serves")
}

/// A file is asked for in three calls, one after the other, and passed through as it comes. Starlette has another task answer
/// than the one that calls, which creates that one; and uvloop reads in no task at all, and creates each next request's task in
/// one that answered before. Some are not known: where the records of all these come too late, on a busy machine.
#[test]
fn simple_repository_server_calls_for_the_file_it_streams() -> Result<()> {
    const TEST: &str = "simple_repository_server_calls_for_the_file_it_streams";
    const RIGHT_PER_MILLE: usize = 970;
    let path = |number| format!("/resources/p{number}/p{number}-1.0.tar.gz");
    play(path, 3).perform(TEST)?.map_or(Ok(()), |verdict| verdict.right_per_mille(RIGHT_PER_MILLE))
}
