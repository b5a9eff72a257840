//! Which request is sent when, and by which name.

use std::time::Duration;

use super::Load;

/// Ids and times of all requests.
#[derive(Debug)]
pub(super) struct Plan {
    begin: String,
    /// With a seed: numbers in the order of sending, and how many digits they have.
    numbers: Option<(Vec<usize>, usize)>,
    /// In an open loop: none is sent earlier, from the start.
    due: Vec<Duration>,
}

impl Plan {
    /// With a seed or in an open loop the number of requests is bounded.
    pub(super) fn new(load: &Load) -> Self {
        let mut random = fastrand::Rng::with_seed(load.seed.unwrap_or_default());
        let numbers = load.seed.map(|_| {
            let mut numbers: Vec<usize> = (0..load.requests).collect();
            random.shuffle(&mut numbers);
            (numbers, load.requests.to_string().len())
        });
        let mut at = Duration::ZERO;
        let mut next = |per_second: f64| {
            // 1 - [0, 1) is never 0, whose logarithm there is none of.
            at += Duration::from_secs_f64(-(1.0 - random.f64()).ln() / per_second);
            at
        };
        let due = load.per_second.map(|per_second| (0..load.requests).map(|_| next(per_second)).collect());
        Self { begin: load.ids.clone(), numbers, due: due.unwrap_or_default() }
    }

    /// The truth's id of a request.
    pub(super) fn id(&self, number: usize) -> String {
        match &self.numbers {
            Some((numbers, digits)) => format!("{}{:0digits$}", self.begin, numbers[number]),
            None => format!("{}{number}", self.begin),
        }
    }

    /// When it is to be sent at the earliest, from the start.
    pub(super) fn due(&self, number: usize) -> Duration {
        self.due.get(number).copied().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::target::Target;

    fn ids(load: &Load) -> Vec<String> {
        let plan = Plan::new(load);
        (0..load.requests).map(|number| plan.id(number)).collect()
    }

    #[test]
    fn a_seed_hides_the_order_and_is_repeatable() {
        let target = Target::Unix("nowhere".into());
        let load = Load { seed: Some(7), per_second: Some(1000.0), ..Load::new(&target, "r", 1000) };
        let names = ids(&load);
        assert!(names.iter().all(|id| id.len() == names[0].len()));
        let mut sorted = names.clone();
        sorted.sort();
        sorted.dedup();
        assert!(sorted.len() == 1000 && sorted != names);
        let plan = Plan::new(&load);
        assert!(plan.due.is_sorted() && plan.due(999) > Duration::from_millis(800), "{:?}", plan.due(999));
        assert_eq!((&plan.due, &names), (&Plan::new(&load).due, &ids(&load)));
        assert_ne!(names, ids(&Load { seed: Some(8), ..load }));
    }

    #[test]
    fn without_a_seed_requests_are_counted_without_end() {
        let plan = Plan::new(&Load::endless(&Target::Unix("nowhere".into()), "r"));
        assert_eq!((plan.id(17).as_str(), plan.due(17)), ("r17", Duration::ZERO));
    }
}
