//! Somebody with `warren` at hand.

use std::collections::BTreeMap;
use std::process::Stdio;

use serde_json::Value;
use tokio::process::{Child, Command};

use crate::environment::environment;
use crate::service::{self, Run, SERVICES};
use crate::system::System;

/// An operator of one system, told where everything is.
#[derive(Debug, Clone)]
pub struct Operator {
    variables: BTreeMap<String, String>,
}

/// What a command printed and how it ended.
#[derive(Debug)]
pub struct Told {
    /// The exit status; -1 after a signal.
    pub status: i32,
    /// Standard output.
    pub out: String,
    /// Standard error.
    pub err: String,
}

impl Told {
    /// What was printed, as JSON.
    ///
    /// # Panics
    /// When it is none.
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("no JSON ({error}): {self:?}"))
    }

    /// The same, if the command ended so.
    ///
    /// # Panics
    /// When it ended otherwise.
    #[track_caller]
    pub fn ended(self, status: i32) -> Self {
        assert_eq!(self.status, status, "{}{}", self.out, self.err);
        self
    }
}

impl Operator {
    /// The operator of that system.
    pub fn of(system: &System) -> Self {
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

    /// The operator of that system, who is called so.
    pub fn named(name: &str, system: &System) -> Self {
        let mut operator = Self::of(system);
        operator.set("WARREN_OPERATOR", name);
        operator
    }

    /// Changes what the operator was told; an empty value is as none.
    pub fn set(&mut self, name: &str, value: &str) {
        self.variables.insert(name.to_owned(), value.to_owned());
    }

    /// Types `warren …`, the words separated by spaces.
    pub async fn types(&self, words: &str) -> Told {
        let arguments: Vec<&str> = words.split_whitespace().collect();
        let Run { status, stdout, stderr } = service::run("warren", &arguments, &self.variables).await;
        Told { status: status.code().unwrap_or(-1), out: stdout, err: stderr }
    }

    /// Types `warren dlq …`, the words separated by spaces.
    pub async fn dlq(&self, words: &str) -> Told {
        self.types(&format!("dlq {words}")).await
    }

    /// The groups of `dlq list --json`.
    ///
    /// # Panics
    /// When there is no list.
    pub async fn groups(&self, more: &str) -> Vec<Value> {
        let told = self.dlq(&format!("list --json {more}")).await.ended(0);
        told.json().as_array().expect("a list of groups").clone()
    }

    /// Begins `warren dlq …`, to be killed.
    ///
    /// # Panics
    /// When there is no `warren`.
    pub fn begin(&self, words: &str) -> Child {
        let mut command = Command::new(environment().bin_dir.join("warren"));
        command.arg("dlq").args(words.split_whitespace()).envs(&self.variables);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).kill_on_drop(true);
        command.spawn().expect("warren is built")
    }

    /// What `warren audit --json` says, with no grace: for systems at rest.
    pub async fn audit(&self) -> Value {
        self.types("audit --json --grace 0s").await.json()
    }
}

/// The offenders of one check, as `kind id`.
///
/// # Panics
/// When there is no such check.
#[track_caller]
pub fn offenders(audit: &Value, check: &str) -> Vec<String> {
    let checks = audit["checks"].as_array().unwrap_or_else(|| panic!("no checks: {audit}"));
    let check = checks.iter().find(|found| found["check"] == check).unwrap_or_else(|| panic!("no {check}: {audit}"));
    let name = |offender: &Value| {
        format!("{} {}", offender["kind"].as_str().unwrap_or_default(), offender["id"].as_str().unwrap_or_default())
    };
    check["offenders"].as_array().expect("a list").iter().map(name).collect()
}

/// The checks that found something.
///
/// # Panics
/// When that is no audit.
#[track_caller]
pub fn broken(audit: &Value) -> Vec<String> {
    let checks = audit["checks"].as_array().unwrap_or_else(|| panic!("no checks: {audit}"));
    checks
        .iter()
        .filter(|found| found["ok"] == false)
        .map(|found| found["check"].as_str().unwrap_or_default().to_owned())
        .collect()
}
