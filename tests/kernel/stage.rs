//! The kernel half under test, and what it told.

use std::collections::BTreeMap;
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result};
use tracemend::attach::{Options, Past, Session};
use tracemend::clock::Clock;
use tracemend::ring::Merge;
use tracemend_core::decode::{Closing, Count, Data, Direction, Event, Open};
use tracemend_core::ids::{BootNanos, SockCookie, Tgid};
use tracemend_tests::actor::Actor;
use tracemend_tests::permission::AGENT_VARIABLE;
use tracemend_tests::scene::Scene;

/// What a call causes outside of itself (the other end's FIN, say) is there after this.
const AFTERMATH: Duration = Duration::from_millis(20);

/// Where one test plays.
pub(crate) struct Stage {
    pub(crate) session: Session,
    pub(crate) scene: Scene,
    merge: Merge,
}

/// Nobody is traced who was not named.
pub(crate) fn options() -> Options {
    let program = std::env::var_os(AGENT_VARIABLE).map_or_else(|| "tracemend".into(), Into::into);
    Options { trace_by_default: false, program, ..Options::default() }
}

/// A scene without the kernel half yet; none, loudly, where it cannot be loaded.
pub(crate) fn scene(test: &str) -> Result<Option<Scene>> {
    Scene::with_kernel_half(test, &["python3"])
}

impl Stage {
    /// A stage with an actor whose doings are told; none, loudly, where the kernel half cannot be loaded.
    pub(crate) fn open(test: &str) -> Result<Option<(Self, Actor)>> {
        let Some(scene) = scene(test)? else {
            return Ok(None);
        };
        let mut stage = Self::start(scene, &options())?;
        let actor = stage.traced_actor()?;
        Ok(Some((stage, actor)))
    }

    /// Loads the kernel half into a scene in which nothing is there yet.
    pub(crate) fn start(scene: Scene, options: &Options) -> Result<Self> {
        Self::start_late(scene, options, Past { listeners: Vec::new(), unix_connections: Vec::new() })
    }

    /// Loads the kernel half into a scene with a past.
    pub(crate) fn start_late(scene: Scene, options: &Options, past: Past) -> Result<Self> {
        let session = Session::start(options, || past)?;
        Ok(Self { session, scene, merge: Merge::default() })
    }

    pub(crate) fn traced_actor(&mut self) -> Result<Actor> {
        let actor = Actor::start(&self.scene)?;
        self.session.targets().add(actor.pid())?;
        Ok(actor)
    }

    /// Everything that was told since the last time.
    pub(crate) fn told(&mut self) -> Result<Told> {
        thread::sleep(AFTERMATH);
        // One turn takes no more than a share of each ring.
        while self.merge.fill(&mut self.session.rings, Clock::boot_now().0) > 0 {}
        self.merge.close();
        let mut events = Vec::new();
        while let Some(record) = self.merge.release() {
            events.push(record.context("a record")?);
        }
        Ok(Told(events))
    }

    /// Has what is kept of units looked through as if it were two seconds later, when nothing is too new to go.
    pub(crate) fn sweep_units(&mut self) {
        self.session.balance_units(BootNanos(Clock::boot_now().0 + 2_000_000_000));
    }

    /// What was lost so far, without what was not.
    pub(crate) fn losses(&self) -> BTreeMap<&'static str, u64> {
        self.session.losses().into_iter().filter(|(_, count)| *count > 0).collect()
    }
}

/// Events in order of time.
#[derive(Debug)]
pub(crate) struct Told(pub(crate) Vec<Event>);

impl Told {
    /// What moved on a socket in one direction.
    pub(crate) fn data(&self, cookie: u64, direction: Direction) -> Vec<&Data> {
        self.all_data(cookie).into_iter().filter(|data| data.direction == direction).collect()
    }

    /// What moved on a socket.
    pub(crate) fn all_data(&self, cookie: u64) -> Vec<&Data> {
        let events = self.0.iter().filter_map(|event| match event {
            Event::Data(data) if data.cookie == SockCookie(cookie) => Some(data),
            _ => None,
        });
        events.collect()
    }

    /// The only thing that moved on a socket in one direction.
    pub(crate) fn only(&self, cookie: u64, direction: Direction) -> Result<&Data> {
        let data = self.data(cookie, direction);
        anyhow::ensure!(data.len() == 1, "one record, not {data:#?}");
        Ok(data[0])
    }

    /// The first sight of a socket: exactly one.
    pub(crate) fn open(&self, cookie: u64) -> Result<&Open> {
        let mut opens = self.0.iter().filter_map(|event| match event {
            Event::Open(open) if open.cookie == SockCookie(cookie) => Some(open.as_ref()),
            _ => None,
        });
        let open = opens.next().with_context(|| format!("no first sight of socket {cookie}"))?;
        anyhow::ensure!(opens.next().is_none(), "two first sights of socket {cookie}");
        Ok(open)
    }

    /// How far a socket's directions came beyond their heads.
    pub(crate) fn counts(&self, cookie: u64) -> Vec<Count> {
        let of = |event: &Event| match event {
            Event::Count(count) if count.cookie == SockCookie(cookie) => Some(*count),
            _ => None,
        };
        self.0.iter().filter_map(of).collect()
    }

    /// What ended of a socket.
    pub(crate) fn closings(&self, cookie: u64) -> Vec<Closing> {
        let of = |event: &Event| match event {
            Event::Closing { cookie: closed, what, .. } if *closed == SockCookie(cookie) => Some(*what),
            _ => None,
        };
        self.0.iter().filter_map(of).collect()
    }

    /// What was told of a process.
    pub(crate) fn of(&self, pid: u32) -> impl Iterator<Item = &Event> {
        self.0.iter().filter(move |event| event.process().is_some_and(|process| process.tgid == Tgid(pid)))
    }
}
