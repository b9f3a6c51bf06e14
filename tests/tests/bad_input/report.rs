//! Gathers what is wrong, so that one run shows all of it.

use end_to_end::http::Answer;
use end_to_end::service::SERVICES;
use end_to_end::system::System;

/// How many faults are shown: more than a person fixes in one go.
const SHOWN: usize = 40;

/// What was wrong so far.
#[derive(Debug, Default)]
pub(crate) struct Report {
    checked: usize,
    faults: Vec<String>,
}

impl Report {
    /// The answer has to be this problem; `case` says what was sent.
    pub(crate) fn problem(&mut self, case: &str, answer: &Answer, status: u16, kind: &str) {
        self.one_of(case, answer, status, &[kind]);
    }

    /// The answer has to be one of these problems.
    pub(crate) fn one_of(&mut self, case: &str, answer: &Answer, status: u16, kinds: &[&str]) {
        self.checked += 1;
        if let Some(fault) = answer.find_fault(status, kinds) {
            self.faults.push(format!("{case}: {fault}"));
        }
    }

    /// Something else has to hold.
    pub(crate) fn holds(&mut self, case: &str, holds: bool, answer: &Answer) {
        self.checked += 1;
        if !holds {
            self.faults.push(format!("{case}: {answer} {:?}", answer.headers));
        }
    }

    /// Fails if anything was wrong, with all of it.
    pub(crate) fn close(self) {
        let Self { checked, faults } = self;
        let shown = &faults[..faults.len().min(SHOWN)];
        assert!(faults.is_empty(), "{} of {checked} answers are wrong, such as:\n{}", faults.len(), shown.join("\n"));
        assert!(checked > 0, "nothing was checked");
    }
}

/// How many events each service has written: what changes nothing leaves these as they are.
pub(crate) async fn events(system: &System) -> Vec<i64> {
    let mut counts = Vec::new();
    for service in SERVICES {
        counts.push(system.database(service).event_count().await);
    }
    counts
}
