//! `warren`, the command line of Warren: for people who develop, operate and measure it, and for their scripts.
//!
//! It works from outside, over the same REST interfaces and the same broker as everybody else. It refuses to decide
//! anything that a service decides, and to change what a service owns behind its back.
//!
//! Read it in this order: [`cli`] (the commands), [`settings`] (how it is told where things are), [`client`] (one
//! service over HTTP, and how its errors are shown), [`output`]; then one file or folder per command: [`token`],
//! [`order`], [`trace`], [`stuck`], [`audit`], [`event`], [`dlq`], [`topology`], [`catalog`],
//! [`load`], [`completions`], [`console`]. [`audit`] alone sees the
//! services' databases, and only reads them.

mod cli;
mod settings;

mod client;
mod duration;
mod failure;
mod output;

mod order;
mod token;

mod queues;

mod stuck;
mod trace;

mod audit;
mod event;

mod console;

mod catalog;
mod dlq;
mod topology;

mod load;

mod completions;

use std::process::ExitCode;

use anyhow::Context;
use clap::Parser;

use cli::Cli;

fn main() -> ExitCode {
    // --help and --version end here with status 0, wrong usage with 2
    let cli = Cli::parse();
    match run(&cli) {
        Ok(verdict) => verdict.into(),
        Err(error) => failure::report(&error),
    }
}

fn run(cli: &Cli) -> anyhow::Result<failure::Verdict> {
    // rustls has no default among its back ends; an earlier one would be ours as well
    let _ = rustls::crypto::ring::default_provider().install_default();
    // one thread: `load` shares its machine with what it measures
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().context("cannot start")?;
    let verdict = runtime.block_on(cli.run());
    // a connection that does not close in time must not keep the caller waiting
    runtime.shutdown_background();
    verdict
}
