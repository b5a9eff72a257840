//! Whether probes that are passed often see anything in a process.

use crate::wire::config::Watch;

/// So many hits, and none that saw anything: some hundred requests of a loop and its clients, or of net/http. What such a process
/// hands over is not noted any more, until user space asks for it.
pub const HITS_MAX: u64 = 8192;

/// What becomes of the watch over a process. The first of these that is reached stands: neither is written over the other.
pub mod verdict {
    /// Something was seen, and all that is handed over is noted.
    pub const SEEN: u32 = 1;
    /// Nothing is noted: nothing was seen for long, or not all probes are there.
    pub const IDLE: u32 = 2;
}

/// True if what is handed over is noted, where a hit has just seen something and asked for [`verdict::SEEN`]; nothing is where no
/// verdict could be kept.
#[must_use]
pub const fn notes(verdict: Option<u32>) -> bool {
    matches!(verdict, Some(verdict::SEEN))
}

/// True if hits are enough to say that nothing will be seen, and it would show if something came into use.
#[must_use]
pub const fn is_enough(watch: &Watch) -> bool {
    watch.hits >= HITS_MAX && watch.hidden == 0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::config::Word;

    const NO_WORD: Word = Word { place: 0, value: 0 };
    const NEW: Watch = Watch { hits: 0, unnoted: 0, since: 1, hidden: 0, unsure_until: 0, unused: [NO_WORD; 2] };

    /// As the map has it: what is there already stays.
    fn reach(kept: &mut Option<u32>, verdict: u32) -> bool {
        notes(Some(*kept.get_or_insert(verdict)))
    }

    #[test]
    fn who_sees_nothing_for_long_notes_nothing() {
        assert!(!is_enough(&Watch { hits: HITS_MAX - 1, ..NEW }));
        assert!(is_enough(&Watch { hits: HITS_MAX, ..NEW }));
        let mut kept = None;
        reach(&mut kept, verdict::IDLE);
        assert!(!reach(&mut kept, verdict::SEEN), "what was handed over before is not known");
    }

    #[test]
    fn noting_goes_on_where_it_would_not_show_that_a_queue_is_used() {
        assert!(!is_enough(&Watch { hits: 2 * HITS_MAX, hidden: 1, ..NEW }));
    }

    #[test]
    fn one_hit_that_sees_something_is_enough() {
        let mut kept = None;
        assert!(reach(&mut kept, verdict::SEEN));
        reach(&mut kept, verdict::IDLE);
        assert!(reach(&mut kept, verdict::SEEN), "what was noted is kept");
    }

    #[test]
    fn nothing_is_noted_without_a_verdict() {
        assert!(!notes(None));
    }
}
