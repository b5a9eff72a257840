//! How long the rings are not looked at.

use std::time::Duration;

use tracemend_core::decode::Event;

/// Those of a busy host are looked at this often ...
const SHORTEST: Duration = Duration::from_millis(4);
/// ... and each time a look brings few records, so much less often ...
const LONGER: u32 = 4;
/// ... until it brings so many. What a look finds in no cache any more, its own code first, costs as much as handling some
/// hundred records does.
const WORTH_A_LOOK: usize = 512;
/// Where a look brings so many, or more, something is used all the time, and nobody waits for the next one ...
const STEADY: usize = 64;
/// ... which comes within this.
const LONGEST_STEADY: Duration = Duration::from_secs(1);
/// A look that brings so many was late.
const LATE: usize = 2048;
/// A look that brings news is followed by the next one within this, as more may follow that wakes nobody.
const AFTER_NEWS: Duration = Duration::from_millis(64);
/// A host where little happens is asked this often. A ring that fills and news wake the reader earlier.
const LONGEST: Duration = Duration::from_millis(256);

/// The pause between two looks at the rings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Pause(Duration);

impl Default for Pause {
    fn default() -> Self {
        Self(SHORTEST)
    }
}

impl Pause {
    /// The shortest one.
    pub(super) const SHORTEST: Duration = SHORTEST;

    /// How long it is.
    pub(super) const fn length(self) -> Duration {
        self.0
    }

    /// The next one, after a look that brought so many records, and news or none; and that something woke for, or nothing.
    pub(super) fn after(self, records: usize, news: bool, woken: bool) -> Self {
        let longest = match records {
            _ if news => AFTER_NEWS,
            0..STEADY => LONGEST,
            STEADY.. => LONGEST_STEADY,
        };
        Self(match records {
            // What it woke for is still held back, until nothing can have been before it.
            _ if woken => SHORTEST,
            0..WORTH_A_LOOK => (self.0 * LONGER).min(longest),
            WORTH_A_LOOK..LATE => self.0.min(longest),
            LATE.. => SHORTEST,
        })
    }
}

/// True of what is acted on: the runtime of a process that is new is adapted, or of one that serves. The kernel half wakes for it
/// (`emit::news`).
pub(super) const fn is_news(event: &Event) -> bool {
    match event {
        Event::Exec { .. } | Event::Listen(_) => true,
        Event::Fork(fork) => fork.actor.thread.process.tgid.0 != fork.child.process.tgid.0,
        Event::Open(open) => open.actor.seq == 1,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pause(milliseconds: u64) -> Pause {
        Pause(Duration::from_millis(milliseconds))
    }

    #[test]
    fn a_look_is_worth_its_while_and_never_late_for_long() {
        assert_eq!(pause(256).after(0, false, false), pause(256));
        assert_eq!(pause(4).after(1, false, false), pause(16));
        assert_eq!(pause(16).after(WORTH_A_LOOK, false, false), pause(16));
        assert_eq!(pause(256).after(LATE, false, false), pause(4));
    }

    #[test]
    fn what_is_used_all_the_time_is_looked_at_once_a_second() {
        assert_eq!(pause(256).after(STEADY - 1, false, false), pause(256));
        assert_eq!(pause(256).after(STEADY, false, false), pause(1000));
        assert_eq!(pause(1000).after(WORTH_A_LOOK, false, false), pause(1000));
        assert_eq!(pause(1000).after(STEADY - 1, false, false), pause(256));
        assert_eq!(pause(256).after(STEADY, true, false), pause(64));
    }

    #[test]
    fn what_follows_news_is_seen_soon() {
        assert_eq!(pause(256).after(1, false, true), pause(4), "it is not in order yet");
        assert_eq!(pause(256).after(0, true, false), pause(64));
        assert_eq!(pause(256).after(WORTH_A_LOOK, true, false), pause(64));
        assert_eq!(pause(64).after(0, true, false), pause(64));
    }
}
