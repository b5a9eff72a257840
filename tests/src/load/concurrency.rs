//! How much a load had under way at a time.

use crate::session::Sent;

/// How many requests were under way at a time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Concurrency {
    /// On average over the time of the load.
    pub mean: f64,
    /// At the middle one of the requests, when it was sent, itself among them.
    pub median: usize,
}

impl Concurrency {
    /// What a load achieved. Nothing was under way if nothing was sent.
    #[must_use]
    pub fn of(sent: &[Sent]) -> Self {
        let mut begun: Vec<_> = sent.iter().map(|one| one.sighting.from_ns).collect();
        let mut ended: Vec<_> = sent.iter().map(|one| one.sighting.to_ns).collect();
        begun.sort_unstable();
        ended.sort_unstable();
        let (Some(first), Some(last)) = (begun.first(), ended.last()) else {
            return Self { mean: 0.0, median: 0 };
        };
        let busy: u64 = sent.iter().map(|one| one.sighting.to_ns - one.sighting.from_ns).sum();
        let earlier = |place: usize, from_ns: u64| place + 1 - ended.partition_point(|end| *end <= from_ns);
        let mut under_way: Vec<_> = begun.iter().enumerate().map(|(place, from)| earlier(place, *from)).collect();
        under_way.sort_unstable();
        #[expect(clippy::cast_precision_loss, reason = "minutes in nanoseconds")]
        let mean = busy as f64 / (last - first).max(1) as f64;
        Self { mean, median: under_way[under_way.len() / 2] }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::truth::{Event, Sighting};

    #[test]
    fn concurrency_is_what_overlaps() {
        let sent = |from_ns, to_ns| Sent {
            sighting: Sighting {
                event: Event::Out,
                id: "r".to_owned(),
                pid: 1,
                local: String::new(),
                peer: String::new(),
                from_ns,
                to_ns,
            },
            context: None,
            status: 200,
            body_bytes: 0,
        };
        let two = Concurrency::of(&[sent(0, 100), sent(0, 100), sent(100, 200), sent(100, 200)]);
        assert_eq!(two, Concurrency { mean: 2.0, median: 2 });
        assert_eq!(Concurrency::of(&[]).median, 0);
    }
}
