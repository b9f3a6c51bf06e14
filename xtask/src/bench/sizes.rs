//! What a run measures, and how much of everything.

use std::path::PathBuf;

use super::BenchArgs;
use crate::infra::Choice;

/// The numbers of a run, and what they are of.
#[derive(Debug)]
pub(super) struct Sizes {
    /// Orders at full load.
    pub(super) orders: u32,
    /// Connections at full load.
    pub(super) concurrency: u32,
    /// Orders before anything is measured: connections, plans, caches.
    pub(super) warm_up: u32,
    /// Seconds without much load, and of pgbench before and after together.
    pub(super) seconds: u32,
    /// Orders that wait while inventory is away.
    pub(super) backlog: u32,
    /// Orders of the history.
    pub(super) history: u64,
    /// Starts of each service.
    pub(super) starts: usize,
    /// Requests of each kind of reading.
    pub(super) reads: usize,
    /// Where the servers come from.
    pub(super) infra: Choice,
    /// The folder of the binaries: built once, so that all measurements are of the same.
    pub(super) bin_dir: PathBuf,
}

impl Sizes {
    /// What the options ask for.
    pub(super) fn of(args: &BenchArgs, bin_dir: PathBuf) -> Sizes {
        let either = |usual: u32, quick: u32| if args.quick { quick } else { usual };
        Sizes {
            orders: args.orders.unwrap_or(either(20_000, 2000)),
            concurrency: args.concurrency,
            warm_up: either(1000, 200),
            seconds: args.seconds.unwrap_or(either(20, 4)),
            backlog: args.backlog.unwrap_or(either(100_000, 4000)),
            history: args.history.unwrap_or(either(1_000_000, 20_000).into()),
            starts: either(7, 3) as usize,
            reads: either(1000, 200) as usize,
            infra: args.infra,
            bin_dir,
        }
    }
}
