//! `warren topology`: what exchanges and queues there are to be, whether they are, and making them.

pub(crate) mod show;

mod check;

pub(crate) mod compare;
pub(crate) mod found;
pub(crate) mod management;

mod apply;

use clap::{Args, Subcommand};
use messaging::schedule::RetrySchedule;
use messaging::topology::Topology;

use crate::failure::{Usage, Verdict};
use crate::settings::{self, Settings};

/// What the broker's list of connections shows of us.
const CONNECTION_NAME: &str = "warren topology";

const EXAMPLES: &str = "\
Examples:
  warren topology show                               what follows from the catalogue of events
  warren topology check                              compared with the broker's; exit status 1 on a difference
  warren topology apply --wait 60s                   made, as an administrator, when the broker is up";

/// Options of `topology`.
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct TopologyArgs {
    #[command(subcommand)]
    command: TopologyCommand,

    /// The backoff schedule, the same as in the services [env: RETRY_DELAYS] [default: 1s,5s,30s,2m,10m]
    #[arg(long, global = true, value_name = "LIST")]
    retry_delays: Option<String>,
}

#[derive(Subcommand)]
enum TopologyCommand {
    /// Show the topology that follows from the catalogue of events and RETRY_DELAYS; the broker is not asked
    Show(show::ShowArgs),
    /// Compare it with what the broker has; changes nothing
    Check(check::CheckArgs),
    /// Make whatever of it the broker does not have yet
    Apply(apply::ApplyArgs),
}

/// Carries out a `topology` command.
///
/// # Errors
/// When the broker cannot be reached, or refuses.
pub(crate) async fn run(args: &TopologyArgs, settings: &Settings, json: bool) -> anyhow::Result<Verdict> {
    let topology = Topology::new(&schedule(args.retry_delays.as_deref())?);
    match &args.command {
        TopologyCommand::Show(_) => show::run(&topology, json),
        TopologyCommand::Check(_) => check::run(&topology, settings, json).await,
        TopologyCommand::Apply(args) => apply::run(args, &topology, settings, json).await,
    }
}

pub(crate) fn schedule(option: Option<&str>) -> Result<RetrySchedule, Usage> {
    match settings::variable("RETRY_DELAYS", option)? {
        None => Ok(RetrySchedule::default()),
        Some(text) => text.parse().map_err(|why| Usage(format!("RETRY_DELAYS: {why}"))),
    }
}
