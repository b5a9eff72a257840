//! Every conversation that is played, by chapters. Each is a test in two ways: without a kernel (`tests/plays`) and on real
//! sockets beside an agent (`tests/e2e/plays.rs`).

pub mod framing;
pub mod lines;
pub mod messages;
pub mod switching;

use super::Play;

/// Hands all plays to a macro, as `chapter { play play ... } ...`. This is the list of them.
#[macro_export]
macro_rules! for_each_play {
    ($with:ident) => {
        $with! {
            messages {
                exchanges_follow_one_another
                pipelined_requests_are_answered_in_order
                pipelined_requests_in_one_call_with_bodies
                interim_answers_come_before_the_answer
                a_body_that_was_expected_follows_100_continue
                a_refused_expectation_leaves_the_body
                an_early_answer_does_not_end_the_body
                an_answer_to_nobody_is_no_exchange
                an_answer_before_any_request_is_no_exchange
                an_answer_to_an_unfinished_head_ends_it
            }
            framing {
                chunked_bodies_with_extensions_and_trailers
                chunk_lines_split_anywhere
                answers_without_a_body
                a_body_that_ends_with_the_connection
                http_1_0_is_kept_alive_if_both_want
                http_1_0_closes
                a_body_in_a_gap_is_skipped_by_its_length
                http_in_bodies_is_no_http
            }
            switching {
                a_websocket_is_no_http_any_more
                h2c_is_no_http_1_any_more
                an_offer_that_is_ignored
                an_offer_that_is_refused
                a_tunnel_is_no_http_any_more
                a_refused_tunnel_is_none
            }
            lines {
                targets_of_all_four_forms
                any_token_is_a_method
                blank_lines_before_a_request
                bare_line_feeds
                folded_fields
                odd_white_space
                a_status_line_without_a_reason
                a_long_target
                a_target_beyond_the_capture
                a_head_beyond_the_capture
            }
        }
    };
}

/// Name and description of every play.
#[must_use]
pub fn all() -> Vec<(&'static str, Play)> {
    macro_rules! list {
        ($($chapter:ident { $($play:ident)* })*) => {
            vec![$($((concat!(stringify!($chapter), "::", stringify!($play)), $chapter::$play())),*),*]
        };
    }
    for_each_play!(list)
}

/// A request head with these fields behind `Host`, each with its line end.
fn ask(line: &str, fields: &str) -> String {
    format!("{line} HTTP/1.1\r\nHost: play\r\n{fields}\r\n")
}

/// The head of a `GET`.
fn get(path: &str) -> String {
    ask(&format!("GET {path}"), "")
}

/// A whole answer with a length.
fn answer(status: u16, body: &str) -> String {
    format!("HTTP/1.1 {status} Reason\r\nContent-Length: {}\r\n\r\n{body}", body.len())
}

/// An answer's head with these fields.
fn head(status: u16, fields: &str) -> String {
    format!("HTTP/1.1 {status} Reason\r\n{fields}\r\n")
}

#[cfg(test)]
mod tests {
    #[test]
    fn chapters_are_listed_whole() {
        // What is not listed is not played: every public function of a chapter must be a play.
        let listed: Vec<_> = super::all().into_iter().map(|(name, _)| name).collect();
        for (chapter, source) in [
            ("messages", include_str!("messages.rs")),
            ("framing", include_str!("framing.rs")),
            ("switching", include_str!("switching.rs")),
            ("lines", include_str!("lines.rs")),
        ] {
            for line in source.lines().filter_map(|line| line.strip_prefix("pub fn ")) {
                let name = format!("{chapter}::{}", line.split('(').next().unwrap_or_default());
                assert!(listed.contains(&name.as_str()), "{name}");
            }
        }
    }
}
