//! From the kernel's clock to the one spans are exported in.
//!
//! Kernel records carry `CLOCK_BOOTTIME`, spans carry nanoseconds since the Unix epoch. The two differ by an offset
//! that moves only when somebody sets or slews the wall clock. It is sampled and then **held**, so that spans close in
//! time are converted alike and no child starts before its parent because the offset was measured twice.

use rustix::time::{ClockId, Timespec, clock_gettime};
use tracemend_core::ids::BootNanos;

/// A held offset is replaced when a new sample differs by more than this. Less is the noise of sampling and of NTP
/// slewing (at most 0.5 ms a second), and smaller than what anybody reads off a trace.
const STEP_MIN_NS: u64 = 1_000_000;

/// Brackets per sample; the narrowest counts. One alone may be stretched by a preemption.
const BRACKETS: usize = 8;

/// The offset in use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Clock {
    offset: i64,
}

impl Clock {
    /// Samples the offset.
    #[must_use]
    pub fn start() -> Self {
        Self { offset: sample(&mut SystemClocks).offset }
    }

    /// Nanoseconds to add to a boot time to get nanoseconds since the Unix epoch.
    #[must_use]
    pub const fn offset_ns(&self) -> i64 {
        self.offset
    }

    /// A boot time in nanoseconds since the Unix epoch; 0 for times before it.
    #[must_use]
    pub fn unix_ns(&self, time: BootNanos) -> u64 {
        time.0.saturating_add_signed(self.offset)
    }

    /// Now, as the kernel's records have it.
    #[must_use]
    pub fn boot_now() -> BootNanos {
        BootNanos(SystemClocks.boottime().unsigned_abs())
    }

    /// Samples again. A new offset is adopted, and its change in nanoseconds returned and logged, only if it differs by
    /// more than a millisecond and by more than the sample's own uncertainty. Call it every few seconds.
    pub fn resample(&mut self) -> Option<i64> {
        let step = self.adopt(sample(&mut SystemClocks))?;
        tracing::info!(step_ns = step, offset_ns = self.offset, "wall clock moved");
        Some(step)
    }

    fn adopt(&mut self, sample: Sample) -> Option<i64> {
        let step = sample.offset.saturating_sub(self.offset);
        if step.unsigned_abs() <= STEP_MIN_NS.max(sample.uncertainty) {
            return None;
        }
        self.offset = sample.offset;
        Some(step)
    }
}

/// One measurement of the offset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Sample {
    offset: i64,
    /// Width of the bracket it was taken in, in ns.
    uncertainty: u64,
}

/// The clocks, in nanoseconds; a trait so that tests own them.
trait Clocks {
    fn boottime(&mut self) -> i64;
    fn realtime(&mut self) -> i64;
}

struct SystemClocks;

impl Clocks for SystemClocks {
    fn boottime(&mut self) -> i64 {
        nanoseconds(clock_gettime(ClockId::Boottime))
    }

    fn realtime(&mut self) -> i64 {
        nanoseconds(clock_gettime(ClockId::Realtime))
    }
}

/// Reads the wall clock between two readings of the boot clock, several times, and keeps the narrowest bracket.
fn sample(clocks: &mut impl Clocks) -> Sample {
    let mut best = bracket(clocks);
    for _ in 1..BRACKETS {
        let next = bracket(clocks);
        if next.uncertainty < best.uncertainty {
            best = next;
        }
    }
    best
}

fn bracket(clocks: &mut impl Clocks) -> Sample {
    let before = clocks.boottime();
    let wall = clocks.realtime();
    let after = clocks.boottime();
    let width = after.saturating_sub(before);
    Sample { offset: wall.saturating_sub(before.saturating_add(width / 2)), uncertainty: width.unsigned_abs() }
}

/// Saturates in the year 2262.
fn nanoseconds(time: Timespec) -> i64 {
    time.tv_sec.saturating_mul(1_000_000_000).saturating_add(time.tv_nsec)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Clocks whose every reading costs the next of `costs` nanoseconds, in a circle.
    struct Scripted {
        now: i64,
        offset: i64,
        costs: Vec<i64>,
        reads: usize,
    }

    impl Scripted {
        fn new(offset: i64, costs: &[i64]) -> Self {
            Self { now: 5_000_000_000, offset, costs: costs.to_vec(), reads: 0 }
        }

        fn tick(&mut self) -> i64 {
            self.now += self.costs[self.reads % self.costs.len()];
            self.reads += 1;
            self.now
        }
    }

    impl Clocks for Scripted {
        fn boottime(&mut self) -> i64 {
            self.tick()
        }

        fn realtime(&mut self) -> i64 {
            self.tick() + self.offset
        }
    }

    #[test]
    fn narrowest_bracket_counts() {
        // The first bracket is preempted for 3 ms on one side of the wall reading; the later ones are not.
        let mut clocks = Scripted::new(1_000_000, &[10, 3_000_000, 10, 10, 20, 20]);
        assert_eq!(sample(&mut clocks), Sample { offset: 1_000_000, uncertainty: 40 });
    }

    #[test]
    fn a_millisecond_is_noise_and_more_is_a_step() {
        let mut clock = Clock { offset: 100 };
        let noise = Sample { offset: 1_000_100, uncertainty: 50 };
        assert_eq!(clock.adopt(noise), None);
        assert_eq!(clock.offset_ns(), 100);
        let back = Sample { offset: -1_000_001, uncertainty: 50 };
        assert_eq!(clock.adopt(back), Some(-1_000_101));
        assert_eq!(clock.offset_ns(), -1_000_001);
    }

    #[test]
    fn a_clock_that_is_set_is_followed_at_once_whichever_way() {
        const HOUR: i64 = 3_600_000_000_000;
        let mut clock = Clock { offset: 0 };
        for offset in [HOUR, -3 * HOUR, i64::MAX, i64::MIN] {
            let before = clock.offset_ns();
            let step = clock.adopt(Sample { offset, uncertainty: 200 });
            assert_eq!((clock.offset_ns(), step), (offset, Some(offset.saturating_sub(before))));
        }
    }

    /// `adjtimex` moves a clock by at most 0.5 ms a second, so by 2.5 ms between two samples.
    #[test]
    fn a_clock_that_is_slewed_is_held_within_a_millisecond_at_every_sample() {
        for moved in [-2_500_000, -400_000, 1_000, 300_000, 2_500_000] {
            let mut clock = Clock { offset: 0 };
            for sample in 1..=1_000 {
                let offset = sample * moved;
                clock.adopt(Sample { offset, uncertainty: 200 });
                assert!(offset.abs_diff(clock.offset_ns()) <= STEP_MIN_NS, "{moved} ns, sample {sample}");
            }
        }
    }

    #[test]
    fn an_uncertain_sample_moves_nothing() {
        let mut clock = Clock { offset: 0 };
        let vague = Sample { offset: 4_000_000, uncertainty: 5_000_000 };
        assert_eq!(clock.adopt(vague), None);
    }

    #[test]
    fn times_before_the_epoch_become_zero() {
        let clock = Clock { offset: -10 };
        assert_eq!(clock.unix_ns(BootNanos(4)), 0);
        assert_eq!(clock.unix_ns(BootNanos(14)), 4);
    }

    #[test]
    fn system_clocks_agree_with_the_standard_library() {
        let converted = Clock::start().unix_ns(Clock::boot_now());
        let wall = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("after 1970").as_nanos();
        assert!(wall.abs_diff(u128::from(converted)) < 5_000_000_000);
    }
}
