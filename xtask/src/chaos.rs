//! `cargo xtask chaos`: everything goes wrong at once, by a schedule that a seed repeats; then every promise is checked.
//!
//! It runs the test `chaos` of the end-to-end tests for longer than the suite does.

use anyhow::Result;
use clap::Args;

use crate::infra::Choice;
use crate::test;

/// Options of `chaos`.
#[derive(Debug, Args)]
pub(crate) struct ChaosArgs {
    /// What the schedule and the orders are drawn from; the same seed repeats them
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// How long faults happen, in minutes
    #[arg(long, value_name = "M", default_value_t = 5)]
    minutes: u64,
    /// How long faults happen, in seconds instead of minutes
    #[arg(long, value_name = "S", conflicts_with = "minutes")]
    seconds: Option<u64>,
    /// Where RabbitMQ and PostgreSQL come from
    #[arg(long, value_enum, default_value_t = Choice::Auto)]
    infra: Choice,
}

/// Runs one seed.
///
/// # Errors
/// When a promise is broken, or the servers cannot be had.
pub(crate) fn chaos(args: &ChaosArgs) -> Result<()> {
    let seconds = args.seconds.unwrap_or(args.minutes * 60);
    let variables = [("CHAOS_SEED", args.seed.to_string()), ("CHAOS_SECONDS", seconds.to_string())];
    test::test_alone(args.infra, "chaos", &variables)
}
