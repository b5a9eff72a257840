//! What the kernel half sees of each call: which bytes, in how many firings of its hooks, and why some are unseen.

use super::super::act::{Receiving, Sending};

/// Buffers of one call that the kernel half walks.
const BUFFERS_MAX: usize = 8;
/// What one call takes that does not block: any part of the whole will do.
const PARTIAL_BYTES: usize = 40_000;
/// What one call takes of a long stream at most.
const CALL_BYTES: usize = 65_536;

/// One firing of a payload hook.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Firing {
    /// Bytes moved.
    pub(super) len: usize,
    /// Bytes at their front that can be read.
    pub(super) readable: usize,
    /// Why the others cannot.
    pub(super) unseen: Option<&'static str>,
    /// The descriptor was proven, and in blocking mode.
    pub(super) blocking: bool,
    /// No hook fires: the offset of the next bytes tells.
    pub(super) silent: bool,
}

impl Firing {
    const fn whole(len: usize) -> Self {
        Self { len, readable: len, unseen: None, blocking: true, silent: false }
    }

    const fn unseen(len: usize, reason: &'static str) -> Self {
        Self { len, readable: 0, unseen: Some(reason), blocking: false, silent: false }
    }
}

/// The firings of a call that sends so many bytes.
pub(super) fn sending(call: &Sending, len: usize) -> Vec<Firing> {
    match call {
        Sending::Send | Sending::Write | Sending::ZeroCopy => vec![Firing::whole(len)],
        Sending::Writev(sizes) | Sending::Pwritev2(sizes) | Sending::Sendmsg(sizes) => vec![vectors(sizes, len)],
        Sending::More(sizes) => parts(sizes, len).into_iter().map(Firing::whole).collect(),
        Sending::Partial => chunks(len, PARTIAL_BYTES).map(not_blocking).collect(),
        Sending::Sendmmsg(sizes) => messages(sizes, len),
        Sending::Sendfile | Sending::Splice | Sending::Ring => vec![Firing::unseen(len, "other_syscall")],
        Sending::RingWorker | Sending::RingPolled => vec![Firing::unseen(len, "no_user_caller")],
    }
}

/// The firings of a call that receives so many bytes.
pub(super) fn receiving(call: &Receiving, len: usize) -> Vec<Firing> {
    match call {
        Receiving::Recv | Receiving::Read | Receiving::Peeked | Receiving::WaitAll => {
            chunks(len, CALL_BYTES).map(Firing::whole).collect()
        }
        Receiving::Readv(sizes) | Receiving::Preadv2(sizes) | Receiving::Recvmsg(sizes) => vec![vectors(sizes, len)],
        Receiving::NonBlocking => chunks(len, CALL_BYTES).map(not_blocking).collect(),
        Receiving::Dropped => vec![Firing { blocking: true, ..Firing::unseen(len, "truncated") }],
        Receiving::Recvmmsg(sizes) => messages(sizes, len),
        Receiving::Splice => vec![Firing { silent: true, ..Firing::unseen(len, "") }],
        Receiving::Ring => vec![Firing::unseen(len, "other_syscall")],
        Receiving::RingWorker => vec![Firing::unseen(len, "no_user_caller")],
    }
}

/// The lengths of the parts of so many bytes: as the sizes say, and the rest.
pub(super) fn parts(sizes: &[usize], len: usize) -> Vec<usize> {
    let mut left = len;
    let mut parts = Vec::new();
    for size in sizes {
        parts.push((*size).min(left));
        left -= parts[parts.len() - 1];
    }
    parts.push(left);
    parts.retain(|part| *part > 0);
    parts
}

fn vectors(sizes: &[usize], len: usize) -> Firing {
    let parts = parts(sizes, len);
    let readable = parts.iter().take(BUFFERS_MAX).sum();
    Firing { readable, unseen: (parts.len() > BUFFERS_MAX).then_some("many_buffers"), ..Firing::whole(len) }
}

fn messages(sizes: &[usize], len: usize) -> Vec<Firing> {
    let message = |part| Firing { blocking: true, ..Firing::unseen(part, "multi_message") };
    parts(sizes, len).into_iter().map(message).collect()
}

fn not_blocking(len: usize) -> Firing {
    Firing { blocking: false, ..Firing::whole(len) }
}

fn chunks(len: usize, size: usize) -> impl Iterator<Item = usize> {
    (0..len.div_ceil(size)).map(move |number| size.min(len - number * size))
}
