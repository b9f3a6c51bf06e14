//! `warren dlq edit`.

use std::path::PathBuf;

use anyhow::{Context, anyhow, bail};
use clap::Args;
use contracts::catalogue::find;
use contracts::envelope::Envelope;
use contracts::event::Service;
use messaging::dead_letters::{DeadLetters, Letter};
use serde_json::json;

use super::audit::Audit;
use super::desk::Desk;
use super::pass::{Finding, Tally};
use super::progress::Progress;
use super::select::Selection;
use super::{PATIENCE, pass, services};
use crate::failure::{Usage, Verdict};
use crate::settings::Settings;

const EXAMPLES: &str = "\
Examples:
  warren dlq show ID --json | jq .body > corrected.json
  vi corrected.json
  warren dlq edit ID --body corrected.json

The file holds the whole envelope, with the same `id` and `type`. It is checked as its
consumer will read it; if it is not valid, nothing is changed. Then it is replayed in
place of the old one. Exit status 1 when it fails again.";

/// Options of `dlq edit`.
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct EditArgs {
    /// The event's id, as `dlq list` has it
    id: String,

    /// A file with the new body
    #[arg(long, value_name = "FILE")]
    body: PathBuf,

    /// Only this service's: an event can be a dead letter of several
    #[arg(long, value_name = "Q", value_parser = super::service)]
    queue: Option<Service>,
}

pub(super) async fn run(args: &EditArgs, settings: &Settings, json: bool) -> anyhow::Result<Verdict> {
    let file = args.body.display();
    let body = std::fs::read(&args.body).map_err(|error| Usage(format!("--body: cannot read {file}: {error}")))?;
    let progress = Progress::new(true);
    let tally = edit(&Desk::of(settings, &progress)?, &args.id, args.queue, body, &file.to_string()).await?;
    tally.print(progress.run(), json)
}

/// Checks a new body for a letter, and replays it in place of the old one. `source` is where the body is from, for errors.
///
/// # Errors
/// When the body is not one that the letter's service reads, there is no such letter, or there are several: nothing is
/// changed then. Others when the broker cannot be asked.
pub(crate) async fn edit(
    desk: &Desk<'_>,
    id: &str,
    queue: Option<Service>,
    body: Vec<u8>,
    source: &str,
) -> anyhow::Result<Tally> {
    let invalid = || format!("{source}: not a body that can be replayed; nothing was changed");
    let event = Envelope::from_json(&body).with_context(invalid)?;
    let wanted = Selection::ids(&[id.to_owned()]);
    let mut found = Vec::new();
    for service in services(queue) {
        let mut letters = DeadLetters::open(&desk.urls, service, PATIENCE).await?;
        let mut same = Vec::new();
        while let Some(letter) = letters.next().await? {
            if wanted.has(&letter) {
                same.push(letter);
            }
        }
        match same.is_empty() {
            true => letters.close().await?,
            false => found.push((letters, same)),
        }
    }
    let chosen = match found.as_slice() {
        [] => Err(anyhow!("no dead letter has the id {id}")),
        [(_, same)] => check(&event, &same[0]).with_context(invalid),
        several => {
            let queues: Vec<&str> = several.iter().map(|(letters, _)| letters.service().name()).collect();
            Err(anyhow!("{id} is a dead letter of {}: say which one with --queue", queues.join(" and ")))
        }
    };
    if let Err(error) = chosen {
        for (letters, _) in found {
            letters.close().await?;
        }
        return Err(error);
    }
    let (letters, same) = found.pop().expect("exactly one was chosen");
    replay(letters, &same, &event, body.clone(), desk).await
}

/// Whether the new body is the same event, in a shape that the service reads.
fn check(event: &Envelope<'_>, letter: &Letter) -> anyhow::Result<()> {
    let same_id = letter.event_id.is_none_or(|id| id == event.id);
    if !same_id {
        bail!("id: is {}, and that of the letter is {}", event.id, letter.id);
    }
    let consumed = find(&event.event_type).filter(|known| known.consumers.contains(&letter.service));
    let Some(known) = consumed else {
        bail!("type: {} does not consume {}", letter.service, event.event_type);
    };
    // of a letter that said no type that anybody knows, the type may be what is corrected
    if find(&letter.event_type).is_some() && letter.event_type != event.event_type {
        bail!("type: is {}, and that of the letter is {}", event.event_type, letter.event_type);
    }
    Ok((known.check)(event)?)
}

async fn replay(
    mut letters: DeadLetters,
    same: &[Letter],
    event: &Envelope<'_>,
    body: Vec<u8>,
    desk: &Desk<'_>,
) -> anyhow::Result<Tally> {
    let service = letters.service();
    let (progress, run) = (desk.progress, desk.progress.run());
    progress.expect(1);
    let audit = Audit::open(desk, "edit").await?;
    let sizes = json!({"before": same[0].body().len(), "after": body.len()});
    audit.tell("begin", json!({"queue": service.name(), "id": same[0].id, "bytes": sizes})).await?;
    let mut outcomes = pass::outcomes(service, desk, Finding::IfPossible).await?;
    let mut failures = letters.watch().await?;
    letters.replay_edited(&same[0], run, event, body).await?;
    // others of the same id are the same event, delivered twice
    for double in &same[1..] {
        letters.take_away(double).await?;
    }
    outcomes.expect(event.id.to_string(), Some(event.id));
    let mut tally = Tally { replayed: 1, ..Tally::default() };
    pass::conclude(&letters, &mut failures, &mut outcomes, progress, &mut tally).await?;
    letters.close().await?;
    audit.tell("end", tally.value()).await?;
    Ok(tally)
}
