//! What units hand to one another: items of queues and pipes, timers, and answers.

use agent_ebpf::wire::record::GATHERED_MAX;

use super::{Actors, Wire, World, process};
use crate::decode::{Answered, Claim, Event, Gathered, Passed, Taken, Unit, Writer};
use crate::ids::{BootNanos, UnitId};

impl World {
    /// The unit that a thread runs puts an item into a queue.
    pub fn put(&mut self, by: Actors, queue: u64, item: u64) -> &mut Self {
        self.now += 1;
        let (time, process) = (BootNanos(self.now), process(by.0));
        let unit = self.units[&(by.0, self.unit_of(by))];
        let claim = match unit {
            Unit { inherited, answers: Some(_), since, via, .. } => {
                Claim { inherited, answers: unit.answers, since: since.or(Some(time)), via }
            }
            Unit { own: Some(_), .. } => Claim { inherited: unit.own, via: Some(unit.id), ..Claim::default() },
            Unit { inherited, via, .. } => Claim { inherited, via, ..Claim::default() },
        };
        let taken = Taken { queue, put: Some(time), putter: Some(unit.id), claim, takes: 0, others: 0 };
        if self.takes.get(&(by.0, unit.id.0)).is_some_and(|takes| takes.iter().flatten().any(|one| one.queue == queue))
        {
            self.push(Event::Returned { process, queue, time });
        }
        self.items.insert((by.0, item), taken);
        self
    }

    /// The unit that a thread runs takes an item from the queue that it was put into.
    pub fn take(&mut self, by: Actors, item: u64) -> &mut Self {
        self.now += 1;
        let unit = self.unit_of(by);
        let item = self.items.remove(&(by.0, item)).expect("an item that was put");
        let [head, other] = self.takes.entry((by.0, unit)).or_default();
        let slot = if head.is_none_or(|head| head.queue == item.queue) { head } else { other };
        let before = slot.filter(|before| before.queue == item.queue);
        let others =
            u32::from(before.is_some_and(|before| !self.acted.contains(&(by.0, unit)) && before.claim != item.claim));
        let others = before.map_or(0, |before| before.others) * others + others;
        *slot = Some(Taken { takes: before.map_or(0, |before| before.takes) + 1, others, ..item });
        self.acted.remove(&(by.0, unit));
        if let Some(before) = before.filter(|_| others == 1) {
            self.gather(by.0, unit, 0, before);
        }
        if others != 0 {
            self.gather(by.0, unit, others.into(), item);
        }
        self
    }

    /// One of the things that a unit took for several is told of, as long as they are few.
    fn gather(&mut self, pid: u32, unit: u64, nth: u64, taken: Taken) {
        let batches = self.batches.entry((pid, unit)).or_default();
        *batches += u32::from(nth == 0);
        if nth <= GATHERED_MAX {
            let taken = Taken { takes: *batches, others: 0, ..taken };
            let (time, process, unit) = (BootNanos(self.now), process(pid), UnitId(unit));
            self.push(Event::Gathered(Box::new(Gathered { time, process, lossy: 0, unit, nth, taken })));
        }
    }

    /// The unit that a thread runs reads from a pipe what another process put there; with the lossy epochs of both, then.
    pub fn receive(&mut self, by: Actors, from: u32, item: u64, [written, read]: [u32; 2]) -> &mut Self {
        let message = self.items.remove(&(from, item)).expect("a message that was written");
        let writer = Writer { pipe: message.queue, process: process(from), written, read };
        let key = (by.0, self.unit_of(by));
        self.writers.insert(key, writer);
        self.jobs.remove(&key);
        self.items.insert((by.0, item), message);
        self.take(by, item)
    }

    /// The unit that a thread runs reads a job from a pipe, which a process wrote that serves nobody.
    pub fn job(&mut self, by: Actors, pipe: u64, job: &[u8]) -> &mut Self {
        self.now += 1;
        let key = (by.0, self.unit_of(by));
        let nobodys = Taken { queue: pipe, put: Some(BootNanos(self.now)), ..Taken::default() };
        self.items.insert((0, 0), nobodys);
        self.receive(by, 0, 0, [0, 0]);
        self.jobs.insert(key, job.to_vec());
        self
    }

    /// A unit is made for an item that was put somewhere: a timer's function, which runs in a unit of its own.
    pub fn make_for(&mut self, pid: u32, item: u64, child: u64) -> &mut Self {
        let Claim { inherited, via, .. } = self.items.remove(&(pid, item)).expect("an item that was put").claim;
        self.units.insert((pid, child), Unit { id: UnitId(child), inherited, via, ..Unit::default() });
        self
    }

    /// A whole exchange of the unit that a thread runs, with the context of what another unit reads.
    pub fn call_with(&mut self, by: Actors, of: u64, text: &str) -> &mut Self {
        let wire = self.connect(by);
        self.pass_on(by, of, wire, false).ask(wire, by, text).hear(wire, by)
    }

    /// The same, behind the answer to that: the context is cancelled.
    pub fn call_behind(&mut self, by: Actors, of: u64, text: &str) -> &mut Self {
        let wire = self.connect(by);
        self.pass_on(by, of, wire, true).ask(wire, by, text).hear(wire, by)
    }

    /// The unit that a thread runs is about to call with the context of what another unit reads.
    pub fn pass_on(&mut self, by: Actors, of: u64, called: Wire, cancelled: bool) -> &mut Self {
        self.now += 1;
        let unit = UnitId(self.unit_of(by));
        let request = self.units[&(by.0, of)].own.expect("a unit that read a request");
        let (process, time) = (process(by.0), BootNanos(self.now));
        let called = called.client;
        self.push(Event::Passed(Passed { time, process, lossy: 0, unit, request, called, cancelled }));
        self
    }

    /// The unit that a thread runs wakes another one, which has a request.
    pub fn wake(&mut self, by: Actors, other: u64) -> &mut Self {
        self.now += 1;
        let unit = self.unit_of(by);
        let request = self.units[&(by.0, other)].own.expect("a unit that read a request");
        let Some((called, nth)) = self.called.get_mut(&(by.0, unit)) else { return self };
        *nth += 1;
        let (called, nth, time) = (*called, *nth, BootNanos(self.now));
        let unit = UnitId(unit);
        self.push(Event::Answered(Answered { time, process: process(by.0), lossy: 0, unit, request, called, nth }));
        self
    }
}
