//! Who did what: a line before anything is changed, and one when it has ended, in the journal on the broker.

use std::env;

use chrono::Utc;
use messaging::dead_letters::{DeadLetterError, Journal};
use messaging::inspect;
use messaging::settings::AmqpUrls;
use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::group::time_text;
use crate::settings;

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
    pub(super) async fn open(urls: &AmqpUrls, action: &'static str) -> anyhow::Result<Self> {
        let broker_user = inspect::account(urls).map(|account| account.user);
        let who = json!({"operator": operator()?, "host": host(), "broker_user": broker_user});
        Ok(Self { journal: Journal::open(urls).await?, who, action, run: Uuid::now_v7().to_string() })
    }

    /// The name of this run, which its lines and the copies that it makes carry.
    pub(super) fn run(&self) -> &str {
        &self.run
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

/// Who we are: `WARREN_OPERATOR`, else who is logged in.
fn operator() -> anyhow::Result<String> {
    let named = settings::variable("WARREN_OPERATOR", None)?;
    let login = || ["SUDO_USER", "USER", "LOGNAME"].into_iter().find_map(|name| env::var(name).ok());
    Ok(named.or_else(login).filter(|name| !name.is_empty()).unwrap_or_else(|| "unknown".to_owned()))
}

fn host() -> String {
    std::fs::read_to_string("/etc/hostname").unwrap_or_default().trim().to_owned()
}
