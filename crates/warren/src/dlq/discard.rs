//! `warren dlq discard`.

use std::collections::BTreeSet;

use clap::Args;
use contracts::event::Service;
use messaging::dead_letters::{DeadLetters, Letter};
use serde_json::{Value, json};

use super::audit::Audit;
use super::desk::Desk;
use super::progress::Progress;
use super::select::{Selection, all_found};
use super::{PATIENCE, services};
use crate::failure::Verdict;
use crate::output;
use crate::settings::Settings;

const EXAMPLES: &str = "\
Examples:
  warren dlq discard ID
  warren dlq discard ID ID ID
  warren dlq list --json | jq -r '.[] | select(.group == \"G\") | .ids[]' | xargs warren dlq discard

The letters are gone for good, and their events never take effect: `warren dlq show`
prints a body that is to be kept. If one of the ids is unknown, nothing is discarded.";

/// Options of `dlq discard`.
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct DiscardArgs {
    /// The events' ids, as `dlq list` has them
    #[arg(required = true, value_name = "ID")]
    ids: Vec<String>,

    /// Only this service's: an event can be a dead letter of several
    #[arg(long, value_name = "Q", value_parser = super::service)]
    queue: Option<Service>,
}

pub(super) async fn run(args: &DiscardArgs, settings: &Settings, json: bool) -> anyhow::Result<Verdict> {
    let progress = Progress::new(true);
    let discarded = discard(&Desk::of(settings, &progress)?, &args.ids, args.queue).await?;
    if json {
        output::print_json(&json!({"discarded": discarded}))?;
    } else {
        eprintln!("discarded {} dead letters", discarded.len());
    }
    Ok(Verdict::Fine)
}

/// Takes the letters of these ids away for good, and tells which they were.
///
/// # Errors
/// When the broker cannot be asked, or one of the ids is unknown: nothing is discarded then.
pub(crate) async fn discard(desk: &Desk<'_>, ids: &[String], queue: Option<Service>) -> anyhow::Result<Vec<Value>> {
    let wanted = Selection::ids(ids);
    let (mut queues, mut found) = (Vec::new(), Vec::new());
    // all queues are in hand before anything is taken away
    for service in services(queue) {
        let mut letters = DeadLetters::open(&desk.urls, service, PATIENCE).await?;
        while let Some(letter) = letters.next().await? {
            if wanted.has(&letter) {
                found.push((queues.len(), letter));
            }
        }
        queues.push(letters);
    }
    let ids: BTreeSet<String> = found.iter().map(|(_, letter)| letter.id.clone()).collect();
    let discarded = match all_found(&wanted, &ids) {
        Ok(()) => take_away(desk, &mut queues, &found).await,
        Err(missing) => Err(missing),
    };
    for letters in queues {
        letters.close().await?;
    }
    discarded
}

async fn take_away(
    desk: &Desk<'_>,
    queues: &mut [DeadLetters],
    found: &[(usize, Letter)],
) -> anyhow::Result<Vec<Value>> {
    let told: Vec<Value> = found.iter().map(|(_, letter)| told(letter)).collect();
    let audit = Audit::open(desk, "discard").await?;
    audit.tell("begin", json!({"letters": told})).await?;
    for (queue, letter) in found {
        queues[*queue].take_away(letter).await?;
    }
    audit.tell("end", json!({"discarded": told.len()})).await?;
    Ok(told)
}

/// What is remembered of a letter that is gone; nothing personal.
fn told(letter: &Letter) -> Value {
    json!({"queue": letter.service.name(), "id": letter.id, "type": letter.event_type, "error_kind": letter.error_kind})
}
