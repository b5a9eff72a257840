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
/// Places of freed units that a process may keep for those that come at their addresses, before they are swept: four times as
/// many contexts as CPython keeps itself for that (`PyContext_MAXFREELIST`).
const PLACES_KEPT: usize = 1_024;
/// Where all processes have so many places together, half of all there are, each one's are swept.
const PLACES_MANY: usize = 32_768;
/// An address that was used less long ago keeps its place: it would be taken away from under a unit that comes just then.
const PLACE_AGE_MIN_NS: u64 = 1_000_000_000;
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

    /// Takes away places of freed units where there are many; how many each process holds then.
    fn sweep(&mut self, now: BootNanos) -> BTreeMap<u32, usize> {
        let mut held = held(&self.units);
        let many = held.values().sum::<usize>() > PLACES_MANY;
        let crowded: BTreeSet<u32> =
            held.iter().filter(|(_, held)| many || **held > PLACES_KEPT).map(|(tgid, _)| *tgid).collect();
        if crowded.is_empty() {
            return held;
        }
        let is_free = |unit: &Bytes<{ size_of::<UnitState>() }>| {
            UnitState::read_from_bytes(unit).is_ok_and(|state| {
                state.unit.id == UnitState::FREED && now.since(BootNanos(state.asked)) > PLACE_AGE_MIN_NS
            })
        };
        let keys: Vec<_> = self.units.keys().flatten().collect();
        for (key, tgid) in keys.iter().filter_map(|key| Some((key, process(key)?))) {
            if crowded.contains(&tgid)
                && self.units.get(key, 0).is_ok_and(|unit| is_free(&unit))
                && self.units.remove(key).is_ok()
                && let Some(held) = held.get_mut(&tgid)
            {
                *held = held.saturating_sub(1);
            }
        }
        held
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
        let mut over = holding(&self.sweep(now), UNITS_MAX);
        over.extend(holding(&held(&self.items), ITEMS_MAX));
        over.extend(holding(&held(&self.takes), TAKES_MAX));
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

/// The processes that hold so many, or more.
fn holding(held: &BTreeMap<u32, usize>, share: usize) -> BTreeSet<u32> {
    held.iter().filter(|(_, held)| **held >= share).map(|(tgid, _)| *tgid).collect()
}

/// How many entries of a map each process holds.
fn held<const N: usize>(map: &Keyed<N>) -> BTreeMap<u32, usize> {
    let mut held = BTreeMap::new();
    for tgid in map.keys().flatten().filter_map(|key| process(&key)) {
        *held.entry(tgid).or_default() += 1;
    }
    held
}

fn forget<const N: usize>(map: &mut Keyed<N>, ended: &BTreeSet<u32>) {
    let is_of = |key: &Bytes<{ size_of::<UnitKey>() }>| process(key).is_some_and(|tgid| ended.contains(&tgid));
    let keys: Vec<_> = map.keys().flatten().filter(is_of).collect();
    for key in keys {
        // A probe may have been first.
        let _ = map.remove(&key);
    }
}
