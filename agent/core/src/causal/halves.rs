//! All halves that may still matter, and how they are found.

use std::cell::Cell;
use std::collections::{BTreeSet, VecDeque};
use std::hash::Hash;

use smallvec::SmallVec;

use crate::causal::half::{Carried, Half};
use crate::causal::identity::ExchangeId;
use crate::decode::Tag;
use crate::ids::{BootNanos, ProcessId, SockCookie};
use crate::map::Map;
use crate::proto::exchange::{HalfKey, Response, Role};

/// Sorts before every half.
const FIRST: HalfKey = HalfKey { cookie: SockCookie(0), offset: 0 };

/// Open halves, and those that ended recently.
#[derive(Debug, Default)]
pub struct Halves {
    /// By their socket, in order of their offsets: a new one is the last, and the one to be forgotten mostly the first.
    sockets: Map<SockCookie, Socket>,
    ends: Map<ExchangeId, Claims>,
    requests: Map<(ProcessId, Carried), BTreeSet<(BootNanos, HalfKey)>>,
    bytes: usize,
    #[expect(clippy::vec_box, reason = "places move between here and the sockets; what is in them does not")]
    spare: Vec<Box<Half>>,
}

/// The halves of a socket with their offsets. Each half in a place of its own: they are large, and what a list holds
/// moves.
#[derive(Debug, Default)]
struct Socket {
    halves: VecDeque<(u64, Box<Half>)>,
    /// Where one was found last: mostly that one, or the one behind it, is looked for next.
    near: Cell<usize>,
}

/// Places of forgotten halves that are kept for new ones: where room is short, each new one makes one be forgotten. What
/// they held goes when they are used again, so that there are few.
const SPARE_MAX: usize = 64;

/// The halves that claim to be an exchange's client, and those that claim to be its server. In one place, since both are
/// looked for at once. Hardly ever more than one of each: a second claim is a dispute.
#[derive(Debug, Default)]
struct Claims {
    clients: SmallVec<[HalfKey; 1]>,
    servers: SmallVec<[HalfKey; 1]>,
}

impl Claims {
    const fn of(&self, role: Role) -> &SmallVec<[HalfKey; 1]> {
        match role {
            Role::Client => &self.clients,
            Role::Server => &self.servers,
        }
    }

    const fn of_mut(&mut self, role: Role) -> &mut SmallVec<[HalfKey; 1]> {
        match role {
            Role::Client => &mut self.clients,
            Role::Server => &mut self.servers,
        }
    }
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
        let socket = self.sockets.get(&key.cookie)?;
        socket.halves.get(socket.place(key.offset).ok()?).map(|(_, half)| half.as_ref())
    }

    /// A half, to change it. Its identity changes through [`Self::identify`] alone.
    pub fn get_mut(&mut self, key: HalfKey) -> Option<&mut Half> {
        let socket = self.sockets.get_mut(&key.cookie)?;
        let place = socket.place(key.offset).ok()?;
        socket.halves.get_mut(place).map(|(_, half)| half.as_mut())
    }

    /// All of them, in order of their keys. That takes long.
    pub fn all(&self) -> impl Iterator<Item = &Half> {
        let mut all: Vec<&Half> =
            self.sockets.values().flat_map(|socket| &socket.halves).map(|(_, half)| half.as_ref()).collect();
        all.sort_unstable_by_key(|half| half.request.key);
        all.into_iter()
    }

    /// Bytes of memory they take, about.
    #[must_use]
    pub const fn bytes(&self) -> usize {
        self.bytes
    }

    /// Adds a half.
    pub fn insert(&mut self, mut half: Half) {
        let (key, role) = (half.request.key, half.request.role);
        self.forget(key);
        if let Some(identity) = half.identity {
            self.claim(role, identity, key);
        }
        if role == Role::Server {
            for carried in half.carried() {
                self.requests.entry((half.process, carried)).or_default().insert((half.start(), key));
            }
        }
        half.bytes = half.size();
        self.bytes += half.bytes;
        let half = match self.spare.pop() {
            Some(mut place) => {
                *place = half;
                place
            }
            None => Box::new(half),
        };
        let socket = self.sockets.entry(key.cookie).or_default();
        let (Ok(place) | Err(place)) = socket.late_place(key.offset);
        socket.halves.insert(place, (key.offset, half));
    }

    /// The final answer of a half began.
    pub fn answer(&mut self, key: HalfKey, response: Response) -> Option<&mut Half> {
        let Self { sockets, bytes, .. } = self;
        let socket = sockets.get_mut(&key.cookie)?;
        let place = socket.late_place(key.offset).ok()?;
        let (_, half) = socket.halves.get_mut(place)?;
        half.response = Some(response);
        let before = half.bytes;
        half.bytes = half.size();
        *bytes = *bytes - before + half.bytes;
        Some(half)
    }

    /// Forgets a half.
    pub fn forget(&mut self, key: HalfKey) {
        if let Some(half) = self.remove(key) {
            self.reuse(half);
        }
    }

    /// Takes a half out, to be given to [`Self::reuse`].
    pub fn remove(&mut self, key: HalfKey) -> Option<Box<Half>> {
        let socket = self.sockets.get_mut(&key.cookie)?;
        let half = socket.remove(key.offset)?;
        if socket.halves.is_empty() {
            self.sockets.remove(&key.cookie);
        }
        self.bytes -= half.bytes;
        if let Some(identity) = half.identity {
            self.disclaim(half.request.role, identity, key);
        }
        if half.request.role == Role::Server {
            for carried in half.carried() {
                forget(&mut self.requests, &(half.process, carried), &(half.start(), key));
            }
        }
        Some(half)
    }

    /// Keeps the place of a half that is forgotten for another one.
    pub fn reuse(&mut self, half: Box<Half>) {
        if self.spare.len() < SPARE_MAX {
            self.spare.push(half);
        }
    }

    /// Requests of a process that carry something and began by `time`, answered or not, the latest first.
    pub fn carrying(&self, process: ProcessId, carried: Carried, time: BootNanos) -> impl Iterator<Item = &Half> {
        let all = self.requests.get(&(process, carried)).into_iter();
        let began = all.flat_map(move |keys| keys.range(..(BootNanos(time.0.saturating_add(1)), FIRST)).rev());
        began.filter_map(|(_, key)| self.get(*key))
    }

    /// Sets what both ends call the exchange.
    pub fn identify(&mut self, key: HalfKey, identity: ExchangeId) {
        let Some(half) = self.get_mut(key) else { return };
        let role = half.request.role;
        if let Some(before) = half.identity.replace(identity) {
            self.disclaim(role, before, key);
        }
        self.claim(role, identity, key);
    }

    fn claim(&mut self, role: Role, identity: ExchangeId, key: HalfKey) {
        let claims = self.ends.entry(identity).or_default().of_mut(role);
        if let Err(place) = claims.binary_search(&key) {
            claims.insert(place, key);
        }
    }

    fn disclaim(&mut self, role: Role, identity: ExchangeId, key: HalfKey) {
        if let Some(claims) = self.ends.get_mut(&identity) {
            claims.of_mut(role).retain(|claim| *claim != key);
            if claims.clients.is_empty() && claims.servers.is_empty() {
                self.ends.remove(&identity);
            }
        }
    }

    /// The halves of one role that claim an identity: more than one is a dispute.
    pub fn claiming(&self, role: Role, identity: ExchangeId) -> impl Iterator<Item = &Half> {
        self.ends.get(&identity).into_iter().flat_map(move |claims| claims.of(role)).filter_map(|key| self.get(*key))
    }

    /// Halves of one socket, in order of their offsets.
    pub fn of_socket(&self, cookie: SockCookie) -> impl DoubleEndedIterator<Item = &Half> {
        self.from(HalfKey { cookie, offset: 0 })
    }

    /// The half before one on the same socket.
    #[must_use]
    pub fn before(&self, key: HalfKey) -> Option<&Half> {
        let socket = self.sockets.get(&key.cookie)?;
        let (Ok(place) | Err(place)) = socket.place(key.offset);
        socket.halves.get(place.checked_sub(1)?).map(|(_, half)| half.as_ref())
    }

    /// The server half whose bytes a tag names, as it stood at `time`.
    #[must_use]
    pub fn named(&self, tag: Tag, time: BootNanos) -> Named {
        let turn = HalfKey { cookie: tag.cookie, offset: tag.offset };
        // A turn's requests lie side by side from its first byte on, in order of time.
        let of_turn = |half: &&Half| half.turn == tag.offset && half.start() <= time;
        let in_turn = self.from(turn).take_while(of_turn).filter(|half| half.request.role == Role::Server);
        // A turn may begin within a body, after a 100 (Continue). After an answer it is another request's, of which
        // nothing was told.
        let around = |half: &&Half| {
            let unanswered = || half.response.as_ref().is_none_or(|response| time < response.start);
            let within = half.end.map_or_else(unanswered, |end| tag.offset < end.request_end);
            half.request.role == Role::Server && half.start() <= time && within
        };
        let mut named = self.before(turn).filter(around).into_iter().chain(in_turn);
        match (named.next(), named.next()) {
            (None, _) => Named::Nothing,
            (Some(one), None) => Named::One(one.request.key),
            (Some(_), Some(_)) => Named::Several,
        }
    }

    fn from(&self, first: HalfKey) -> impl DoubleEndedIterator<Item = &Half> {
        let socket = self.sockets.get(&first.cookie);
        let begin = socket.map_or(0, |socket| match socket.place(first.offset) {
            Ok(place) | Err(place) => place,
        });
        socket.into_iter().flat_map(move |socket| socket.halves.range(begin..)).map(|(_, half)| half.as_ref())
    }
}

impl Socket {
    /// Where the half is whose request begins at an offset, or would be. Most are looked for several times in a row while
    /// they settle, one behind the other, or are the first, which is forgotten next. Each place that is looked at may be
    /// out of cache.
    fn place(&self, offset: u64) -> Result<usize, usize> {
        let Self { halves, near } = self;
        let is_there = |place: usize| halves.get(place).is_some_and(|(known, _)| *known == offset);
        let place = match near.get() {
            near if is_there(near) => near,
            near if is_there(near + 1) => near + 1,
            _ if is_there(0) => return Ok(0),
            _ => self.late_place(offset)?,
        };
        near.set(place);
        Ok(place)
    }

    /// The same of one that is mostly the last of its socket.
    fn late_place(&self, offset: u64) -> Result<usize, usize> {
        match self.halves.back() {
            Some((last, _)) if *last < offset => Err(self.halves.len()),
            Some((last, _)) if *last == offset => Ok(self.halves.len() - 1),
            _ => self.halves.binary_search_by_key(&offset, |(known, _)| *known),
        }
    }

    fn remove(&mut self, offset: u64) -> Option<Box<Half>> {
        let place = self.place(offset).ok()?;
        let near = self.near.get();
        self.near.set(near - usize::from(place < near));
        self.halves.remove(place).map(|(_, half)| half)
    }
}

fn forget<K: Eq + Hash, V: Ord>(index: &mut Map<K, BTreeSet<V>>, name: &K, key: &V) {
    if let Some(keys) = index.get_mut(name) {
        keys.remove(key);
        if keys.is_empty() {
            index.remove(name);
        }
    }
}
