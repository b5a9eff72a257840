//! From samples to a number with an interval: medians, and the bootstrap (Efron and Tibshirani, An Introduction to the
//! Bootstrap, chapter 13: percentile intervals).

/// Samples drawn anew so often: the ends of an interval of 95 % then rest on 50 of them each.
const RESAMPLES: usize = 2_000;
/// The same samples always give the same interval.
const SEED: u64 = 42;

/// A number, and where it lies with 95 % confidence as far as the samples tell.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Estimate {
    pub(super) value: f64,
    pub(super) low: f64,
    pub(super) high: f64,
}

impl Estimate {
    /// A number that was counted: there is nothing to be unsure of.
    pub(super) const fn exact(value: f64) -> Self {
        Self { value, low: value, high: value }
    }

    /// The median of the samples: one that a disturbance hit moves it little. None without samples.
    pub(super) fn of(samples: &[f64]) -> Option<Self> {
        let value = median(samples)?;
        let mut random = fastrand::Rng::with_seed(SEED);
        let mut drawn = vec![0.0; samples.len()];
        let mut medians = Vec::with_capacity(RESAMPLES);
        for _ in 0..RESAMPLES {
            drawn.fill_with(|| samples[random.usize(..samples.len())]);
            medians.extend(median(&drawn));
        }
        medians.sort_by(f64::total_cmp);
        let at = |share: f64| medians[((RESAMPLES - 1) as f64 * share).round() as usize];
        Some(Self { value, low: at(0.025), high: at(0.975) })
    }
}

/// The one in the middle, or between the two there.
pub(super) fn median(samples: &[f64]) -> Option<f64> {
    let mut sorted = samples.to_vec();
    sorted.sort_by(f64::total_cmp);
    let above = *sorted.get(sorted.len() / 2)?;
    let below = *sorted.get(sorted.len().checked_sub(1)? / 2)?;
    Some(f64::midpoint(below, above))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_in_the_middle() {
        assert_eq!(median(&[3.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(&[4.0, 1.0, 2.0, 3.0]), Some(2.5));
        assert_eq!(median(&[]), None);
    }

    #[test]
    fn an_interval_holds_its_value_and_narrows_with_more_samples() {
        let samples = |count: usize| (0..count).map(|n| (n * 37 % 101) as f64).collect::<Vec<_>>();
        let (few, many) = (Estimate::of(&samples(8)).expect("samples"), Estimate::of(&samples(101)).expect("samples"));
        for estimate in [few, many] {
            assert!(estimate.low <= estimate.value && estimate.value <= estimate.high, "{estimate:?}");
        }
        assert_eq!(many.value, 50.0);
        assert!(many.high - many.low < few.high - few.low);
        assert_eq!(Estimate::of(&samples(8)), Some(few), "the same again");
    }

    #[test]
    fn samples_that_agree_leave_no_doubt() {
        assert_eq!(Estimate::of(&[7.0; 5]), Some(Estimate::exact(7.0)));
        assert_eq!(Estimate::of(&[]), None);
    }

    #[test]
    fn an_interval_is_right_as_often_as_it_says() {
        // 200 experiments of 15 samples of a uniform number, whose median is 0.5.
        let mut random = fastrand::Rng::with_seed(7);
        let hits = (0..200).filter(|_| {
            let samples: Vec<_> = (0..15).map(|_| random.f64()).collect();
            Estimate::of(&samples).is_some_and(|estimate| estimate.low <= 0.5 && 0.5 <= estimate.high)
        });
        let hits = hits.count();
        assert!((180..=199).contains(&hits), "{hits} of 200");
    }
}
