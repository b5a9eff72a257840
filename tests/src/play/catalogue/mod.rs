//! Every conversation that is played, by chapters. Each is a test in two ways: without a kernel (`tests/plays`) and on real
//! sockets beside an agent (`tests/e2e/plays.rs`).

pub mod causes;
pub mod context;
pub mod descriptors;
pub mod detection;
pub mod ends;
pub mod framing;
pub mod ids;
pub mod lines;
pub mod links;
pub mod messages;
pub mod streaming;
pub mod switching;
pub mod ways;

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
            detection {
                tls_is_no_http
                http_2_with_prior_knowledge_is_no_http_1
                other_protocols_are_no_http
                a_server_that_speaks_first_is_no_http_server
                text_that_looks_like_http_is_none
                a_request_whose_answer_is_no_http_is_none
                a_verdict_is_not_revised_after_the_first_exchange
                messages_in_bodies_are_none
            }
            ends {
                a_reset_in_a_requests_head
                a_reset_in_a_requests_body
                a_reset_before_the_answer
                a_reset_in_a_status_line
                a_reset_in_an_answers_head
                a_reset_in_an_answers_body
                a_client_that_resets_in_an_answers_body
                an_answer_that_is_read_after_a_reset
                an_answer_that_is_read_after_both_ends_closed
                a_request_that_is_read_after_a_reset
                a_client_that_gives_up_waiting
                a_server_that_closes_without_an_answer
                a_server_that_closes_in_its_body
                a_server_that_closes_between_chunks
                a_client_that_half_closes_is_answered
                a_client_that_half_closes_in_its_body_is_answered
                a_server_that_half_closes_in_its_body
                pipelined_requests_that_a_close_leaves_unanswered
                a_reset_after_the_answer_changes_nothing
                a_body_ended_by_a_close_that_the_client_does_not_read_to_its_end
                a_unix_socket_that_closes_without_an_answer
                an_answer_said_whole_and_heard_in_part
            }
            context {
                a_traceparent_names_the_parent
                a_traceparent_of_a_future_version_is_read
                a_malformed_traceparent_names_nothing
                a_traceparent_that_comes_twice_names_nothing
                names_that_are_no_fields_of_the_head_name_nothing
                a_tracestate_is_combined_from_its_fields
                a_tracestate_is_kept_within_its_limits
                b3_names_the_parent
                a_malformed_b3_names_nothing
                an_uber_trace_id_names_the_parent
                of_several_formats_the_first_that_is_valid_counts
                what_is_not_sampled_is_not_told
            }
            ids {
                ids_of_both_messages_are_on_the_span
                ids_stay_with_their_messages
                what_is_no_id_is_left_out
                an_id_beyond_the_captured_head_of_an_answer_is_unseen
            }
            causes {
                a_call_belongs_to_the_request_its_thread_read
                a_forwarded_context_agrees_with_the_thread
                a_context_of_the_programs_own_is_the_parent
                a_constant_context_merges_no_requests
                a_stale_context_is_a_conflict
                swapped_contexts_are_conflicts
                a_context_of_another_trace_is_a_conflict
                a_forwarded_request_id_links_where_the_thread_cannot
                a_request_id_that_disagrees_with_the_thread_links_nothing
                a_forwarded_x_trace_id_links_nothing
            }
            ways {
                send_and_recv
                write_and_read
                writev_and_readv
                pwritev2_and_preadv2
                sendmsg_and_recvmsg_with_one_buffer
                sendmsg_and_recvmsg_with_eight_buffers
                sendmsg_with_twelve_buffers_of_which_the_last_are_a_body
                recvmsg_with_twelve_buffers_of_which_the_last_hold_fields
                peeked_bytes_are_told_once
                waitall_over_several_sends
                more_is_to_come
                partial_writes_without_blocking
                zero_copy
                a_request_by_sendmmsg_is_counted
                a_request_by_splice_is_counted
                a_request_by_sendfile_is_counted
                a_request_by_io_uring_is_counted
                a_request_by_an_io_uring_worker_is_counted
                a_request_by_a_polled_io_uring_is_counted
                a_request_by_recvmmsg_is_counted
                a_request_read_by_io_uring_is_counted
                a_request_read_by_an_io_uring_worker_is_counted
                a_request_that_is_dropped_is_counted
                a_request_by_splice_into_a_pipe_is_found_missing
                a_body_by_sendfile
                a_body_by_splice
                a_body_spliced_into_a_pipe
                an_answer_by_sendmmsg_is_counted
                io_uring_beside_traced_traffic
            }
            links {
                ipv4
                ipv6
                ipv4_by_ipv6_sockets
                unix_sockets_with_a_path
                unix_sockets_with_an_abstract_name
                unix_sockets_without_a_name
                multipath_tcp_is_counted
                tcp_to_a_multipath_listener
                two_processes_on_one_port
                exchanges_on_several_connections_at_a_time
            }
            descriptors {
                duplicated_descriptors
                a_descriptor_that_is_passed_on
                a_unix_socket_that_is_passed_on
                a_descriptor_inherited_over_fork
                a_client_that_forks_inside_an_exchange
                a_descriptor_inherited_over_exec
                descriptors_closed_and_reused
                two_threads_on_one_connection
            }
            streaming {
                server_sent_events_in_chunks
                server_sent_events_until_the_server_closes
                server_sent_events_until_the_client_closes
                server_sent_events_beyond_the_capture
                a_download_with_pauses
                an_upload_with_pauses
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

/// The bytes of all plays in every direction of every connection, each once: seeds for whatever wants bytes that are
/// HTTP/1, or nearly.
#[must_use]
pub fn streams() -> Vec<Vec<u8>> {
    let streams: std::collections::BTreeSet<_> = all().iter().flat_map(|(_, play)| play.streams()).collect();
    streams.into_iter().filter(|stream| !stream.is_empty()).collect()
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
            ("detection", include_str!("detection.rs")),
            ("ends", include_str!("ends.rs")),
            ("context", include_str!("context.rs")),
            ("ids", include_str!("ids.rs")),
            ("causes", include_str!("causes.rs")),
            ("ways", include_str!("ways.rs")),
            ("links", include_str!("links.rs")),
            ("descriptors", include_str!("descriptors.rs")),
            ("streaming", include_str!("streaming.rs")),
        ] {
            for line in source.lines().filter_map(|line| line.strip_prefix("pub fn ")) {
                let name = format!("{chapter}::{}", line.split('(').next().unwrap_or_default());
                assert!(listed.contains(&name.as_str()), "{name}");
            }
        }
    }
}
