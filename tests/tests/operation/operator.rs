//! Somebody with `warren` at hand.

use std::collections::BTreeMap;

use end_to_end::service::{self, Run, SERVICES};
use end_to_end::system::System;
use serde_json::Value;

/// An operator of one system, told where everything is.
pub(crate) struct Operator {
    variables: BTreeMap<String, String>,
}

/// What a command printed and how it ended.
#[derive(Debug)]
pub(crate) struct Told {
    pub(crate) status: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Told {
    /// What was printed, as JSON.
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("no JSON ({error}): {self:?}"))
    }

    /// The same, if the command ended so.
    #[track_caller]
    pub(crate) fn ended(self, status: i32) -> Self {
        assert_eq!(self.status, status, "{}{}", self.out, self.err);
        self
    }
}

impl Operator {
    /// The operator of that system.
    pub(crate) fn of(system: &System) -> Self {
        let mut variables = BTreeMap::from([
            ("AMQP_URL".to_owned(), system.broker.url(None)),
            ("WARREN_TOKEN".to_owned(), system.tokens.staff()),
        ]);
        for name in SERVICES {
            let upper = name.to_uppercase();
            let address = format!("http://{}", system.service(name).variables()["HTTP_ADDR"]);
            variables.insert(format!("{upper}_URL"), address);
            variables.insert(format!("{upper}_DATABASE_URL"), system.database(name).url(None));
        }
        Self { variables }
    }

    /// Changes what the operator was told; an empty value is as none.
    pub(crate) fn set(&mut self, name: &str, value: &str) {
        self.variables.insert(name.to_owned(), value.to_owned());
    }

    /// Types `warren …`, the words separated by spaces.
    pub(crate) async fn types(&self, words: &str) -> Told {
        let arguments: Vec<&str> = words.split_whitespace().collect();
        let Run { status, stdout, stderr } = service::run("warren", &arguments, &self.variables).await;
        Told { status: status.code().unwrap_or(-1), out: stdout, err: stderr }
    }

    /// What `warren audit --json` says, with no grace: for systems at rest.
    pub(crate) async fn audit(&self) -> Value {
        self.types("audit --json --grace 0s").await.json()
    }
}

/// The offenders of one check, as `kind id`.
#[track_caller]
pub(crate) fn offenders(audit: &Value, check: &str) -> Vec<String> {
    let checks = audit["checks"].as_array().unwrap_or_else(|| panic!("no checks: {audit}"));
    let check = checks.iter().find(|found| found["check"] == check).unwrap_or_else(|| panic!("no {check}: {audit}"));
    let name = |offender: &Value| {
        format!("{} {}", offender["kind"].as_str().unwrap_or_default(), offender["id"].as_str().unwrap_or_default())
    };
    check["offenders"].as_array().expect("a list").iter().map(name).collect()
}

/// The checks that found something.
#[track_caller]
pub(crate) fn broken(audit: &Value) -> Vec<String> {
    let checks = audit["checks"].as_array().unwrap_or_else(|| panic!("no checks: {audit}"));
    checks
        .iter()
        .filter(|found| found["ok"] == false)
        .map(|found| found["check"].as_str().unwrap_or_default().to_owned())
        .collect()
}
