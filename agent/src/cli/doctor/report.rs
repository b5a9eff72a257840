//! The report: checks with a verdict.

use std::fmt;

/// What a check found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum State {
    /// As it should be, or neither good nor bad.
    Good,
    /// Something is off without it.
    Reduced,
    /// Nothing can be traced.
    Unusable,
}

/// One line of the report.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Check {
    pub(super) state: State,
    pub(super) name: String,
    /// What was found.
    pub(super) found: String,
    /// What helps, if anything has to.
    pub(super) remedy: Option<&'static str>,
}

/// Every check, and the verdict they add up to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Report {
    sections: Vec<(&'static str, Vec<Check>)>,
}

impl Check {
    pub(super) fn good(name: impl Into<String>, found: impl Into<String>) -> Self {
        Self { state: State::Good, name: name.into(), found: found.into(), remedy: None }
    }

    pub(super) fn state(self, state: State) -> Self {
        Self { state, ..self }
    }

    pub(super) fn remedy(self, remedy: &'static str) -> Self {
        Self { remedy: Some(remedy), ..self }
    }
}

impl Report {
    pub(super) fn section(&mut self, title: &'static str, checks: Vec<Check>) {
        self.sections.push((title, checks));
    }

    /// The worst of all checks.
    pub(super) fn verdict(&self) -> State {
        let states = self.sections.iter().flat_map(|(_, checks)| checks).map(|check| check.state);
        states.max().unwrap_or(State::Good)
    }

    /// 0 full, 1 reduced, 2 unusable.
    pub(super) fn exit_status(&self) -> u8 {
        self.verdict() as u8
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = self.sections.iter().flat_map(|(_, checks)| checks).map(|check| check.name.len());
        let width = names.max().unwrap_or(0);
        for (title, checks) in &self.sections {
            writeln!(f, "{title}")?;
            for Check { state, name, found, remedy } in checks {
                let mark = match state {
                    State::Good => "ok  ",
                    State::Reduced => "off ",
                    State::Unusable => "FAIL",
                };
                // What the kernel says may run over several lines.
                let found = found.lines().map(str::trim).collect::<Vec<_>>().join("; ");
                writeln!(f, "  {mark} {name:width$}  {found}")?;
                if let Some(remedy) = remedy {
                    writeln!(f, "       {:width$}  -> {remedy}", "")?;
                }
            }
        }
        f.write_str(match self.verdict() {
            State::Good => "full: everything works here\n",
            State::Reduced => "reduced: tracing works, without what is off above\n",
            State::Unusable => "unusable: nothing can be traced here\n",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worst_check_is_the_verdict() {
        let mut report = Report::default();
        assert_eq!(report.exit_status(), 0);
        report.section("kernel", vec![Check::good("btf", "there")]);
        assert_eq!(report.exit_status(), 0);
        report.section("hooks", vec![Check::good("fork", "refused").state(State::Reduced)]);
        assert_eq!(report.exit_status(), 1);
        report.section("more", vec![Check::good("x", "y").state(State::Unusable).remedy("do this")]);
        assert_eq!(report.exit_status(), 2);
        assert_eq!(
            report.to_string(),
            "kernel\n  ok   btf   there\nhooks\n  off  fork  refused\nmore\n  FAIL x     y\n             -> do this\n\
             unusable: nothing can be traced here\n"
        );
    }
}
