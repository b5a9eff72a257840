//! All stages of the core in their order: events in, spans out.

mod brokers;
mod parsers;

use std::sync::Arc;

use crate::causal::explain::Explanation;
use crate::causal::half::Half;
use crate::causal::identity::ExchangeId;
use crate::causal::{Causes, Excluded};
use crate::conn::{Connection, Table};
use crate::decode::{Closing, Count, Data, Direction, Event, Link, Open};
use crate::ids::{BootNanos, SockCookie};
use crate::proto::celery;
use crate::proto::exchange::{Request, Role, Update};
use crate::proto::http1::{Http1, Verdict};
use crate::span::Span;
use crate::stats::Stats;
use brokers::{Brokers, Sent};
use parsers::Parsers;

/// How the core is to work. All of it is an argument, so that a recording replays.
pub struct Options {
    /// Keeps ids apart that are hashed from numbers of this host.
    pub nonce: [u8; 16],
    /// Says which request targets are left out, with what they caused.
    pub excluded: Excluded,
    /// Every decision is explained, which takes time.
    pub explain: bool,
}

/// What the core wants the kernel half to copy of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Policy {
    /// Nothing: it speaks no protocol we read.
    Nothing,
    /// Heads; this end sends the requests.
    Client,
    /// Heads; this end receives the requests.
    Server,
}

/// What the core says.
#[derive(Debug, Default)]
pub struct Output {
    /// Finished spans.
    pub spans: Vec<Span>,
    /// Why they have the parents they have, if that is asked for; those of a trace may come in several outputs.
    pub explanations: Vec<Explanation>,
    /// Policies to set, in order.
    pub policies: Vec<(SockCookie, Policy)>,
}

/// The core.
pub struct Engine {
    connections: Table,
    parsers: Parsers,
    brokers: Brokers,
    causes: Causes,
    stats: Stats,
    updates: Vec<Update>,
    /// The latest time told.
    now: BootNanos,
}

impl Engine {
    /// A core that has seen nothing.
    #[must_use]
    pub fn new(options: Options) -> Self {
        let mut causes = Causes::new(options.nonce, options.excluded);
        if options.explain {
            causes.explain_all();
        }
        Self {
            connections: Table::default(),
            parsers: Parsers::default(),
            brokers: Brokers::default(),
            causes,
            stats: Stats::default(),
            updates: Vec::new(),
            now: BootNanos(0),
        }
    }

    /// Takes one event.
    pub fn push(&mut self, event: Event, out: &mut Output) {
        self.now = event.time().map_or(self.now, |time| self.now.max(time));
        self.take(event, out);
        if self.causes.is_full() {
            self.causes.make_room(self.now, &mut out.spans);
            out.explanations.extend(self.causes.explanations());
        }
    }

    fn take(&mut self, event: Event, out: &mut Output) {
        match event {
            Event::Process(process) => self.causes.process(process),
            Event::Open(open) => self.open(*open, out),
            Event::Data(data) => self.data(&data, out),
            Event::Count(count) => self.count(count),
            Event::Closing { cookie, what, time } => self.closing(cookie, what, time),
            Event::Fork(fork) => self.causes.forked(&fork),
            Event::Exec { process, .. } => self.causes.executed(process),
            Event::Exit(exit) => self.causes.exited(&exit),
            Event::Running(running) => self.causes.running(running),
            Event::UnitBorn(born) => self.causes.unit_born(&born),
            Event::UnitEnded { process, unit, time } => self.causes.unit_ended(process, unit, time),
            Event::Took { process, unit, seq, takes, .. } => self.causes.took(process, unit, seq, takes),
            Event::Returned { process, queue, time } => self.causes.returned(process, queue, time),
            Event::Piped { process, unit, seq, writer, .. } => self.causes.piped(process, unit, seq, writer),
            Event::Answered(answered) => self.causes.answers(&answered),
            Event::Passed(passed) => self.causes.passes(&passed),
            Event::Gathered(gathered) => self.causes.gathered(&gathered),
            Event::Handed { process, unit, child, .. } => self.causes.handed(process, unit, child),
            Event::Job { process, unit, seq, head, .. } => {
                if let Some(task) = celery::task_of_job(&head) {
                    self.causes.job(process, unit, seq, task);
                }
            }
            // Targets by port are the agent's business.
            Event::Listen(_) => {}
        }
    }

    /// Time has come this far: settles what is due.
    pub fn tick(&mut self, now: BootNanos, out: &mut Output) {
        self.sweep(now);
        self.bury(now);
        self.causes.settle(now, false, &mut out.spans);
        out.explanations.extend(self.causes.explanations());
    }

    /// Settles everything that has ended; what is still open is not told.
    pub fn finish(&mut self, now: BootNanos, out: &mut Output) {
        self.sweep(BootNanos(u64::MAX));
        self.bury(now);
        self.causes.settle(now, true, &mut out.spans);
        out.explanations.extend(self.causes.explanations());
    }

    /// Ends what ended processes left open on unix sockets.
    fn bury(&mut self, now: BootNanos) {
        for (cookie, time) in self.causes.left_behind(now) {
            self.parsers.feed(cookie, &mut self.updates, |parser, updates| {
                parser.closing(Closing::Closed, time, updates);
                parser.gone(updates);
            });
            self.forward();
        }
    }

    /// Forgets connections that closed a while ago: what was not read of them never will be.
    fn sweep(&mut self, now: BootNanos) {
        while let Some(cookie) = self.connections.sweep(now) {
            self.parsers.feed(cookie, &mut self.updates, Http1::gone);
            self.forward();
            self.parsers.remove(cookie);
            self.brokers.remove(cookie);
        }
    }

    /// A record was no event.
    pub const fn bad_record(&mut self) {
        self.stats.bad_records += 1;
    }

    /// What was counted.
    #[must_use]
    pub fn stats(&self) -> Stats {
        let causes = self.causes.stats().clone();
        Stats {
            evicted_connections: self.stats.evicted_connections,
            given_up_connections: self.parsers.given_up(),
            bad_records: self.stats.bad_records,
            unknown_connections: self.stats.unknown_connections,
            unseen_bytes: self.stats.unseen_bytes,
            cut_broker_turns: self.brokers.cut(),
            ..causes
        }
    }

    /// Names and values of everything that was lost.
    pub fn losses(&mut self) -> Vec<(&'static str, u64)> {
        let mut losses = self.stats().losses();
        losses.extend(self.parsers.losses().named());
        losses
    }

    fn open(&mut self, open: Open, out: &mut Output) {
        self.causes.acted(&open.actor, open.time, open.cookie, false);
        let (cookie, link) = (open.cookie, open.link);
        // A socket that connects anew is a new connection under the same name.
        self.give_up(cookie);
        self.brokers.remove(cookie);
        if !open.agent {
            self.parsers.insert(cookie, Http1::new(cookie, open.old));
        }
        let agents = !open.agent && self.connections.is_agents(link);
        for evicted in self.connections.open(open) {
            self.stats.evicted_connections += 1;
            self.leave_out(evicted, out);
        }
        if agents {
            self.leave_out(cookie, out);
        }
        self.linked(cookie, link);
    }

    fn data(&mut self, data: &Data, out: &mut Output) {
        let Some(connection) = self.connections.get_mut(data.cookie) else {
            self.stats.unknown_connections += 1;
            self.causes.acted(&data.actor, data.time, data.cookie, false);
            return;
        };
        let linked = connection.moved(data);
        let link = connection.link();
        let mut parser = self.parsers.get(data.cookie);
        let before = parser.as_ref().map(|parser| parser.verdict());
        let serves = match before {
            Some(Verdict::Http1(role)) => role == Role::Server,
            Some(Verdict::Undecided | Verdict::Other) | None => connection.serves(),
        };
        if self.causes.acted(&data.actor, data.time, data.cookie, serves).runs {
            self.causes.moved(&data.actor, data.cookie, data.direction, serves);
        }
        if linked && self.connections.is_agents(link) {
            self.leave_out(data.cookie, out);
            return;
        }
        let Some(parser) = &mut parser else { return };
        if data.direction == Direction::Send && !serves && !matches!(before, Some(Verdict::Http1(_))) {
            let Sent { tasks, over } = self.brokers.sent(data);
            for (task, actor, time) in tasks {
                self.causes.put(task, actor, time);
            }
            if over && before == Some(Verdict::Other) {
                out.policies.push((data.cookie, Policy::Nothing));
            }
        }
        if data.unseen.is_some() {
            // A recording may hold more bytes than it says were moved.
            self.stats.unseen_bytes += u64::from(data.len).saturating_sub(data.bytes.len() as u64);
        }
        parser.feed(&mut self.updates, |parser, updates| parser.data(data, updates));
        let after = parser.verdict();
        self.forward();
        if Some(after) != before {
            self.decided(data.cookie, after, out);
        }
        if linked {
            self.linked(data.cookie, link);
        }
    }

    /// What ties a socket to its other end became known. It ties the other end too, which may not act for long.
    fn linked(&mut self, cookie: SockCookie, link: Link) {
        if let Some(connection) = self.connections.get_mut(cookie) {
            self.causes.linked(cookie, link, connection.opened);
        }
        if let Link::Unix(peer) = link
            && let Some(other) = self.connections.get_mut(peer)
            && other.met(cookie)
        {
            self.causes.linked(peer, other.link(), other.opened);
        }
    }

    fn count(&mut self, count: Count) {
        self.parsers.feed(count.cookie, &mut self.updates, |parser, updates| parser.count(&count, updates));
        self.forward();
    }

    fn closing(&mut self, cookie: SockCookie, what: Closing, time: BootNanos) {
        let peer = self.connections.unix_peer(cookie, what);
        self.close(cookie, what, time);
        if let Some((peer, what)) = peer {
            self.close(peer, what, time);
        }
    }

    fn close(&mut self, cookie: SockCookie, what: Closing, time: BootNanos) {
        self.parsers.feed(cookie, &mut self.updates, |parser, updates| parser.closing(what, time, updates));
        self.forward();
        let unix = self.connections.get_mut(cookie).is_some_and(|connection| connection.unix);
        let over = match what {
            Closing::Closed => true,
            // Nothing else tells of the end of a unix socket.
            Closing::Error(_) => unix,
            Closing::RecvEof | Closing::SendFin => unix && !self.parsers.says_more(cookie),
        };
        if over {
            self.connections.close(cookie, time);
        }
    }

    /// No more of a connection will be told: what becomes of its open exchanges will not be known.
    fn give_up(&mut self, cookie: SockCookie) {
        self.parsers.feed(cookie, &mut self.updates, Http1::abandon);
        self.forward();
    }

    /// The other end is the agent, or the connection was forgotten: nothing of this connection is read or told.
    fn leave_out(&mut self, cookie: SockCookie, out: &mut Output) {
        self.give_up(cookie);
        self.parsers.remove(cookie);
        self.brokers.remove(cookie);
        out.policies.push((cookie, Policy::Nothing));
    }

    /// Tells the kernel half what the parser found, where that is not what it assumed.
    fn decided(&mut self, cookie: SockCookie, verdict: Verdict, out: &mut Output) {
        let serves = self.connections.get_mut(cookie).is_some_and(|connection| connection.serves());
        match verdict {
            Verdict::Undecided => {}
            // Of a connection to a broker the beginnings of turns are read on.
            Verdict::Other if self.brokers.reads(cookie) => {}
            Verdict::Other => out.policies.push((cookie, Policy::Nothing)),
            Verdict::Http1(Role::Client) if serves => out.policies.push((cookie, Policy::Client)),
            Verdict::Http1(Role::Server) if !serves => out.policies.push((cookie, Policy::Server)),
            Verdict::Http1(_) => {}
        }
    }

    /// Hands the parsers' updates to the causal stage.
    fn forward(&mut self) {
        let mut updates = std::mem::take(&mut self.updates);
        for update in updates.drain(..) {
            match update {
                Update::Request(request) => self.begin(*request),
                Update::Response { key, response } => self.causes.answered(key, response),
                Update::End(end) => self.causes.ended(end),
            }
        }
        // Their room is used again.
        self.updates = updates;
    }

    fn begin(&mut self, request: Request) {
        let Some(connection) = self.connections.get_mut(request.key.cookie) else { return };
        let direction = match request.role {
            Role::Client => Direction::Send,
            Role::Server => Direction::Recv,
        };
        let half = Half {
            unix: connection.unix,
            unix_peer: unix_peer(connection),
            identity: ExchangeId::new(request.key, request.role, connection.link(), connection.opened),
            turn: connection.turn_of(direction, request.key.offset),
            connect: if request.role == Role::Client { connection.connect.take() } else { None },
            ..Half::new(request, Arc::clone(&connection.ends))
        };
        self.causes.began(half);
    }
}

fn unix_peer(connection: &Connection) -> Option<SockCookie> {
    match connection.link() {
        Link::Unix(peer) => Some(peer),
        Link::None | Link::Tcp(_) => None,
    }
}

#[cfg(test)]
mod tests;
