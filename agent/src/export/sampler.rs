//! Which traces are exported.

use tracemend_core::ids::TraceId;

use super::env::{self, EnvError, Lookup};

const SAMPLER: &str = "OTEL_TRACES_SAMPLER";
const ARGUMENT: &str = "OTEL_TRACES_SAMPLER_ARG";

/// Decides per trace (OpenTelemetry specification, "Built-in samplers").
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sampler {
    root: Root,
    parent_based: bool,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Root {
    AlwaysOn,
    AlwaysOff,
    Ratio(f64),
}

impl Default for Sampler {
    /// `parentbased_always_on`: what the caller decided, else everything.
    fn default() -> Self {
        Self { root: Root::AlwaysOn, parent_based: true }
    }
}

impl Sampler {
    /// Reads `OTEL_TRACES_SAMPLER` and `OTEL_TRACES_SAMPLER_ARG`.
    ///
    /// # Errors
    /// An unknown sampler, or a ratio outside 0 to 1.
    pub fn from_env(lookup: Lookup<'_>) -> Result<Self, EnvError> {
        let Some(name) = env::get(lookup, SAMPLER) else {
            return Ok(Self::default());
        };
        let (parent_based, root) = match name.strip_prefix("parentbased_") {
            Some(root) => (true, root),
            None => (false, name.as_str()),
        };
        let root = match root {
            "always_on" => Root::AlwaysOn,
            "always_off" => Root::AlwaysOff,
            "traceidratio" => Root::Ratio(ratio(lookup)?),
            _ => {
                let expected = "always_on, always_off or traceidratio, with or without parentbased_ before it";
                return Err(EnvError::value(SAMPLER, &name, expected));
            }
        };
        Ok(Self { root, parent_based })
    }

    /// Whether a trace is exported, given the sampled flag of the context it came with, if it came with one.
    #[must_use]
    pub fn samples(&self, trace: TraceId, flag: Option<bool>) -> bool {
        match flag {
            Some(flag) if self.parent_based => flag,
            _ => match self.root {
                Root::AlwaysOn => true,
                Root::AlwaysOff => false,
                Root::Ratio(ratio) => below(trace, ratio),
            },
        }
    }
}

/// The same rule as OpenTelemetry's SDKs: the last 63 bits of the trace id, as a share of their range.
fn below(trace: TraceId, ratio: f64) -> bool {
    let low = u128::from_be_bytes(trace.0) as u64 >> 1;
    low < (ratio * (1_u64 << 63) as f64) as u64
}

fn ratio(lookup: Lookup<'_>) -> Result<f64, EnvError> {
    let Some(text) = env::get(lookup, ARGUMENT) else {
        return Ok(1.0);
    };
    let ratio = text.parse().ok().filter(|ratio| (0.0..=1.0).contains(ratio));
    ratio.ok_or_else(|| EnvError::value(ARGUMENT, &text, "a number from 0 to 1"))
}

#[cfg(test)]
mod tests {
    use tracemend_core::ids::TraceId;

    use super::Sampler;

    fn sampler(name: &str, argument: &str) -> Result<Sampler, String> {
        let lookup = |variable: &str| match variable {
            "OTEL_TRACES_SAMPLER" => Some(name.to_owned()),
            "OTEL_TRACES_SAMPLER_ARG" => Some(argument.to_owned()),
            _ => None,
        };
        Sampler::from_env(&lookup).map_err(|error| error.to_string())
    }

    fn share(sampler: Sampler, flag: Option<bool>) -> usize {
        let trace = |n: u64| TraceId((u128::from(n.wrapping_mul(0x9E37_79B9_7F4A_7C15))).to_be_bytes());
        (0..1000).filter(|n| sampler.samples(trace(*n), flag)).count()
    }

    #[test]
    fn unset_means_what_the_caller_decided_else_everything() {
        let sampler = Sampler::from_env(&|_| None).expect("the default");
        let shares = [None, Some(true), Some(false)].map(|flag| share(sampler, flag));
        assert_eq!(shares, [1000, 1000, 0]);
    }

    #[test]
    fn a_sampler_that_is_not_parent_based_ignores_the_flag() {
        let off = sampler("always_off", "").expect("known");
        assert_eq!(share(off, Some(true)), 0);
        let on = sampler("always_on", "").expect("known");
        assert_eq!(share(on, Some(false)), 1000);
    }

    #[test]
    fn a_ratio_takes_its_share_of_traces_without_a_flag() {
        let quarter = sampler("parentbased_traceidratio", "0.25").expect("known");
        assert!((200..300).contains(&share(quarter, None)));
        assert_eq!(share(quarter, Some(true)), 1000);
        assert_eq!(share(sampler("traceidratio", "").expect("known"), None), 1000);
        assert_eq!(share(sampler("traceidratio", "0").expect("known"), None), 0);
    }

    #[test]
    fn what_is_not_understood_is_an_error_that_says_what_is() {
        let unknown = sampler("jaeger_remote", "").expect_err("unknown");
        assert!(unknown.starts_with("OTEL_TRACES_SAMPLER=jaeger_remote: expected always_on"), "{unknown}");
        for argument in ["2", "-1", "NaN", "half"] {
            let error = sampler("traceidratio", argument).expect_err("no ratio");
            assert!(error.contains("a number from 0 to 1"), "{error}");
        }
    }
}
