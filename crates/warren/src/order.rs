//! `warren order`: the order service's REST interface by hand.

mod model;

mod cancel;
mod diff;
mod list;
mod nudge;
mod place;
mod show;

mod watch;

mod event;
mod sse;

use clap::{Args, Subcommand};

use crate::failure::Verdict;
use crate::settings::Settings;

const EXAMPLES: &str = "\
Examples:
  warren order place --customer ID --line carrot-1kg=2 --line hay-bale=1
  warren order show ID                               as it is now
  warren order diff ID 2..4                          what changed, and which event did it
  warren order list --status cancelled               the newest cancelled ones
  warren order cancel ID --reason \"changed my mind\"
  warren order watch ID                              its history, then what happens to it, live";

/// Options of `order`.
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct OrderArgs {
    #[command(subcommand)]
    command: OrderCommand,
}

#[derive(Subcommand)]
enum OrderCommand {
    /// Place an order
    Place(place::PlaceArgs),
    /// Show an order, as it is or as it once was
    Show(show::ShowArgs),
    /// Tell what changed between two versions of an order, and which event did it
    Diff(diff::DiffArgs),
    /// List orders, the newest first
    List(list::ListArgs),
    /// Cancel an order; its stock and money come back by themselves
    Cancel(cancel::CancelArgs),
    /// Repeat the step that an order waits for
    Nudge(nudge::NudgeArgs),
    /// Follow one order, or all, live
    Watch(watch::WatchArgs),
}

/// Carries out an `order` command.
///
/// # Errors
/// When the order service cannot be reached, or refuses.
pub(crate) async fn run(args: &OrderArgs, settings: &Settings, json: bool) -> anyhow::Result<Verdict> {
    let client = settings.order()?;
    match &args.command {
        OrderCommand::Place(args) => place::run(args, &client, json).await,
        OrderCommand::Show(args) => show::run(args, &client, json).await,
        OrderCommand::Diff(args) => diff::run(args, &client, json).await,
        OrderCommand::List(args) => list::run(args, &client, json).await,
        OrderCommand::Cancel(args) => cancel::run(args, &client, json).await,
        OrderCommand::Nudge(args) => nudge::run(args, &client, json).await,
        OrderCommand::Watch(args) => watch::run(args, &client, json).await,
    }
}
