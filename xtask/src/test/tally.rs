//! Counting tests by what their runners print.

/// Outcomes so far.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    pub(crate) passed: u64,
    pub(crate) failed: u64,
    pub(crate) skipped: u64,
    /// Names of what failed, for the end of the log.
    pub(crate) failures: Vec<String>,
}

impl Tally {
    /// One thing that failed outside of a test runner.
    pub(crate) fn failure(name: impl Into<String>) -> Self {
        Self { failed: 1, failures: vec![name.into()], ..Self::default() }
    }

    /// Adds another part's outcomes.
    pub(crate) fn add(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.skipped += other.skipped;
        self.failures.extend(other.failures);
    }
}

/// Reads the standard output of `cargo test`, which may run many test programs one after the other.
///
/// ```text
/// idle --"running N tests"--> running --"test result: ..."--> idle
///                             running --"running N tests", end--> crashed: one more failure
/// ```
#[derive(Default)]
pub(super) struct Reader {
    tally: Tally,
    /// The running program's passed tests: what remains of them if it crashes before it counts itself.
    running: Option<u64>,
}

impl Reader {
    /// Takes a line without its end.
    pub(super) fn line(&mut self, line: &str) {
        if is_start(line) {
            self.crashed();
            self.running = Some(0);
        } else if let Some(result) = line.strip_prefix("test result: ") {
            self.running = None;
            self.tally.passed += count(result, "passed");
            self.tally.failed += count(result, "failed");
            self.tally.skipped += count(result, "ignored");
        } else if let Some(test) = line.strip_prefix("test ") {
            if let Some(name) = test.strip_suffix(" ... FAILED") {
                self.tally.failures.push(name.to_owned());
            } else if test.ends_with(" ... ok") {
                self.running = self.running.map(|passed| passed + 1);
            }
        }
    }

    /// The outcome, given whether cargo itself was content: a failure nobody printed (a compile error, say) is one too.
    pub(super) fn finish(mut self, part: &str, success: bool) -> Tally {
        self.crashed();
        if !success && self.tally.failed == 0 {
            self.tally.add(Tally::failure(format!("{part}: did not build or did not run")));
        }
        self.tally
    }

    fn crashed(&mut self) {
        if let Some(passed) = self.running.take() {
            self.tally.passed += passed;
            self.tally.add(Tally::failure("a test program that ended without a result"));
        }
    }
}

fn is_start(line: &str) -> bool {
    line.strip_prefix("running ")
        .and_then(|rest| rest.split_once(' '))
        .is_some_and(|(number, word)| number.parse::<u64>().is_ok() && matches!(word, "test" | "tests"))
}

/// The number before `word` in "ok. 3 passed; 0 failed; ...".
fn count(result: &str, word: &str) -> u64 {
    result
        .split([';', '.'])
        .filter_map(|item| item.trim().split_once(' '))
        .find(|(_, name)| *name == word)
        .and_then(|(number, _)| number.parse().ok())
        .unwrap_or(0)
}

/// The tests that `--list` names.
pub(super) fn listed(output: &str) -> u64 {
    output.lines().filter(|line| line.ends_with(": test")).count() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(output: &str, success: bool) -> (u64, u64, u64, Vec<String>) {
        let mut reader = Reader::default();
        output.lines().for_each(|line| reader.line(line));
        let Tally { passed, failed, skipped, failures } = reader.finish("unit", success);
        (passed, failed, skipped, failures)
    }

    const GOOD: &str = "\nrunning 2 tests\ntest a ... ok\ntest b ... ignored, why\n\n\
        test result: ok. 1 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.00s\n";

    #[test]
    fn programs_add_up() {
        assert_eq!(read(&GOOD.repeat(3), true), (3, 0, 3, vec![]));
    }

    #[test]
    fn failed_tests_are_named() {
        let output = "running 2 tests\ntest a ... ok\ntest b::c ... FAILED\n\
            test result: FAILED. 1 passed; 1 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.10s\n";
        assert_eq!(read(output, false), (1, 1, 0, vec!["b::c".to_owned()]));
    }

    #[test]
    fn a_crash_is_a_failure_whether_or_not_another_program_follows() {
        let crash = "running 2 tests\ntest a ... ok\n";
        assert_eq!(read(crash, false), (1, 1, 0, vec!["a test program that ended without a result".to_owned()]));
        let (passed, failed, ..) = read(&format!("{crash}{GOOD}"), false);
        assert_eq!((passed, failed), (2, 1));
    }

    #[test]
    fn a_failure_that_printed_nothing_is_a_failure() {
        assert_eq!(read("", false), (0, 1, 0, vec!["unit: did not build or did not run".to_owned()]));
        assert_eq!(read("", true), (0, 0, 0, vec![]));
    }

    #[test]
    fn what_a_test_prints_is_not_counted() {
        let output = "running 1 test\nrunning out of ideas\ntest a ... ok\n\
            test result: ok. 1 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s\n";
        assert_eq!(read(output, true), (1, 0, 0, vec![]));
    }

    #[test]
    fn a_list_is_counted() {
        assert_eq!(listed("a: test\nb::c: test\n\n2 tests, 0 benchmarks\n"), 2);
    }
}
