//! What a run of libFuzzer says.

/// Lines of what was said about a failure that are shown.
const LINES_MAX: usize = 12;

/// What came of a run.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Outcome {
    inputs: u64,
    seconds: u64,
    edges: u64,
    /// What broke, and the file with the input that did.
    failure: Option<(Vec<String>, String)>,
}

impl Outcome {
    /// Reads a log; `sound` if the program ended well.
    pub(super) fn read(log: &str, sound: bool) -> Self {
        let number = |text: Option<&str>| -> u64 { text.and_then(|text| text.trim().parse().ok()).unwrap_or(0) };
        let stat = |name: &str| number(log.lines().rev().find_map(|line| line.strip_prefix(name)));
        let edges = log.lines().rev().find_map(|line| line.split_once("cov: ")?.1.split_whitespace().next());
        let inputs = stat("stat::number_of_executed_units:");
        let failure = (!sound).then(|| {
            let kept = log.lines().rev().find_map(|line| line.split_once("Test unit written to ")?.1.into());
            let start = log.lines().position(|line| line.contains("panicked at") || line.contains("ERROR: libFuzzer"));
            let said = log.lines().skip(start.unwrap_or(log.lines().count().saturating_sub(LINES_MAX)));
            (said.take(LINES_MAX).map(str::to_owned).collect(), kept.unwrap_or("no input").to_owned())
        });
        let seconds = inputs.checked_div(stat("stat::average_exec_per_sec:")).unwrap_or(0);
        Self { inputs, seconds, edges: number(edges), failure }
    }

    /// Says it; true if nothing broke.
    pub(super) fn report(&self, target: &str) -> bool {
        let Self { inputs, seconds, edges, failure } = self;
        println!("fuzz {target}: {inputs} inputs in {seconds} s, {edges} edges reached");
        let Some((said, kept)) = failure else { return true };
        println!("FAILED   {target}, by {kept}");
        for line in said {
            println!("    {line}");
        }
        println!("    again: cargo xtask fuzz {target} --input {kept}");
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "#5723636\tREDUCE cov: 134 ft: 155 corp: 65/11282b lim: 4096 exec/s: 286181 rss: 28Mb\n\
        #5797096\tDONE   cov: 135 ft: 155 corp: 65/11282b lim: 4096 exec/s: 276052 rss: 28Mb\n\
        stat::number_of_executed_units: 5797096\nstat::average_exec_per_sec:     276052\n";

    #[test]
    fn a_run_that_found_nothing_is_numbers() {
        let expected = Outcome { inputs: 5_797_096, seconds: 21, edges: 135, failure: None };
        assert_eq!(Outcome::read(GOOD, true), expected);
        assert!(expected.report("decode"));
    }

    #[test]
    fn a_failure_is_named_with_its_input() {
        let log = "#1\tNEW cov: 7 ft: 1\nthread 'main' panicked at x.rs:1:2:\nattempt to add with overflow\n\
            artifact_prefix='/t/btf-'; Test unit written to /t/btf-crash-1\n";
        let outcome = Outcome::read(log, false);
        let (said, kept) = outcome.failure.as_ref().expect("a failure");
        assert_eq!(kept, "/t/btf-crash-1");
        assert!(said[0].contains("panicked") && said[1].contains("overflow"));
        assert!(!outcome.report("btf"));
        assert!(Outcome::read("", false).failure.is_some(), "also without a word");
    }
}
