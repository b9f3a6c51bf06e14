//! `cargo xtask bench`: how fast the whole system is on this machine, and what it costs.
//!
//! A release build of everything, servers of its own, every guarantee on. Each measurement begins with new servers and new
//! processes, so what one leaves behind does not weigh on the next, and one alone gives what it gives among all. The
//! load generator shares the machine and is counted on its own line. On a shared machine absolute figures move: compare
//! figures of one run.
//!
//! Reading order: [`figures`] (what comes out, and what it should be), [`world`] (the system that is measured), [`load`]
//! (orders for it), [`usage`] and [`exposition`] (what it spends, how far it is), then one file per measurement.

use std::path::PathBuf;

use anyhow::{Result, bail};
use clap::{Args, ValueEnum};

use crate::infra::Choice;
use crate::{interrupt, process, workspace};
use figures::Figures;
use sizes::Sizes;

mod figures;
mod sizes;

mod exposition;
mod load;
mod usage;
mod world;

mod accept;
mod backlog;
mod copies;
mod full;
mod history;
mod hot_sku;
mod pgbench;
mod quiet;
mod reads;
mod start;

const EXAMPLES: &str = "\
Examples:
  cargo xtask bench --json now.json
      Everything: about half an hour.

  cargo xtask bench --quick
      Everything with small numbers: figures that say little, in some minutes.

  cargo xtask bench --only full quiet --compare now.json
      What a change gave: the last column is the ratio to the earlier figure.

  cargo xtask bench --only history --history 10000000
      As many of ten million orders as the disk has room for.

Each figure is printed beside its goal, and whether that is met or missed. Some
are ratios, of two things measured one after the other in the same run.

Exit status 1 when a measurement could not be made, or its load found a broken
promise. A goal that is missed is none.";

/// Options of `bench`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct BenchArgs {
    /// Only these measurements
    #[arg(long, value_name = "NAME", value_enum, num_args = 1..)]
    only: Vec<Measurement>,
    /// Small numbers everywhere: to see that it works
    #[arg(long)]
    quick: bool,
    /// Orders of each measurement at full load [default: 20000, quick: 2000]
    #[arg(long, value_name = "N")]
    orders: Option<u32>,
    /// Connections at full load
    #[arg(long, value_name = "C", default_value_t = 64)]
    concurrency: u32,
    /// Seconds at 100 orders per second, and of pgbench [default: 20, quick: 4]
    #[arg(long, value_name = "S")]
    seconds: Option<u32>,
    /// Orders that wait while inventory is away [default: 100000, quick: 4000]
    #[arg(long, value_name = "N")]
    backlog: Option<u32>,
    /// Orders of the history, or as many as half of the free disk takes [default: 1000000, quick: 20000]
    #[arg(long, value_name = "N")]
    history: Option<u64>,
    /// Where RabbitMQ and PostgreSQL come from; what they cost is only seen of native ones, and only private ones are empty
    #[arg(long, value_enum, default_value_t = Choice::Native)]
    infra: Choice,
    /// Measure a debug build: to see that it works, sooner
    #[arg(long)]
    debug: bool,
    /// Write the figures to this file, too
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Show ratios to the figures of an earlier run
    #[arg(long, value_name = "FILE")]
    compare: Option<PathBuf>,
}

/// What can be measured, in the order in which it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Measurement {
    /// Full load: orders per second from POST to mail, processor time per 1,000 orders, peak memory
    Full,
    /// 100 orders per second: from POST to answer, from POST to mail
    Quiet,
    /// Orders accepted over 32 connections while the other services are stopped, beside pgbench
    Accept,
    /// From the start of each service to ready
    Start,
    /// All orders for one sku, against 1,000 skus
    HotSku,
    /// 100,000 orders are accepted while inventory is stopped; then it is started
    Backlog,
    /// Two copies of each service, against one
    Copies,
    /// Before and after there is a history of a million orders: POST, relay, GET, lists
    History,
}

impl Measurement {
    fn name(self) -> String {
        self.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
    }

    fn make(self, sizes: &Sizes, figures: &mut Figures) -> Result<()> {
        match self {
            Measurement::Full => full::measure(sizes, figures),
            Measurement::Quiet => quiet::measure(sizes, figures),
            Measurement::Accept => accept::measure(sizes, figures),
            Measurement::Start => start::measure(sizes, figures),
            Measurement::HotSku => hot_sku::measure(sizes, figures),
            Measurement::Backlog => backlog::measure(sizes, figures),
            Measurement::Copies => copies::measure(sizes, figures),
            Measurement::History => history::measure(sizes, figures),
        }
    }
}

/// Measures, prints, and fails when something could not be measured. What was measured by then is printed all the same.
///
/// # Errors
/// When something does not start, a check of a load fails, or a file cannot be read or written.
pub(crate) fn bench(args: &BenchArgs) -> Result<()> {
    interrupt::listen()?;
    let earlier = args.compare.as_deref().map(Figures::read).transpose()?;
    let sizes = Sizes::of(args, workspace::build(!args.debug)?);
    let mut figures = Figures::default();
    let mut failed = Vec::new();
    let wanted = |measurement: &&Measurement| args.only.is_empty() || args.only.contains(measurement);
    for measurement in Measurement::value_variants().iter().filter(wanted) {
        let name = measurement.name();
        process::say(&format!("measuring {name}"));
        figures.begin(&name);
        match measurement.make(&sizes, &mut figures) {
            Ok(()) => {}
            Err(error) if error.is::<interrupt::Interrupted>() => return Err(error),
            Err(error) => {
                process::say(&format!("{name}: {error:#}"));
                failed.push(name);
            }
        }
        if let Some(file) = &args.json {
            figures.write(file)?;
        }
    }
    figures.print(earlier.as_ref());
    if !failed.is_empty() {
        bail!("could not be measured: {}", failed.join(", "));
    }
    Ok(())
}
