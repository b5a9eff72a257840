//! What the kernel half keeps of units, items and takes: swept by user space, so that nothing outlives its process, and no
//! process leaves others without room.

use std::collections::{BTreeMap, BTreeSet};

use agent_ebpf::wire::config::{Item, TakesState, UnitKey, UnitState};
use agent_ebpf::wire::names;
use anyhow::Result;
use aya::maps::{HashMap, Map, MapData};
use tracemend_core::ids::BootNanos;
use zerocopy::FromBytes as _;

/// So many units may be one process's: a quarter of all. One that keeps more, as a server with as many tasks, is told of as
/// lossy, and its calls are orphans.
const UNITS_MAX: usize = 16_384;
/// Likewise items.
const ITEMS_MAX: usize = 8_192;
/// Likewise units that took something.
const TAKES_MAX: usize = 4_096;
/// An item that nobody took for so long was taken unseen, or will be looked for by nobody any more.
const ITEM_AGE_MAX_NS: u64 = 600_000_000_000;

type Bytes<const N: usize> = [u8; N];
type Keyed<const N: usize> = HashMap<MapData, Bytes<{ size_of::<UnitKey>() }>, Bytes<N>>;

/// The maps.
pub(in crate::attach) struct Kept {
    units: Keyed<{ size_of::<UnitState>() }>,
    items: Keyed<{ size_of::<Item>() }>,
    takes: Keyed<{ size_of::<TakesState>() }>,
    over_share: HashMap<MapData, u32, u32>,
    old_items: u64,
}

impl Kept {
    /// Of a loaded kernel half, of which `take` gives a map.
    ///
    /// # Errors
    /// A map is missing.
    pub(super) fn new(mut take: impl FnMut(&str) -> Result<Map>) -> Result<Self> {
        Ok(Self {
            units: HashMap::try_from(take(names::UNITS)?)?,
            items: HashMap::try_from(take(names::ITEMS)?)?,
            takes: HashMap::try_from(take(names::TAKES)?)?,
            over_share: HashMap::try_from(take(names::OVER_SHARE)?)?,
            old_items: 0,
        })
    }

    /// How much there is in all.
    pub(in crate::attach) fn len(&self) -> usize {
        self.units.keys().flatten().count() + self.items.keys().flatten().count() + self.takes.keys().flatten().count()
    }

    /// Items that were given up so far because nobody took them.
    pub(in crate::attach) const fn old_items(&self) -> u64 {
        self.old_items
    }

    /// Forgets what was of processes that have ended.
    pub(super) fn forget(&mut self, ended: &BTreeSet<u32>) {
        forget(&mut self.units, ended);
        forget(&mut self.items, ended);
        forget(&mut self.takes, ended);
        for tgid in ended {
            // Few are there.
            let _ = self.over_share.remove(tgid);
        }
    }

    /// Gives up old items, and tells the kernel half which processes hold their share of anything.
    pub(super) fn balance(&mut self, now: BootNanos) {
        let is_old = |item: &Bytes<{ size_of::<Item>() }>| {
            Item::read_from_bytes(item).is_ok_and(|item| now.since(BootNanos(item.put)) > ITEM_AGE_MAX_NS)
        };
        let old: Vec<_> = self.items.iter().flatten().filter(|(_, item)| is_old(item)).map(|(key, _)| key).collect();
        for key in old {
            // It may have been taken just now.
            self.old_items += u64::from(self.items.remove(&key).is_ok());
        }
        let mut over = holding(&self.units, UNITS_MAX);
        over.extend(holding(&self.items, ITEMS_MAX));
        over.extend(holding(&self.takes, TAKES_MAX));
        let told: BTreeSet<u32> = self.over_share.keys().flatten().collect();
        for tgid in over.difference(&told) {
            tracing::warn!(
                pid = tgid,
                "it keeps more units or items than one process may: its later ones are not known"
            );
            // There is room for all that can hold a share.
            let _ = self.over_share.insert(tgid, 1, 0);
        }
        for tgid in told.difference(&over) {
            let _ = self.over_share.remove(tgid);
        }
    }
}

fn process(key: &Bytes<{ size_of::<UnitKey>() }>) -> Option<u32> {
    UnitKey::read_from_bytes(key).ok().map(|key| key.tgid)
}

/// The processes that hold so many entries of a map, or more.
fn holding<const N: usize>(map: &Keyed<N>, share: usize) -> BTreeSet<u32> {
    let mut held: BTreeMap<u32, usize> = BTreeMap::new();
    for tgid in map.keys().flatten().filter_map(|key| process(&key)) {
        *held.entry(tgid).or_default() += 1;
    }
    held.into_iter().filter(|(_, held)| *held >= share).map(|(tgid, _)| tgid).collect()
}

fn forget<const N: usize>(map: &mut Keyed<N>, ended: &BTreeSet<u32>) {
    let is_of = |key: &Bytes<{ size_of::<UnitKey>() }>| process(key).is_some_and(|tgid| ended.contains(&tgid));
    let keys: Vec<_> = map.keys().flatten().filter(is_of).collect();
    for key in keys {
        // A probe may have been first.
        let _ = map.remove(&key);
    }
}
