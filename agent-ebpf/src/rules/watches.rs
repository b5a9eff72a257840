//! Whether probes that are passed often see anything in a process.

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

/// True if so many hits are enough to say that nothing will be seen.
#[must_use]
pub const fn is_enough(hits: u64) -> bool {
    hits >= HITS_MAX
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As the map has it: what is there already stays.
    fn reach(kept: &mut Option<u32>, verdict: u32) -> bool {
        notes(Some(*kept.get_or_insert(verdict)))
    }

    #[test]
    fn who_sees_nothing_for_long_notes_nothing() {
        assert!(!is_enough(HITS_MAX - 1));
        assert!(is_enough(HITS_MAX));
        let mut kept = None;
        reach(&mut kept, verdict::IDLE);
        assert!(!reach(&mut kept, verdict::SEEN), "what was handed over before is not known");
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
