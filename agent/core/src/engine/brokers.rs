//! Connections to brokers: what is put there under a name that it will be known by elsewhere.
//!
//! A turn that begins with `*` may be commands to Redis. Who put what is known of commands that began in the call that began the
//! turn: of that the unit was told.

use crate::decode::{Actor, Data};
use crate::ids::{BootNanos, SockCookie, TaskId};
use crate::limits::BROKER_TURNS_MAX;
use crate::map::Map;
use crate::proto::celery::Pushes;

/// How a turn of commands to Redis begins.
const COMMAND: u8 = b'*';

/// What is known of connections that look as if they led to a broker.
#[derive(Debug, Default)]
pub(super) struct Brokers {
    /// One for each of the connections that are known, at most.
    all: Map<SockCookie, Box<Broker>>,
    cut: u64,
}

/// What was sent to one.
#[derive(Debug)]
struct Broker {
    pushes: Pushes,
    /// Who began the turn, and when.
    actor: Actor,
    time: BootNanos,
    /// Raw offset of the next byte.
    next: u64,
    /// No more of this turn is read.
    cut: bool,
    /// A task was put.
    used: bool,
    /// Turns since then.
    turns: u32,
}

/// What came of bytes.
#[derive(Debug, Default)]
pub(super) struct Sent {
    /// Tasks that were put, by whom, and when.
    pub(super) tasks: Vec<(TaskId, Actor, BootNanos)>,
    /// No task was put for long: no more of the connection is read, from now on.
    pub(super) over: bool,
}

impl Brokers {
    /// Takes what was sent on a connection that serves nobody.
    pub(super) fn sent(&mut self, data: &Data) -> Sent {
        let mut sent = Sent::default();
        let begins = data.turn_start && data.bytes.first() == Some(&COMMAND);
        if begins {
            self.all.entry(data.cookie).or_insert_with(|| Box::new(Broker::new(data)));
        }
        let Some(broker) = self.all.get_mut(&data.cookie).filter(|broker| !broker.is_over()) else { return sent };
        if data.turn_start {
            **broker = Broker { used: broker.used, turns: broker.turns + 1, cut: !begins, ..Broker::new(data) };
        }
        sent.over = broker.is_over();
        if broker.cut {
            return sent;
        }
        for task in broker.take(data) {
            broker.used = true;
            broker.turns = 0;
            sent.tasks.push((task, broker.actor, broker.time));
        }
        self.cut += u64::from(broker.cut && (broker.used || broker.pushes.is_putting()));
        sent.over &= sent.tasks.is_empty();
        sent
    }

    /// True if a connection is read as one to a broker.
    pub(super) fn reads(&self, cookie: SockCookie) -> bool {
        self.all.get(&cookie).is_some_and(|broker| !broker.is_over())
    }

    /// Forgets a connection.
    pub(super) fn remove(&mut self, cookie: SockCookie) {
        self.all.remove(&cookie);
    }

    /// Turns that were not read to their end, of connections over which tasks were put.
    pub(super) const fn cut(&self) -> u64 {
        self.cut
    }
}

impl Broker {
    fn new(data: &Data) -> Self {
        let Data { actor, time, offset, .. } = *data;
        Self { pushes: Pushes::default(), actor, time, next: offset, cut: false, used: false, turns: 0 }
    }

    const fn is_over(&self) -> bool {
        self.turns > BROKER_TURNS_MAX
    }

    /// Reads the next bytes of a turn, as far as it is known who sent them.
    fn take(&mut self, data: &Data) -> Vec<TaskId> {
        let goes_on = data.offset == self.next && data.actor.thread == self.actor.thread && !self.pushes.is_between();
        self.cut = !data.turn_start && !goes_on;
        let mut tasks = Vec::new();
        let mut bytes = data.bytes.iter();
        while !self.cut
            && let Some(byte) = bytes.next()
        {
            tasks.extend(self.pushes.take(*byte).task);
            self.cut = !data.turn_start && self.pushes.is_between() && bytes.len() > 0;
        }
        self.cut |= data.bytes.len() < data.len as usize;
        self.next = data.offset.wrapping_add(data.len.into());
        tasks
    }
}
