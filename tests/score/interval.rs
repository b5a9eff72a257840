//! How sure a share is.

/// Two-sided 95 % of the normal distribution.
const Z: f64 = 1.959_963_985;

/// A share and the 95 % interval that Wilson's score puts around it (E. B. Wilson 1927).
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Share {
    pub(crate) low: f64,
    pub(crate) share: f64,
    pub(crate) high: f64,
}

impl Share {
    /// So many of so many; of none at all nothing is known.
    #[expect(clippy::cast_precision_loss, reason = "counts below 2^53")]
    pub(crate) fn of(some: usize, all: usize) -> Self {
        if all == 0 {
            return Self { low: 0.0, share: 0.0, high: 1.0 };
        }
        let (n, share) = (all as f64, some as f64 / all as f64);
        let middle = (share + Z * Z / (2.0 * n)) / (1.0 + Z * Z / n);
        let reach = Z / (1.0 + Z * Z / n) * (share * (1.0 - share) / n + Z * Z / (4.0 * n * n)).sqrt();
        Self { low: (middle - reach).max(0.0), share, high: (middle + reach).min(1.0) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn near(left: f64, right: f64) -> bool {
        (left - right).abs() < 0.000_1
    }

    /// By R's `prop.test(..., correct = FALSE)`.
    #[test]
    fn intervals_are_wilsons() {
        let half = Share::of(50, 100);
        assert!(near(half.low, 0.4038) && near(half.high, 0.5962), "{half:?}");
        let few = Share::of(1, 10);
        assert!(near(few.low, 0.0179) && near(few.high, 0.4042), "{few:?}");
    }

    /// What the default number of edges is chosen for.
    #[test]
    fn none_of_4000_is_below_a_thousandth_and_one_of_4000_is_not() {
        assert!(Share::of(0, 4000).high < 0.001);
        assert!(Share::of(1, 4000).high > 0.001);
        assert!(Share::of(1, 8000).high < 0.001);
    }
}
