//! Caddy as a reverse proxy: net/http on both sides, with Caddy's own listeners, dialler and copying between.

use anyhow::Result;
use tracemend_tests::applications::{self, Answer, CADDY, Request};

use super::{Play, last};

const REQUESTS: usize = 1000;

#[test]
fn caddy_calls_for_the_request_it_passes_on() -> Result<()> {
    let play = Play {
        application: CADDY,
        start: applications::caddy,
        answer: |_, path| Answer::ok(path),
        name: last,
        requests: (0..REQUESTS).map(|number| Request::get(format!("/shop/item-{number}?page=1"))).collect(),
        calls: REQUESTS,
    };
    play.all_right("caddy_calls_for_the_request_it_passes_on")
}
