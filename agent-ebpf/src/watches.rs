//! Whether probes that are passed often see anything in a process, and whether what they see is noted.
//!
//! Hits are on several processors at a time, so the verdict is whatever is inserted first, which the map decides under its lock. Who
//! sees something notes it only if the verdict is that something was seen: where anything was ever noted, probes stay.

use agent_ebpf::rules::watches::{is_enough, notes, verdict};
use agent_ebpf::wire::config::{Watch, Word};
use aya_ebpf::bindings::BPF_NOEXIST;

use crate::kernel::user::read;
use crate::maps::{VERDICTS, Value, WATCHES};

/// Counts a hit, which says itself if it sees anything. Of two at the same time one may not be counted.
#[inline(never)]
pub fn hit(tgid: u32) {
    if verdict_on(tgid).is_some() {
        return;
    }
    let Some(mut watch) = watch(tgid) else { return };
    watch.hits += 1;
    if is_enough(&watch) {
        // If there is a verdict by now, that stands.
        let _ = VERDICTS.insert(tgid, verdict::IDLE, u64::from(BPF_NOEXIST));
    }
}

/// A hit saw something. True if it is to be noted.
#[inline(never)]
pub fn sees(tgid: u32) -> bool {
    let mut verdict = verdict_on(tgid);
    if verdict.is_none() {
        // Another processor may have been first, whatever it said.
        let _ = VERDICTS.insert(tgid, verdict::SEEN, u64::from(BPF_NOEXIST));
        verdict = verdict_on(tgid);
    }
    let noted = notes(verdict);
    if !noted && let Some(mut watch) = watch(tgid) {
        watch.unnoted = 1;
    }
    noted
}

/// Since when all that is handed over is noted; 0 if it is not.
#[inline(always)]
pub fn since(tgid: u32) -> u64 {
    if misses(tgid) { 0 } else { watch(tgid).map_or(0, |watch| watch.since) }
}

/// True if a process may hand over what is not seen, since probes are away.
#[inline(always)]
pub fn misses(tgid: u32) -> bool {
    verdict_on(tgid) == Some(verdict::IDLE)
}

/// True if a unit that was made at a time may have taken something since that was not noted, as probes were away.
#[inline(always)]
pub fn may_have_missed(tgid: u32, made: u64) -> bool {
    let Some(watch) = watch(tgid) else { return false };
    made < watch.unsure_until || (misses(tgid) && !(stands(&watch.unused[0]) && stands(&watch.unused[1])))
}

/// True of a word that is not known, too.
#[inline(always)]
fn stands(word: &Word) -> bool {
    word.place == 0 || read::<u64>(word.place) == Some(word.value)
}

#[inline(always)]
fn verdict_on(tgid: u32) -> Option<u32> {
    VERDICTS.get_ptr_mut(tgid).and_then(Value::<u32>::new).map(|verdict| *verdict)
}

#[inline(always)]
fn watch(tgid: u32) -> Option<Value<Watch>> {
    WATCHES.get_ptr_mut(tgid).and_then(Value::new)
}
