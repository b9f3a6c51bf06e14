//! Somebody with `warren dlq` at hand.

use std::collections::BTreeMap;
use std::process::Stdio;

use end_to_end::broker::{Found, Message};
use end_to_end::environment::environment;
use end_to_end::service::{self, Run};
use end_to_end::system::System;
use lapin::types::{AMQPValue, FieldTable};
use serde_json::Value;
use tokio::process::{Child, Command};

/// An operator of one system.
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
    /// The operator of that system, who is called so.
    pub(crate) fn named(name: &str, system: &System) -> Self {
        let mut variables = BTreeMap::from([
            ("AMQP_URL".to_owned(), system.broker.url(None)),
            ("WARREN_TOKEN".to_owned(), system.tokens.staff()),
            ("WARREN_OPERATOR".to_owned(), name.to_owned()),
        ]);
        for service in [&system.order, &system.inventory, &system.email] {
            let url = format!("http://{}", service.variables()["HTTP_ADDR"]);
            variables.insert(format!("{}_URL", service.name.to_uppercase()), url);
        }
        Self { variables }
    }

    /// Types `warren dlq …`, the words separated by spaces.
    pub(crate) async fn dlq(&self, words: &str) -> Told {
        let arguments: Vec<&str> = ["dlq"].into_iter().chain(words.split_whitespace()).collect();
        let Run { status, stdout, stderr } = service::run("warren", &arguments, &self.variables).await;
        Told { status: status.code().unwrap_or(-1), out: stdout, err: stderr }
    }

    /// The groups of `dlq list --json`.
    pub(crate) async fn groups(&self, more: &str) -> Vec<Value> {
        let told = self.dlq(&format!("list --json {more}")).await.ended(0);
        told.json().as_array().expect("a list of groups").clone()
    }

    /// Begins `warren dlq …`, to be killed.
    pub(crate) fn begin(&self, words: &str) -> Child {
        let mut command = Command::new(environment().bin_dir.join("warren"));
        command.arg("dlq").args(words.split_whitespace()).envs(&self.variables);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).kill_on_drop(true);
        command.spawn().expect("warren is built")
    }
}

/// A message as a service leaves it among its dead letters.
pub(crate) fn dead_letter(mut message: Message, error_kind: &str, handler: &str) -> Message {
    let mut headers = FieldTable::default();
    let key = message.properties.kind().as_ref().map_or("unknown", |kind| kind.as_str()).to_owned();
    for (name, value) in [
        ("error-kind", error_kind),
        ("error", "SQLSTATE P0001"),
        ("handler", handler),
        ("first-failed-at", "2026-01-02T03:04:05.000Z"),
        ("failed-at", "2026-01-02T03:14:05.000Z"),
        ("failed-host", "somewhere:1"),
        ("original-routing-key", key.as_str()),
    ] {
        headers.insert(name.into(), AMQPValue::LongString(value.into()));
    }
    headers.insert("attempt".into(), AMQPValue::LongInt(4));
    message.properties = message.properties.with_headers(headers);
    message
}

/// The ids of messages, in their order.
pub(crate) fn ids(found: &[Found]) -> Vec<String> {
    found.iter().map(|letter| letter.message_id().to_owned()).collect()
}
