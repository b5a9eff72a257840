//! HTTP/1 as it is spoken on real connections, word for word.

use std::time::Duration;

use anyhow::Result;
use tracemend_tests::agent::{Builder, Stopped};
use tracemend_tests::clock::near;
use tracemend_tests::dialogue::Dialogue;
use tracemend_tests::otlp::{Kind, Span};
use tracemend_tests::scene::Scene;
use tracemend_tests::session::WireContext;

/// The reader is given this long to take a piece before the next one comes.
const BETWEEN_PIECES: Duration = Duration::from_millis(3);

/// What the agent, tracing this process, made of one dialogue.
struct Heard {
    clients: Vec<Span>,
    servers: Vec<Span>,
    stopped: Stopped,
}

impl Heard {
    /// Holds a dialogue beside an agent.
    fn of(test: &str, speak: impl FnOnce(&mut Dialogue) -> Result<()>) -> Result<Option<Self>> {
        let Some(scene) = Scene::open(test, &[])? else {
            return Ok(None);
        };
        let agent = Builder::new(&scene).pid(std::process::id()).start()?;
        let mut dialogue = Dialogue::open()?;
        let (client, server) = dialogue.client()?.ends().clone();
        speak(&mut dialogue)?;
        let mut stopped = agent.stop()?;
        stopped.spans.sort_by_key(|span| span.start_ns);
        let of = |kind, local: &str, peer: &str| {
            let spans = stopped.spans.iter();
            spans.filter(|span| span.kind == kind && span.local() == local && span.peer() == peer).cloned().collect()
        };
        Ok(Some(Self {
            clients: of(Kind::Client, &client, &server),
            servers: of(Kind::Server, &server, &client),
            stopped,
        }))
    }

    /// Both ends were seen as exactly these exchanges, each server span below its client span.
    fn are(&self, exchanges: &[(&str, &str, i64)]) {
        let seen = |spans: &[Span]| -> Vec<_> {
            spans.iter().map(|span| (span.method().to_owned(), span.path().to_owned(), span.status())).collect()
        };
        let expected: Vec<_> = exchanges
            .iter()
            .map(|(method, path, status)| ((*method).to_owned(), (*path).to_owned(), Some(*status)))
            .collect();
        assert_eq!(seen(&self.servers), expected, "as the server saw it");
        assert_eq!(seen(&self.clients), expected, "as the client saw it");
        for (client, server) in self.clients.iter().zip(&self.servers) {
            assert_eq!((&client.trace_id, Some(&client.span_id)), (&server.trace_id, server.parent.as_ref()));
        }
        assert_eq!(self.stopped.spans.len(), 2 * exchanges.len(), "other spans");
    }
}

#[test]
fn pipelined_requests_are_answered_in_turn() -> Result<()> {
    let heard = Heard::of("pipelined_requests_are_answered_in_turn", |dialogue| {
        dialogue.ask(
            b"GET /a HTTP/1.1\r\nhost: x\r\n\r\nHEAD /b HTTP/1.1\r\nhost: x\r\n\r\nGET /c HTTP/1.1\r\nhost: x\r\n\r\n",
        )?;
        dialogue.answer(
            b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nokHTTP/1.1 404 Not Found\r\ncontent-length: 9\r\n\r\n",
        )?;
        dialogue.answer(b"HTTP/1.1 500 No\r\ncontent-length: 0\r\n\r\n")?;
        Ok(())
    })?;
    heard.inspect(|heard| heard.are(&[("GET", "/a", 200), ("HEAD", "/b", 404), ("GET", "/c", 500)]));
    Ok(())
}

#[test]
fn chunked_bodies_end_with_their_last_chunk() -> Result<()> {
    let mut last = 0;
    let heard = Heard::of("chunked_bodies_end_with_their_last_chunk", |dialogue| {
        let pause = Duration::from_millis(100);
        let pieces: [&[u8]; 4] = [
            b"POST /chunks HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n",
            b"1a\r\nGET /no HTTP/1.1\r\nhost: x\r\n\r\n",
            b"0\r\ntrailer: 1\r\n",
            b"\r\n",
        ];
        dialogue.ask_in_pieces(&pieces, BETWEEN_PIECES)?;
        let pieces: [&[u8]; 3] =
            [b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nyes\r\n", b"3;x=y\r\nyes\r\n", b"0\r\n\r\n"];
        last = dialogue.answer_in_pieces(&pieces, pause)? - u64::try_from(pause.as_nanos())?;
        dialogue.ask(b"GET /after HTTP/1.1\r\nhost: x\r\n\r\n")?;
        dialogue.answer(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")?;
        Ok(())
    })?;
    heard.inspect(|heard| {
        heard.are(&[("POST", "/chunks", 200), ("GET", "/after", 200)]);
        assert!(
            near(heard.servers[0].end_ns, last) && heard.servers[0].end_ns - heard.servers[0].start_ns > 200_000_000
        );
    });
    Ok(())
}

#[test]
fn an_interim_answer_is_not_the_answer() -> Result<()> {
    let heard = Heard::of("an_interim_answer_is_not_the_answer", |dialogue| {
        dialogue.ask(b"POST /expect HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\ncontent-length: 5\r\n\r\n")?;
        dialogue.answer(b"HTTP/1.1 100 Continue\r\n\r\n")?;
        dialogue.ask(b"hello")?;
        dialogue.answer(b"HTTP/1.1 103 Early Hints\r\nlink: </s>\r\n\r\n")?;
        dialogue.answer(b"HTTP/1.1 201 Created\r\ncontent-length: 0\r\n\r\n")?;
        dialogue.ask(b"GET /after HTTP/1.1\r\nhost: x\r\n\r\n")?;
        dialogue.answer(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")?;
        Ok(())
    })?;
    heard.inspect(|heard| heard.are(&[("POST", "/expect", 201), ("GET", "/after", 200)]));
    Ok(())
}

#[test]
fn answers_without_a_body_end_with_their_head() -> Result<()> {
    let heard = Heard::of("answers_without_a_body_end_with_their_head", |dialogue| {
        dialogue.ask(b"HEAD /head HTTP/1.1\r\nhost: x\r\n\r\n")?;
        dialogue.answer(b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n")?;
        dialogue.ask(b"DELETE /none HTTP/1.1\r\nhost: x\r\n\r\n")?;
        dialogue.answer(b"HTTP/1.1 204 No Content\r\n\r\n")?;
        dialogue.ask(b"GET /same HTTP/1.1\r\nhost: x\r\nif-none-match: 1\r\n\r\n")?;
        dialogue.answer(b"HTTP/1.1 304 Not Modified\r\ncontent-length: 5000\r\n\r\n")?;
        dialogue.ask(b"GET /after?secret=1 HTTP/1.1\r\nhost: x\r\n\r\n")?;
        dialogue.answer(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")?;
        Ok(())
    })?;
    heard.inspect(|heard| {
        heard.are(&[("HEAD", "/head", 200), ("DELETE", "/none", 204), ("GET", "/same", 304), ("GET", "/after", 200)]);
        let text = format!("{:?}", heard.stopped.spans);
        assert!(!text.contains("secret"), "a query in {text}");
    });
    Ok(())
}

#[test]
fn an_answer_without_a_length_ends_with_the_connection() -> Result<()> {
    let mut closed = 0;
    let heard = Heard::of("an_answer_without_a_length_ends_with_the_connection", |dialogue| {
        dialogue.ask(b"GET /close HTTP/1.1\r\nhost: x\r\n\r\n")?;
        let pieces: [&[u8]; 3] =
            [b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\none", b"two", b"HTTP/1.1 404 this is body\r\n\r\n"];
        closed = dialogue.answer_in_pieces(&pieces, Duration::from_millis(100))?;
        if let Some(server) = dialogue.server.take() {
            server.hang_up()?;
        }
        dialogue.client()?.read_end()?;
        Ok(())
    })?;
    heard.inspect(|heard| {
        heard.are(&[("GET", "/close", 200)]);
        assert!(near(heard.servers[0].end_ns, closed) && near(heard.clients[0].end_ns, closed));
    });
    Ok(())
}

#[test]
fn http_1_0_closes_unless_asked_not_to() -> Result<()> {
    let heard = Heard::of("http_1_0_closes_unless_asked_not_to", |dialogue| {
        dialogue.ask(b"GET /kept HTTP/1.0\r\nconnection: keep-alive\r\n\r\n")?;
        dialogue.answer(b"HTTP/1.0 200 OK\r\nconnection: keep-alive\r\ncontent-length: 2\r\n\r\nok")?;
        dialogue.ask(b"GET /last HTTP/1.0\r\n\r\n")?;
        dialogue.answer(b"HTTP/1.0 200 OK\r\n\r\nall the rest is body")?;
        if let Some(server) = dialogue.server.take() {
            server.hang_up()?;
        }
        dialogue.client()?.read_end()?;
        Ok(())
    })?;
    heard.inspect(|heard| heard.are(&[("GET", "/kept", 200), ("GET", "/last", 200)]));
    Ok(())
}

/// A request head with cookies of this many bytes, and behind them a `traceparent`.
fn behind_cookies(bytes: usize, context: &WireContext) -> Vec<u8> {
    let cookie = "c".repeat(bytes);
    let traceparent = context.traceparent();
    format!("GET /cookies HTTP/1.1\r\nhost: x\r\ncookie: {cookie}\r\ntraceparent: {traceparent}\r\n\r\n").into_bytes()
}

#[test]
fn a_context_behind_six_kilobytes_of_cookies_in_twenty_pieces_is_found() -> Result<()> {
    let context = WireContext::fresh();
    let test = "a_context_behind_six_kilobytes_of_cookies_in_twenty_pieces_is_found";
    let heard = Heard::of(test, |dialogue| {
        let head = behind_cookies(6_000, &context);
        let pieces: Vec<_> = head.chunks(head.len().div_ceil(20)).collect();
        assert_eq!(pieces.len(), 20);
        dialogue.ask_in_pieces(&pieces, BETWEEN_PIECES)?;
        dialogue.answer(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")?;
        Ok(())
    })?;
    heard.inspect(|heard| {
        heard.are(&[("GET", "/cookies", 200)]);
        let client = &heard.clients[0];
        assert_eq!((&client.trace_id, client.parent.as_ref()), (&context.trace_id, Some(&context.span_id)));
    });
    Ok(())
}

#[test]
fn a_context_beyond_the_captured_head_is_counted_as_unseen() -> Result<()> {
    let context = WireContext::fresh();
    let heard = Heard::of("a_context_beyond_the_captured_head_is_counted_as_unseen", |dialogue| {
        dialogue.ask(&behind_cookies(9_000, &context))?;
        dialogue.answer(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")?;
        dialogue.ask(b"GET /after HTTP/1.1\r\nhost: x\r\n\r\n")?;
        dialogue.answer(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")?;
        Ok(())
    })?;
    heard.inspect(|heard| {
        assert!(heard.stopped.spans.iter().all(|span| span.trace_id != context.trace_id));
        // At both ends.
        assert_eq!(heard.stopped.losses, [("cut_heads".to_owned(), 2)].into());
        for spans in [&heard.clients, &heard.servers] {
            let after = spans.iter().filter(|span| span.path() == "/after");
            assert_eq!(after.count(), 1, "the next turn");
        }
    });
    Ok(())
}

/// How many heads there were beyond is not known, but that answers came which nothing known asked for.
#[test]
fn requests_that_begin_beyond_the_captured_head_are_counted_by_their_answers() -> Result<()> {
    let test = "requests_that_begin_beyond_the_captured_head_are_counted_by_their_answers";
    let heard = Heard::of(test, |dialogue| {
        // Nine of them begin within the first 8 KiB of the turn; the ninth is cut.
        let request = |number| format!("GET /{number:02} HTTP/1.1\r\nhost: x\r\ncookie: {}\r\n\r\n", "c".repeat(961));
        let requests: String = (0..12).map(request).collect();
        assert_eq!(requests.len(), 12_000);
        dialogue.ask(requests.as_bytes())?;
        dialogue.answer("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n".repeat(12).as_bytes())?;
        dialogue.ask(b"GET /after HTTP/1.1\r\nhost: x\r\n\r\n")?;
        dialogue.answer(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")?;
        Ok(())
    })?;
    heard.inspect(|heard| {
        let expected = ["/00", "/01", "/02", "/03", "/04", "/05", "/06", "/07", "/08", "/after"];
        for spans in [&heard.clients, &heard.servers] {
            assert_eq!(spans.iter().map(|span| span.path()).collect::<Vec<_>>(), expected);
        }
        assert_eq!(heard.stopped.losses.keys().collect::<Vec<_>>(), ["cut_heads", "unasked_responses"]);
        assert_eq!(heard.stopped.lost_by("cut_heads"), 2);
    });
    Ok(())
}

#[test]
fn the_trace_state_stays_with_its_trace() -> Result<()> {
    let context = WireContext::fresh();
    let heard = Heard::of("the_trace_state_stays_with_its_trace", |dialogue| {
        let traceparent = context.traceparent();
        dialogue.ask(
            format!("GET /state HTTP/1.1\r\nhost: x\r\ntraceparent: {traceparent}\r\ntracestate: a=1,b=2\r\n\r\n")
                .as_bytes(),
        )?;
        dialogue.answer(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")?;
        // Somebody decided that this one is not to be traced.
        let unsampled = WireContext::fresh().traceparent().replace("-01", "-00");
        dialogue.ask(format!("GET /unsampled HTTP/1.1\r\nhost: x\r\ntraceparent: {unsampled}\r\n\r\n").as_bytes())?;
        dialogue.answer(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")?;
        Ok(())
    })?;
    heard.inspect(|heard| {
        heard.are(&[("GET", "/state", 200)]);
        for span in [&heard.clients[0], &heard.servers[0]] {
            assert_eq!((&span.trace_id, span.trace_state.as_str()), (&context.trace_id, "a=1,b=2"));
        }
        assert_eq!(heard.stopped.counts["sampled_out"], 2);
        assert_eq!(heard.stopped.losses, std::collections::BTreeMap::new());
    });
    Ok(())
}
