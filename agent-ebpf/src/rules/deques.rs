//! What deques of a process are used for, by the hits of their probes.

use crate::wire::config::Deques;

/// So many hits that were of no queue, without one that was: some hundred requests of a loop and its clients. What such a process
/// puts into deques is not noted any more, until user space asks for it.
pub const OTHERS_MAX: u64 = 8192;

/// Counts a hit. True if it is to be noted. Deques are worked on under the interpreter's lock, so hits of a process are not at the
/// same time.
pub const fn hit(deques: &mut Deques, of_queue: bool) -> bool {
    if of_queue {
        deques.queue += 1;
        return deques.watched != 0;
    }
    deques.other += 1;
    if deques.queue == 0 && deques.other >= OTHERS_MAX {
        deques.watched = 0;
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    const NEW: Deques = Deques { queue: 0, other: 0, watched: 1 };

    #[test]
    fn what_is_no_queue_for_long_is_not_noted_any_more() {
        let mut deques = NEW;
        assert!((1..OTHERS_MAX).all(|_| !hit(&mut deques, false)));
        assert_eq!(deques.watched, 1);
        assert!(!hit(&mut deques, false));
        assert_eq!(deques.watched, 0);
        assert!(!hit(&mut deques, true), "what was put before is not known");
        assert_eq!(deques.queue, 1, "but it was seen");
    }

    #[test]
    fn one_queue_is_enough() {
        let mut deques = NEW;
        assert!(hit(&mut deques, true));
        assert!((0..2 * OTHERS_MAX).all(|_| !hit(&mut deques, false)));
        assert!(hit(&mut deques, true));
    }
}
