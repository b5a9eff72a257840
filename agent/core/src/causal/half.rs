//! Halves of exchanges, open and recently ended, and how they are found.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use crate::causal::identity::ExchangeId;
use crate::decode::{Connect, Endpoint, Tag};
use crate::ids::{BootNanos, ProcessId, SockCookie, SpanId, TraceId};
use crate::proto::exchange::{End, Ending, HalfKey, Request, Response, Role};
use crate::span::Decision;

/// A half with all that may decide its cause.
#[derive(Clone, Debug)]
pub struct Half {
    /// Its request.
    pub request: Request,
    /// The final response, once seen.
    pub response: Option<Response>,
    /// How it ended, once it did.
    pub end: Option<End>,
    /// The process of its first byte.
    pub process: ProcessId,
    /// Both addresses of its socket.
    pub endpoint: Arc<Endpoint>,
    /// Its socket is a unix socket.
    pub unix: bool,
    /// Cookie of the unix socket at the other end, once known.
    pub unix_peer: Option<SockCookie>,
    /// What both ends call this exchange, once known.
    pub identity: Option<ExchangeId>,
    /// Raw offset of the turn its request began in.
    pub turn: u64,
    /// The call of `connect()` that opened its connection, if it is the first exchange on it.
    pub connect: Option<Connect>,
    /// When the thread that read it first touched another server connection, while it was open as far as was known.
    pub elsewhere: Option<BootNanos>,
    /// It was open then, as its later bytes showed.
    pub interleaved: bool,
    /// Another request was open in its process at the same time.
    pub concurrent: bool,
    /// Records of the acting thread were lost while it was open.
    pub gap: bool,
    /// A request was open in its process when it started.
    pub serving: bool,
    /// What was decided, for good.
    pub decided: Option<Arc<Decided>>,
}

/// A decision that spans were, or will be, built from: it never changes.
#[derive(Clone, Debug)]
pub struct Decided {
    /// Ids, cause and evidence.
    pub decision: Decision,
    /// It is not exported, nor is what it caused.
    pub excluded: bool,
}

impl Half {
    /// When its first byte moved.
    #[must_use]
    pub const fn start(&self) -> BootNanos {
        self.request.start
    }

    /// True if it was open at `time` as far as can be shown.
    #[must_use]
    pub fn open_at(&self, time: BootNanos) -> bool {
        self.start() <= time
            && match (self.end, self.response) {
                (Some(end), _) => time <= end.time,
                (None, Some(response)) => time <= response.start || !self.ends_unseen(response),
                (None, None) => true,
            }
    }

    /// True if its answer may be over for long before that shows: a unix socket does not tell that it was closed, the
    /// other end's next read does.
    const fn ends_unseen(&self, response: Response) -> bool {
        match response.ending {
            Ending::Framed => false,
            Ending::Close => self.unix,
            Ending::Unseen => true,
        }
    }

    /// What its request carries that names it.
    pub fn carried(&self) -> impl Iterator<Item = Carried> + use<> {
        let context = &self.request.context;
        let parent = context.parent.map(|parent| Carried::Context(parent.trace_id, parent.span_id));
        parent.into_iter().chain(context.request_id.clone().map(Carried::Id))
    }

    /// True if both halves carry the same request line, as two ends of one exchange must.
    #[must_use]
    pub fn same_request(&self, other: &Self) -> bool {
        self.request.method == other.request.method && self.request.target == other.request.target
    }
}

/// All halves that may still matter.
#[derive(Debug, Default)]
pub struct Halves {
    all: BTreeMap<HalfKey, Half>,
    clients: HashMap<ExchangeId, Vec<HalfKey>>,
    requests: HashMap<(ProcessId, Carried), Vec<HalfKey>>,
}

/// What a request carries that a call may pass on: its context, or where it has none its correlation id.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Carried {
    /// Trace and span named on the wire.
    Context(TraceId, SpanId),
    /// `x-request-id`.
    Id(String),
}

/// What a tag names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Named {
    /// Bytes that belong to no request we read.
    Nothing,
    /// One request.
    One(HalfKey),
    /// Several requests of one turn (pipelining).
    Several,
}

impl Halves {
    /// A half.
    #[must_use]
    pub fn get(&self, key: HalfKey) -> Option<&Half> {
        self.all.get(&key)
    }

    /// A half, to change it. Its identity changes through [`Self::identify`] alone.
    pub fn get_mut(&mut self, key: HalfKey) -> Option<&mut Half> {
        self.all.get_mut(&key)
    }

    /// How many there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.all.len()
    }

    /// Adds a half.
    pub fn insert(&mut self, half: Half) {
        let key = half.request.key;
        self.remove(key);
        match (half.request.role, half.identity) {
            (Role::Client, Some(identity)) => self.clients.entry(identity).or_default().push(key),
            (Role::Client, None) => {}
            (Role::Server, _) => {
                for carried in half.carried() {
                    self.requests.entry((half.process, carried)).or_default().push(key);
                }
            }
        }
        self.all.insert(key, half);
    }

    /// Forgets a half.
    pub fn remove(&mut self, key: HalfKey) {
        if let Some(half) = self.all.remove(&key) {
            self.unindex(key, half.identity);
            for carried in half.carried() {
                forget(&mut self.requests, &(half.process, carried), key);
            }
        }
    }

    /// Requests of a process that carry something, answered or not.
    pub fn carrying(&self, process: ProcessId, carried: Carried) -> impl Iterator<Item = &Half> {
        let keys = self.requests.get(&(process, carried));
        keys.into_iter().flatten().filter_map(|key| self.all.get(key))
    }

    /// Sets what both ends call the exchange.
    pub fn identify(&mut self, key: HalfKey, identity: ExchangeId) {
        let Some(half) = self.all.get_mut(&key) else { return };
        let before = half.identity.replace(identity);
        if half.request.role == Role::Client && before != Some(identity) {
            self.clients.entry(identity).or_default().push(key);
            self.unindex(key, before);
        }
    }

    /// The client halves that claim an identity: more than one is a dispute.
    #[must_use]
    pub fn clients(&self, identity: ExchangeId) -> &[HalfKey] {
        self.clients.get(&identity).map_or(&[], Vec::as_slice)
    }

    /// Halves of one socket, in order of their offsets.
    pub fn of_socket(&self, cookie: SockCookie) -> impl DoubleEndedIterator<Item = &Half> {
        let first = HalfKey { cookie, offset: 0 };
        let last = HalfKey { cookie, offset: u64::MAX };
        self.all.range(first..=last).map(|(_, half)| half)
    }

    /// The server half whose bytes a tag names, as it stood at `time`.
    #[must_use]
    pub fn named(&self, tag: Tag, time: BootNanos) -> Named {
        let started =
            || self.of_socket(tag.cookie).filter(|half| half.request.role == Role::Server && half.start() <= time);
        let mut in_turn = started().filter(|half| half.turn == tag.offset);
        if let Some(first) = in_turn.next() {
            return if in_turn.next().is_none() { Named::One(first.request.key) } else { Named::Several };
        }
        // A turn may begin within a body, after a 100 (Continue). After an answer it is another request's, of which
        // nothing was told.
        let around = |half: &&Half| {
            let offset = half.request.key.offset;
            let within = half
                .end
                .map_or(half.response.is_none_or(|response| time < response.start), |end| tag.offset < end.request_end);
            offset < tag.offset && within
        };
        started().rev().find(around).map_or(Named::Nothing, |half| Named::One(half.request.key))
    }

    fn unindex(&mut self, key: HalfKey, identity: Option<ExchangeId>) {
        if let Some(identity) = identity {
            forget(&mut self.clients, &identity, key);
        }
    }
}

fn forget<K: Eq + std::hash::Hash>(index: &mut HashMap<K, Vec<HalfKey>>, name: &K, key: HalfKey) {
    if let Some(keys) = index.get_mut(name) {
        keys.retain(|other| *other != key);
        if keys.is_empty() {
            index.remove(name);
        }
    }
}
