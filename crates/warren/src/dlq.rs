//! `warren dlq`: dead letters, looked at, put back, corrected or taken away.
//!
//! It works on the broker's queues `SERVICE.dead` alone; whether a replayed message took effect it asks the service. See
//! `messaging::dead_letters` for how letters are looked at without changing anything. The commands and the console act
//! through the same functions, which are told by a [`desk::Desk`] who acts and where.

pub(crate) mod desk;
pub(crate) mod group;
pub(crate) mod progress;
pub(crate) mod select;

mod list;
pub(crate) mod show;

pub(crate) mod pass;
pub(crate) mod replay;

mod outcomes;
mod pace;

pub(crate) mod discard;
pub(crate) mod edit;

mod audit;
mod log;

use std::time::Duration;

use clap::{Args, Subcommand};
use contracts::event::Service;

use crate::failure::Verdict;
use crate::settings::Settings;

/// How long another operator's command on the same letters is waited for. A look at 100,000 of them takes less.
pub(crate) const PATIENCE: Duration = Duration::from_mins(1);

const EXAMPLES: &str = "\
Examples:
  warren dlq list                                    what failed, grouped by queue, type, error and handler
  warren dlq show ID                                 one letter: why it failed, and its body
  warren dlq replay --group G --dry-run              what would be replayed
  warren dlq replay --group G --canary               one first, then 2, 5, 10, …; stops where one fails again
  warren dlq edit ID --body corrected.json           replay it with another body
  warren dlq discard ID                              take it away for good
  warren dlq log                                     who did what

ID is the event's id; Q is the service's name: order, inventory or email. The
variable WARREN_OPERATOR says who you are, for the log; else it is who is logged in.";

/// Options of `dlq`.
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct DlqArgs {
    #[command(subcommand)]
    command: DlqCommand,
}

#[derive(Subcommand)]
enum DlqCommand {
    /// List dead letters in groups; changes nothing
    List(list::ListArgs),
    /// Show one dead letter, with its body; changes nothing
    Show(show::ShowArgs),
    /// Put dead letters back into their service's queue; stops where one fails again
    Replay(replay::ReplayArgs),
    /// Replay a dead letter with another body, which is checked first
    Edit(edit::EditArgs),
    /// Take dead letters away for good
    Discard(discard::DiscardArgs),
    /// Show who replayed, edited and discarded what
    Log(log::LogArgs),
}

/// Carries out a `dlq` command.
///
/// # Errors
/// When the broker cannot be reached or refuses, or there is no such letter.
pub(crate) async fn run(args: &DlqArgs, settings: &Settings, json: bool) -> anyhow::Result<Verdict> {
    match &args.command {
        DlqCommand::List(args) => list::run(args, settings, json).await,
        DlqCommand::Show(args) => show::run(args, settings, json).await,
        DlqCommand::Replay(args) => replay::run(args, settings, json).await,
        DlqCommand::Edit(args) => edit::run(args, settings, json).await,
        DlqCommand::Discard(args) => discard::run(args, settings, json).await,
        DlqCommand::Log(args) => log::run(args, settings, json).await,
    }
}

/// A clap value parser: a service's name.
fn service(text: &str) -> Result<Service, String> {
    Service::named(text).ok_or_else(|| "not a service: order, inventory or email".to_owned())
}

/// That service, or all.
pub(crate) fn services(only: Option<Service>) -> Vec<Service> {
    Service::ALL.into_iter().filter(|service| only.is_none_or(|only| only == *service)).collect()
}
