//! `warren dlq replay`.

use std::collections::BTreeSet;

use anyhow::bail;
use clap::{ArgGroup, Args};
use contracts::event::Service;
use messaging::dead_letters::{DeadLetterError, DeadLetters};
use messaging::settings::AmqpUrls;
use serde_json::{Value, json};

use super::audit::Audit;
use super::desk::Desk;
use super::group::Groups;
use super::pace::{Pace, Steps};
use super::pass::{Finding, Pass, Tally, outcomes};
use super::progress::Progress;
use super::select::{self, Selection, all_found};
use super::{PATIENCE, list, services};
use crate::failure::Verdict;
use crate::settings::Settings;

/// How often in a row a pass begins anew that lost its connection before it had replayed anything.
const MOST_LOST: u32 = 5;

const EXAMPLES: &str = "\
Examples:
  warren dlq replay --group G --dry-run              which letters that would be
  warren dlq replay --group G --canary               1, then 2, 5, 10, … each after the outcome of those before
  warren dlq replay --queue order --rate 50          at most 50 in any second
  warren dlq replay ID ID                            these two
  warren dlq replay --all --keep-going               do not stop at those that fail again

A copy of each letter goes to its own service alone, and has one attempt: if it fails,
it is a dead letter again at once, and the replay stops there with exit status 1. What
was interrupted can be repeated: an event takes effect once, however often it comes.";

/// Options of `dlq replay`.
#[derive(Args)]
#[command(after_help = EXAMPLES)]
#[command(group(ArgGroup::new("which").required(true).args(["all", "queue", "group", "ids"])))]
pub(super) struct ReplayArgs {
    /// All dead letters of all services
    #[arg(long)]
    all: bool,

    /// All of this service's
    #[arg(long, value_name = "Q", value_parser = super::service)]
    queue: Option<Service>,

    /// All of this group
    #[arg(long, value_name = "G")]
    group: Option<String>,

    /// Those with these ids
    #[arg(value_name = "ID")]
    ids: Vec<String>,

    /// Print what would be replayed, and change nothing
    #[arg(long)]
    dry_run: bool,

    /// Begin with one, then 2, 5, 10, … each step after the outcome of all before
    #[arg(long)]
    canary: bool,

    /// At most so many in any second
    #[arg(long, value_name = "N", value_parser = rate)]
    rate: Option<f64>,

    /// Do not stop at letters that fail again
    #[arg(long, conflicts_with = "canary")]
    keep_going: bool,
}

fn rate(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(rate) if rate > 0.0 && rate <= 1e6 => Ok(rate),
        _ => Err("not a number above 0, such as 50".to_owned()),
    }
}

impl ReplayArgs {
    fn wish(&self) -> Replay {
        let selection = match &self.group {
            Some(group) => Selection::Group(group.clone()),
            None if self.ids.is_empty() => Selection::All,
            None => Selection::ids(&self.ids),
        };
        let Self { queue, canary, rate, keep_going, .. } = *self;
        Replay { selection, queue, canary, rate, keep_going }
    }
}

/// What is to be replayed, and how.
#[derive(Debug, Clone)]
pub(crate) struct Replay {
    /// Which letters.
    pub(crate) selection: Selection,
    /// Of one service only.
    pub(crate) queue: Option<Service>,
    /// In growing steps.
    pub(crate) canary: bool,
    /// At most so many in any second.
    pub(crate) rate: Option<f64>,
    /// Past those that fail again.
    pub(crate) keep_going: bool,
}

impl Replay {
    /// The same, as the journal tells it.
    fn told(&self) -> Value {
        let which = match (&self.selection, &self.queue) {
            (Selection::Group(group), _) => json!({"group": group}),
            (Selection::Ids(ids), _) => json!({"ids": ids}),
            (Selection::All, Some(queue)) => json!({"queue": queue.name()}),
            (Selection::All, None) => json!("all"),
        };
        json!({"selection": which, "canary": self.canary, "rate": self.rate, "keep_going": self.keep_going})
    }
}

pub(super) async fn run(args: &ReplayArgs, settings: &Settings, json: bool) -> anyhow::Result<Verdict> {
    let wish = args.wish();
    if args.dry_run {
        list::print(look(&wish, &settings.broker()?).await?.0, json)?;
        return Ok(Verdict::Fine);
    }
    let progress = Progress::new(true);
    let tally = replay(&Desk::of(settings, &progress)?, &wish).await?;
    tally.print(progress.run(), json)
}

/// Replays, and tells what it came to; the journal has it, too.
///
/// # Errors
/// When the broker cannot be asked, or there are no such letters.
pub(crate) async fn replay(desk: &Desk<'_>, wish: &Replay) -> anyhow::Result<Tally> {
    let mut services = services(wish.queue);
    if !matches!(wish.selection, Selection::All) {
        let (groups, holders) = look(wish, &desk.urls).await?;
        desk.progress.expect(groups.count());
        services.retain(|service| holders.contains(service));
    }
    let audit = Audit::open(desk, "replay").await?;
    audit.tell("begin", wish.told()).await?;
    let mut tally = Tally::default();
    let replayed = replay_all(desk, wish, &services, &mut tally).await;
    let mut end = tally.value();
    if let Err(error) = &replayed {
        end["error"] = format!("{error:#}").into();
    }
    audit.tell("end", end).await?;
    replayed?;
    Ok(tally)
}

/// The letters that are meant, and who has them. Changes nothing.
///
/// # Errors
/// When the broker cannot be asked, or there are no such letters.
pub(crate) async fn look(wish: &Replay, urls: &AmqpUrls) -> anyhow::Result<(Groups, BTreeSet<Service>)> {
    let (mut groups, mut ids, mut holders) = (Groups::default(), BTreeSet::new(), BTreeSet::new());
    let selection = &wish.selection;
    select::look(urls, &services(wish.queue), |letter| {
        if selection.has(&letter) {
            groups.add(&letter);
            holders.insert(letter.service);
            if matches!(selection, Selection::Ids(_)) {
                ids.insert(letter.id);
            }
        }
    })
    .await?;
    all_found(selection, &ids)?;
    if let (Selection::Group(name), true) = (selection, holders.is_empty()) {
        bail!("no dead letter is in the group {name}");
    }
    Ok((groups, holders))
}

async fn replay_all(desk: &Desk<'_>, wish: &Replay, services: &[Service], tally: &mut Tally) -> anyhow::Result<()> {
    let mut pace = Pace::new(wish.rate);
    let finding = if wish.canary { Finding::Each } else { Finding::IfPossible };
    for service in services {
        let mut outcomes = None;
        let (mut lost, mut before) = (0, tally.replayed);
        loop {
            let letters = DeadLetters::open(&desk.urls, *service, PATIENCE).await?;
            if letters.left() == 0 {
                letters.close().await?;
                break;
            }
            if matches!(wish.selection, Selection::All) && outcomes.is_none() {
                desk.progress.expect(letters.left() as usize);
            }
            let outcomes = match &mut outcomes {
                Some(outcomes) => outcomes,
                none => none.insert(self::outcomes(*service, desk, finding).await?),
            };
            let failures = letters.watch().await?;
            let steps = wish.canary.then(Steps::new);
            let (progress, selection, keep_going) = (desk.progress, &wish.selection, wish.keep_going);
            let mut pass =
                Pass { letters, failures, progress, selection, keep_going, steps, pace: &mut pace, outcomes, tally };
            let ended = pass.run().await;
            let closed = pass.letters.close().await;
            match ended.and(closed) {
                Ok(()) => break,
                // What was not acknowledged is in its queue again; what was handed over and not acknowledged goes twice.
                Err(DeadLetterError::Lost(why)) if lost < MOST_LOST => {
                    desk.progress.say(format!("{service}: {why}; going on with a new connection"));
                    lost = if tally.replayed > before { 0 } else { lost + 1 };
                    before = tally.replayed;
                }
                Err(error) => return Err(error.into()),
            }
        }
        let has_failed = !(tally.failed.is_empty() || wish.keep_going);
        if tally.unsettled > 0 || has_failed || desk.progress.is_stopping() {
            break;
        }
    }
    Ok(())
}
