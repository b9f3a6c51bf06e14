//! Who did what: a line before anything is changed, and one when it has ended, in the journal on the broker.

use chrono::Utc;
use messaging::dead_letters::{DeadLetterError, Journal};
use messaging::inspect;
use serde_json::{Map, Value, json};

use super::desk::Desk;
use super::group::time_text;

/// The lines of one command.
#[derive(Debug)]
pub(super) struct Audit {
    journal: Journal,
    who: Value,
    action: &'static str,
    run: String,
}

impl Audit {
    /// Opens the journal. Nothing is changed by an operator whose name cannot be left there.
    ///
    /// # Errors
    /// When the broker cannot be reached, or refuses.
    pub(super) async fn open(desk: &Desk<'_>, action: &'static str) -> anyhow::Result<Self> {
        let broker_user = inspect::account(&desk.urls).map(|account| account.user);
        let mut who = json!({"operator": desk.operator.name, "host": host(), "broker_user": broker_user});
        if let Some(via) = desk.operator.via {
            who["via"] = via.into();
        }
        Ok(Self { journal: Journal::open(&desk.urls).await?, who, action, run: desk.progress.run().to_owned() })
    }

    /// Leaves a line: that it begins, or ended, and what there is to tell of it.
    ///
    /// # Errors
    /// When the broker does not take it.
    pub(super) async fn tell(&self, phase: &str, more: Value) -> Result<(), DeadLetterError> {
        let mut line = Map::new();
        line.insert("at".to_owned(), time_text(&Utc::now()).into());
        line.insert("run".to_owned(), self.run.clone().into());
        line.insert("action".to_owned(), self.action.into());
        line.insert("phase".to_owned(), phase.into());
        for part in [&self.who, &more] {
            line.extend(part.as_object().into_iter().flatten().map(|(name, value)| (name.clone(), value.clone())));
        }
        self.journal.add(Value::Object(line).to_string().into_bytes()).await
    }
}

fn host() -> String {
    std::fs::read_to_string("/etc/hostname").unwrap_or_default().trim().to_owned()
}
