//! What all spans of a trace must agree on: whether it is exported, and the offset from the kernel's clock.

use foldhash::HashMap;
use tracemend_core::ids::TraceId;

use super::limits::TRACES_REMEMBERED_MAX;

/// What holds for every span of a trace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Fate {
    /// It is exported.
    pub(crate) sampled: bool,
    /// Nanoseconds from the kernel's boot clock to Unix time.
    pub(crate) offset_ns: i64,
}

/// The fates of recent traces: the first span decides. Two generations, so that forgetting is cheap and a trace in use
/// is kept.
#[derive(Debug, Default)]
pub(crate) struct Traces {
    young: HashMap<TraceId, Fate>,
    old: HashMap<TraceId, Fate>,
}

impl Traces {
    /// The offset of the clocks for a trace: that of its first span.
    pub(crate) fn offset(&mut self, trace: TraceId, offset_ns: i64) -> i64 {
        self.fate(trace, || Fate { sampled: true, offset_ns }).offset_ns
    }

    /// The fate of a trace; `first` decides it at its first span.
    pub(crate) fn fate(&mut self, trace: TraceId, first: impl FnOnce() -> Fate) -> Fate {
        if let Some(fate) = self.young.get(&trace) {
            return *fate;
        }
        if self.young.len() >= TRACES_REMEMBERED_MAX / 2 {
            self.old = std::mem::take(&mut self.young);
        }
        let fate = self.old.remove(&trace).unwrap_or_else(first);
        self.young.insert(trace, fate);
        fate
    }
}

#[cfg(test)]
mod tests {
    use tracemend_core::ids::TraceId;

    use super::{Fate, Traces};
    use crate::export::limits::TRACES_REMEMBERED_MAX;

    const YES: Fate = Fate { sampled: true, offset_ns: 1 };
    const NO: Fate = Fate { sampled: false, offset_ns: 2 };

    fn trace(n: usize) -> TraceId {
        TraceId((n as u128 + 1).to_be_bytes())
    }

    #[test]
    fn the_first_span_of_a_trace_decides_for_all() {
        let mut traces = Traces::default();
        assert_eq!(traces.fate(trace(0), || YES), YES);
        assert_eq!(traces.fate(trace(0), || NO), YES);
        assert_eq!(traces.fate(trace(1), || NO), NO);
    }

    #[test]
    fn a_trace_in_use_is_kept_and_one_unused_is_forgotten() {
        let mut traces = Traces::default();
        traces.fate(trace(0), || YES);
        traces.fate(trace(1), || YES);
        for n in 2..4 * TRACES_REMEMBERED_MAX {
            traces.fate(trace(n), || YES);
            assert_eq!(traces.fate(trace(0), || NO), YES);
        }
        assert!(traces.young.len() + traces.old.len() <= TRACES_REMEMBERED_MAX);
        assert_eq!(traces.fate(trace(1), || NO), NO);
    }
}
