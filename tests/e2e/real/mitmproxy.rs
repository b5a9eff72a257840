//! mitmproxy as a reverse proxy: asyncio, a task for each connection of a client and another for each of a server.
//!
//! Its calls are orphans. The task that makes them was created when the client connected, before there was a request; it neither
//! reads requests (callbacks of the loop do) nor answers them: the task of the server's connection does, which it created. So
//! nothing that is told of it leads to a request, and nothing is made up.

use std::collections::BTreeMap;

use anyhow::Result;
use tracemend_tests::applications::{self, Answer, MITMPROXY, Request};

use super::{Play, last};

const REQUESTS: usize = 500;

#[test]
fn mitmproxys_calls_are_orphans_and_never_another_requests() -> Result<()> {
    let play = Play {
        application: MITMPROXY,
        start: applications::mitmproxy,
        answer: |_, path| Answer::ok(path),
        name: last,
        requests: (0..REQUESTS).map(|number| Request::get(format!("/shop/item-{number}?page=1"))).collect(),
        calls: REQUESTS,
    };
    let Some(verdict) = play.perform("mitmproxys_calls_are_orphans_and_never_another_requests")? else { return Ok(()) };
    verdict.nothing_wrong()?;
    assert_eq!(verdict.orphans, BTreeMap::from([("orphan: no lineage".to_owned(), REQUESTS)]), "{verdict}");
    Ok(())
}
