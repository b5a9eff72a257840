//! Bytes beyond the captured heads: the kernel half counts them in a map, which is swept for what its own records do not
//! tell.

use std::collections::HashMap;

use agent_ebpf::wire::config::{CountKey, CountValue};
use agent_ebpf::wire::record::{Count, Header, kind};

use crate::attach::Session;

/// Sweeps a direction must stand still for before its entry is deleted: the kernel half may hold a pointer to it.
const STILL_SWEEPS: u32 = 20;

/// How far directions had come at the last sweep.
#[derive(Default)]
pub(super) struct Progress {
    seen: HashMap<(u64, u64), (u64, u32)>,
}

impl Progress {
    /// Tells of every direction that came further, and forgets those that stand still. The map is ahead of the rings: what
    /// is told has its place among their records.
    pub(super) fn sweep(&mut self, session: &mut Session, mut tell: impl FnMut(Count)) {
        let now: Vec<_> = session.counts();
        let mut seen = HashMap::with_capacity(now.len());
        for (key, value) in now {
            let name = (key.cookie, key.direction);
            let still = match self.seen.get(&name) {
                Some((end, sweeps)) if *end == value.end => sweeps + 1,
                _ => {
                    tell(record(key, value));
                    0
                }
            };
            if still >= STILL_SWEEPS {
                session.forget_count(CountKey { cookie: name.0, direction: name.1 });
            } else {
                seen.insert(name, (value.end, still));
            }
        }
        self.seen = seen;
    }
}

/// The record that the kernel half would send.
const fn record(key: CountKey, value: CountValue) -> Count {
    let header = Header { kind: kind::COUNT, pad: 0, size: size_of::<Count>() as u32, time: value.time };
    Count { header, cookie: key.cookie, end: value.end, direction: key.direction }
}
