//! Every call that moves bytes of a socket: the same exchange through each, or what is not seen, counted.

use super::{answer, ask, get, head};
use crate::play::act::Side::{Client, Server};
use crate::play::{Half, Link, Play, Receiving, Sending, Told, exchange};

const BODY: &str = "0123456789abcdef";

fn request() -> String {
    ask("POST /way", "Content-Length: 16\r\n") + BODY
}

fn told() -> Told {
    exchange("POST", "/way", 200).bodies(16, 16)
}

/// Both messages by these calls, twice.
fn both(out: &Sending, into: &Receiving) -> Play {
    let play = Play::over(Link::Ipv4);
    (0..2).fold(play, |play, _| {
        play.carry(Client, request(), out.clone(), into.clone())
            .carry(Server, answer(200, BODY), out.clone(), into.clone())
            .told(told())
    })
}

/// `send` and `recv`.
#[must_use]
pub fn send_and_recv() -> Play {
    both(&Sending::Send, &Receiving::Recv)
}

/// `write` and `read`.
#[must_use]
pub fn write_and_read() -> Play {
    both(&Sending::Write, &Receiving::Read)
}

/// `writev` and `readv`, buffers of uneven sizes.
#[must_use]
pub fn writev_and_readv() -> Play {
    both(&Sending::Writev(vec![3, 1, 17]), &Receiving::Readv(vec![7, 11, 1]))
}

/// `pwritev2` and `preadv2`.
#[must_use]
pub fn pwritev2_and_preadv2() -> Play {
    both(&Sending::Pwritev2(vec![1, 40]), &Receiving::Preadv2(vec![5, 2]))
}

/// `sendmsg` and `recvmsg`, one buffer.
#[must_use]
pub fn sendmsg_and_recvmsg_with_one_buffer() -> Play {
    both(&Sending::Sendmsg(Vec::new()), &Receiving::Recvmsg(Vec::new()))
}

/// Eight buffers: as many as are walked.
#[must_use]
pub fn sendmsg_and_recvmsg_with_eight_buffers() -> Play {
    both(&Sending::Sendmsg(vec![1, 2, 3, 4, 5, 6, 7]), &Receiving::Recvmsg(vec![7, 6, 5, 4, 3, 2, 1]))
}

/// Twelve buffers: those behind the eighth are a body here, and counted.
#[must_use]
pub fn sendmsg_with_twelve_buffers_of_which_the_last_are_a_body() -> Play {
    let (asked, answered) = (ask("POST /way", "Content-Length: 16\r\n"), head(200, "Content-Length: 16\r\n"));
    // Seven small ones, the rest of the head, and four of the body.
    let sizes = |head: &str| vec![1, 2, 3, 4, 5, 6, 7, head.len() - 28, 4, 4, 4];
    Play::over(Link::Ipv4)
        .carry(Client, asked.clone() + BODY, Sending::Sendmsg(sizes(&asked)), Receiving::Recv)
        .carry(Server, answered.clone() + BODY, Sending::Sendmsg(sizes(&answered)), Receiving::Recv)
        .told(told().unseen(16, 16))
        .loses("many_buffers", 2)
        .loses("unseen_bytes", 32)
}

/// Twelve buffers, the head ends in the ninth: it is known by its whole lines before that.
#[must_use]
pub fn recvmsg_with_twelve_buffers_of_which_the_last_hold_fields() -> Play {
    let asked = ask("GET /way", "User-Agent: a\r\nX-Request-Id: unseen\r\n");
    let cut = asked.len() as u64 - 50;
    let sizes = vec![5, 6, 7, 8, 6, 6, 6, 6, 3, 3, 3];
    Play::over(Link::Ipv4)
        .carry(Client, &asked, Sending::Send, Receiving::Recvmsg(sizes))
        .server(answer(200, ""))
        .told(exchange("GET", "/way", 200).at_server(|half| {
            half.bodies[0] = None;
            half.unseen = cut;
        }))
        .loses("many_buffers", 1)
        .loses("unseen_bytes", cut)
        .loses("cut_heads", 1)
}

/// `MSG_PEEK` before each read: what was looked at is told once.
#[must_use]
pub fn peeked_bytes_are_told_once() -> Play {
    both(&Sending::Send, &Receiving::Peeked)
}

/// `MSG_WAITALL` over several sends.
#[must_use]
pub fn waitall_over_several_sends() -> Play {
    let request = request();
    let (first, rest) = request.split_at(20);
    Play::over(Link::Ipv4)
        .says(Client, first, Sending::Send)
        .says(Client, rest, Sending::Send)
        .hears(Server, request.len(), Receiving::WaitAll)
        .carry(Server, answer(200, BODY), Sending::Send, Receiving::WaitAll)
        .told(told().at_client(|half| half.begun(2)))
}

/// `MSG_MORE`: the kernel waits, the hooks do not.
#[must_use]
pub fn more_is_to_come() -> Play {
    both(&Sending::More(vec![10, 30]), &Receiving::Recv)
}

/// Without blocking, into a buffer that takes a part at a time.
#[must_use]
pub fn partial_writes_without_blocking() -> Play {
    const BYTES: usize = 2_000_000;
    let fields = format!("Content-Length: {BYTES}\r\n");
    let (asked, answered) = (ask("POST /part", &fields), head(200, &fields));
    let body = ".".repeat(BYTES);
    let unseen = 2 * BYTES as u64 - (8192 - asked.len() as u64) - (1024 - answered.len() as u64);
    Play::over(Link::Ipv4)
        .carry(Client, asked + &body, Sending::Partial, Receiving::NonBlocking)
        .carry(Server, answered + &body, Sending::Partial, Receiving::NonBlocking)
        .told(exchange("POST", "/part", 200).bodies(BYTES as u64, BYTES as u64).unseen(unseen, unseen))
}

/// `MSG_ZEROCOPY`, with its completions read from the error queue, which are no bytes of the stream.
#[must_use]
pub fn zero_copy() -> Play {
    both(&Sending::ZeroCopy, &Receiving::Recv)
}

/// What this end says is not seen at this end; the other one tells the exchange alone.
fn request_unseen(call: Sending, reason: &'static str, calls: u64) -> Play {
    let bytes = request().len() as u64;
    Play::over(Link::Ipv4)
        .carry(Client, request(), call, Receiving::Recv)
        .server(answer(200, BODY))
        .told(told().by_server_alone())
        .client(get("/after"))
        .server(answer(200, ""))
        .told(exchange("GET", "/after", 200))
        .loses(reason, calls)
        .loses("unseen_bytes", bytes)
}

/// `sendmmsg`: two messages, one call.
#[must_use]
pub fn a_request_by_sendmmsg_is_counted() -> Play {
    request_unseen(Sending::Sendmmsg(vec![30]), "multi_message", 2)
}

/// `splice` from a pipe.
#[must_use]
pub fn a_request_by_splice_is_counted() -> Play {
    request_unseen(Sending::Splice, "other_syscall", 1)
}

/// `sendfile` of a head.
#[must_use]
pub fn a_request_by_sendfile_is_counted() -> Play {
    request_unseen(Sending::Sendfile, "other_syscall", 1)
}

/// io_uring, in the call that submits.
#[must_use]
pub fn a_request_by_io_uring_is_counted() -> Play {
    request_unseen(Sending::Ring, "other_syscall", 1)
}

/// io_uring, by a worker.
#[must_use]
pub fn a_request_by_an_io_uring_worker_is_counted() -> Play {
    request_unseen(Sending::RingWorker, "no_user_caller", 1)
}

/// io_uring, submitted by the kernel.
#[must_use]
pub fn a_request_by_a_polled_io_uring_is_counted() -> Play {
    request_unseen(Sending::RingPolled, "no_user_caller", 1)
}

/// What this end hears is not seen at this end.
fn request_unheard(call: Receiving, reason: &'static str, calls: u64) -> Play {
    let bytes = request().len() as u64;
    Play::over(Link::Ipv4)
        .carry(Client, request(), Sending::Send, call)
        .server(answer(200, BODY))
        .told(told().by_client_alone())
        .client(get("/after"))
        .server(answer(200, ""))
        .told(exchange("GET", "/after", 200))
        .loses(reason, calls)
        .loses("unseen_bytes", bytes)
}

/// `recvmmsg`.
#[must_use]
pub fn a_request_by_recvmmsg_is_counted() -> Play {
    request_unheard(Receiving::Recvmmsg(vec![30]), "multi_message", 2)
}

/// io_uring.
#[must_use]
pub fn a_request_read_by_io_uring_is_counted() -> Play {
    request_unheard(Receiving::Ring, "other_syscall", 1)
}

/// io_uring, by a worker.
#[must_use]
pub fn a_request_read_by_an_io_uring_worker_is_counted() -> Play {
    request_unheard(Receiving::RingWorker, "no_user_caller", 1)
}

/// `MSG_TRUNC` takes the bytes from the stream and copies none.
#[must_use]
pub fn a_request_that_is_dropped_is_counted() -> Play {
    request_unheard(Receiving::Dropped, "truncated", 1)
}

/// `splice` into a pipe fires no hook: the offset of what comes next tells.
#[must_use]
pub fn a_request_by_splice_into_a_pipe_is_found_missing() -> Play {
    Play::over(Link::Ipv4)
        .client(get("/a"))
        .server(answer(200, ""))
        .told(exchange("GET", "/a", 200))
        .carry(Client, request(), Sending::Send, Receiving::Splice)
        .server(answer(200, BODY))
        .told(told().by_client_alone())
        .client(get("/after"))
        .server(answer(200, ""))
        .told(exchange("GET", "/after", 200))
        .loses("unseen_heads", 1)
        .loses("unasked_responses", 1)
}

/// The body goes from a file into the socket; its bytes are counted, and the span ends with the last.
#[must_use]
pub fn a_body_by_sendfile() -> Play {
    answered_in_two(Sending::Sendfile, "other_syscall")
}

/// The same through a pipe.
#[must_use]
pub fn a_body_by_splice() -> Play {
    answered_in_two(Sending::Splice, "other_syscall")
}

fn answered_in_two(call: Sending, reason: &'static str) -> Play {
    Play::over(Link::Ipv4)
        .client(get("/file"))
        .server(head(200, "Content-Length: 16\r\n"))
        .pause(200)
        .carry(Server, BODY, call, Receiving::Recv)
        .told(exchange("GET", "/file", 200).bodies(0, 16).first_byte(2).at_server(|half| half.unseen = 16))
        .client(get("/after"))
        .server(answer(200, ""))
        .told(exchange("GET", "/after", 200))
        .loses(reason, 1)
        .loses("unseen_bytes", 16)
}

/// The client has the body spliced into a pipe: nothing fires, and the next bytes tell that it was read.
#[must_use]
pub fn a_body_spliced_into_a_pipe() -> Play {
    Play::over(Link::Ipv4)
        .client(get("/file"))
        .server(head(200, "Content-Length: 16\r\n"))
        .pause(200)
        .carry(Server, BODY, Sending::Send, Receiving::Splice)
        .told(
            exchange("GET", "/file", 200)
                .bodies(0, 16)
                .first_byte(2)
                // When it was read is not known; that it was, the next answer's offset says.
                .at_client(|half| {
                    half.ended(2);
                    half.unseen = 16;
                }),
        )
        .client(get("/after"))
        .server(answer(200, ""))
        .told(exchange("GET", "/after", 200))
}

/// An answer whose head is not seen at its server: there the exchange has no status, and ends with its turn.
#[must_use]
pub fn an_answer_by_sendmmsg_is_counted() -> Play {
    let answered = answer(200, BODY);
    let bytes = answered.len() as u64;
    Play::over(Link::Ipv4)
        .client(get("/a"))
        .carry(Server, answered, Sending::Sendmmsg(vec![20]), Receiving::Recv)
        .told(exchange("GET", "/a", 200).bodies(0, 16).at_server(|half: &mut Half| {
            half.status = None;
            half.bodies[1] = None;
            half.unseen = bytes;
        }))
        .client(get("/after"))
        .server(answer(200, ""))
        .told(exchange("GET", "/after", 200))
        .loses("multi_message", 2)
        .loses("unseen_bytes", bytes)
        .loses("unseen_heads", 1)
}

/// Two connections of the same two processes: what a ring moves on one does not touch the other.
#[must_use]
pub fn io_uring_beside_traced_traffic() -> Play {
    let bytes = 2 * get("/ring").len() as u64;
    Play::over(Link::Ipv4)
        .client(get("/seen/1"))
        .connect(0, 1, Link::Ipv4)
        .carry(Client, get("/ring"), Sending::Ring, Receiving::Ring)
        .on(0)
        .server(answer(200, ""))
        .told(exchange("GET", "/seen/1", 200))
        .on(1)
        .carry(Server, answer(200, ""), Sending::RingWorker, Receiving::RingWorker)
        .on(0)
        .client(get("/seen/2"))
        .server(answer(204, ""))
        .told(exchange("GET", "/seen/2", 204))
        .loses("other_syscall", 2)
        .loses("no_user_caller", 2)
        .loses("unseen_bytes", bytes + 2 * answer(200, "").len() as u64)
}
