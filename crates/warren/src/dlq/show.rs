//! `warren dlq show`.

use clap::Args;
use contracts::event::Service;
use messaging::dead_letters::Letter;
use serde_json::{Value, json};

use super::group::{self, time_text};
use super::select::{self, Selection};
use super::services;
use crate::failure::Verdict;
use crate::output;
use crate::settings::Settings;

const EXAMPLES: &str = "\
Examples:
  warren dlq show ID
  warren dlq show ID --json | jq .body > corrected.json
                                                     the body, to be edited

A body may hold names and addresses: it is shown here and nowhere else. With --json,
`body` is the body as JSON, or null if it is none, and `body_text` is it as text.";

/// Options of `dlq show`.
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct ShowArgs {
    /// The event's id, as `dlq list` has it
    id: String,

    /// Only this service's: an event can be a dead letter of several
    #[arg(long, value_name = "Q", value_parser = super::service)]
    queue: Option<Service>,
}

pub(super) async fn run(args: &ShowArgs, settings: &Settings, json: bool) -> anyhow::Result<Verdict> {
    let wanted = Selection::ids(std::slice::from_ref(&args.id));
    let mut pages = Vec::new();
    select::look(&settings.broker()?, &services(args.queue), |letter| {
        if wanted.has(&letter) {
            pages.push(if json { serde_json::to_string_pretty(&value(&letter)) } else { Ok(page(&letter)) });
        }
    })
    .await?;
    if pages.is_empty() {
        anyhow::bail!("no dead letter has the id {}", args.id);
    }
    let pages: Vec<String> = pages.into_iter().collect::<Result<_, _>>()?;
    output::print(&pages.join(if json { "\n" } else { "\n\n" }))?;
    Ok(Verdict::Fine)
}

/// All of a letter, its body with it.
pub(crate) fn value(letter: &Letter) -> Value {
    let body: Option<Value> = serde_json::from_slice(letter.body()).ok();
    json!({
        "id": letter.id,
        "group": group::name_of(letter),
        "queue": letter.service.name(),
        "type": letter.event_type,
        "error_kind": letter.error_kind,
        "error": letter.error,
        "handler": letter.handler,
        "attempt": letter.attempt,
        "first_failed_at": letter.first_failed_at.as_ref().map(time_text),
        "failed_at": letter.failed_at.as_ref().map(time_text),
        "failed_host": letter.failed_host,
        "original_routing_key": letter.original_routing_key,
        "replay": letter.replay,
        "properties": letter.properties(),
        "headers": letter.headers(),
        "size": letter.body().len(),
        "body": body,
        "body_text": String::from_utf8_lossy(letter.body()),
    })
}

fn page(letter: &Letter) -> String {
    let time = |time: &Option<chrono::DateTime<chrono::Utc>>| time.as_ref().map(time_text).unwrap_or_default();
    let mut rows = vec![
        ("id", letter.id.clone()),
        ("queue", letter.service.name().to_owned()),
        ("group", group::name_of(letter)),
        ("type", letter.event_type.clone()),
        ("error kind", letter.error_kind.clone()),
        ("error", letter.error.clone()),
        ("handler", letter.handler.clone()),
        ("attempt", letter.attempt.to_string()),
        ("first failed", time(&letter.first_failed_at)),
        ("last failed", time(&letter.failed_at)),
        ("host", letter.failed_host.clone()),
        ("routing key", letter.original_routing_key.clone()),
    ];
    rows.extend(letter.replay.clone().map(|run| ("replayed by", run)));
    let mut page: String = rows.iter().map(|(name, value)| format!("{name:13} {value}\n")).collect();
    for (name, value) in letter.properties() {
        page.push_str(&format!("{name:13} {value}\n"));
    }
    page.push('\n');
    match serde_json::from_slice::<Value>(letter.body()) {
        Ok(body) => page.push_str(&format!("{body:#}")),
        Err(_) => {
            page.push_str(&format!("{} bytes that are no JSON:\n", letter.body().len()));
            page.push_str(&harmless(&String::from_utf8_lossy(letter.body())));
        }
    }
    page
}

/// A text of several lines that does a terminal no harm.
fn harmless(text: &str) -> String {
    let harmful = |c: char| c.is_control() && !matches!(c, '\n' | '\t');
    text.chars().map(|c| if harmful(c) { char::REPLACEMENT_CHARACTER } else { c }).collect()
}
