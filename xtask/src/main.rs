//! `cargo xtask`: what a person types to run, test and maintain Warren.
//!
//! It brings up a real RabbitMQ and PostgreSQL, runs the services and the tests against them, and leaves nothing
//! behind. It refuses to know what the services do: it starts their binaries, speaks to their public interface, and
//! imports none of their crates. It is the first thing compiled on a new machine, so it depends on little.
//!
//! Reading order: [`infra`] provides the servers, [`run`] guarantees that they go away again, [`system`] puts the
//! services on top, [`up`] and [`test`] are what people use. [`process`], [`net`], [`files`], [`shell`] and
//! [`interrupt`] are tools.
#![allow(clippy::print_stdout, reason = "a command line talks to people")]

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};

use infra::private::Action;
use infra::{Choice, Server};
use services::Program;

mod bench;
mod chaos;
mod contracts;
mod demo;
mod files;
mod infra;
mod interrupt;
mod logs;
mod net;
mod operate;
mod process;
mod run;
mod secrets;
mod services;
mod shell;
mod sqlx;
mod state;
mod supervisor;
mod system;
mod test;
mod up;
mod workspace;

/// Runs, tests and maintains Warren.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Cli {
    #[command(subcommand)]
    command: Task,
}

#[derive(Debug, Subcommand)]
enum Task {
    /// Bring up RabbitMQ, PostgreSQL and the services, and follow their logs; Ctrl-C stops all of it
    Up(up::UpArgs),
    /// Show what runs; fails unless everything is ready
    Status,
    /// Print the services' logs
    Logs {
        /// Only this one's
        service: Option<Program>,
        /// Go on with what comes
        #[arg(short, long)]
        follow: bool,
    },
    /// Build, and start one service anew
    Restart {
        /// Which
        service: Program,
    },
    /// Stop the system; its data stays
    Down {
        /// Delete its data, too
        #[arg(long)]
        delete_data: bool,
    },
    /// Build, and migrate the databases of the running system
    Migrate,
    /// Run all tests, against servers of their own
    Test {
        /// Where RabbitMQ and PostgreSQL come from
        #[arg(long, value_enum, default_value_t = Choice::Auto)]
        infra: Choice,
        /// Run one part
        #[arg(long, value_enum, value_name = "PART")]
        only: Option<test::Part>,
        /// Run the tests whose name contains one of these
        filter: Vec<String>,
    },
    /// Make the data by which queries are checked without a database (`.sqlx`) anew
    Sqlx {
        /// Only check that it is up to date
        #[arg(long)]
        check: bool,
        /// Where PostgreSQL comes from
        #[arg(long, value_enum, default_value_t = Choice::Auto)]
        infra: Choice,
    },
    /// Write or check the JSON Schemas of the events
    Contracts {
        #[command(subcommand)]
        task: contracts::Task,
    },
    /// Measure a release build of everything: throughput, latency, and what they cost
    Bench(bench::BenchArgs),
    /// Have everything go wrong at once by a seeded schedule, and check every promise
    Chaos(chaos::ChaosArgs),
    /// What a run's `INFRA_CTL` calls
    #[command(hide = true)]
    InfraCtl {
        #[arg(long)]
        run: PathBuf,
        server: Server,
        action: Action,
    },
}

fn main() -> ExitCode {
    match perform(Cli::parse().command) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) if error.is::<interrupt::Interrupted>() => ExitCode::from(130),
        Err(error) => {
            process::say(&format!("{error:#}"));
            ExitCode::FAILURE
        }
    }
}

fn perform(task: Task) -> Result<bool> {
    match task {
        Task::Up(args) => up::up(&args)?,
        Task::Bench(args) => bench::bench(&args)?,
        Task::Chaos(args) => chaos::chaos(&args)?,
        Task::Status => return Ok(operate::status()),
        Task::Logs { service, follow } => {
            let services = service.map_or(Program::ALL.to_vec(), |service| vec![service]);
            logs::print(&workspace::dev_dir(), &services, follow)?;
        }
        Task::Restart { service } => operate::restart(service)?,
        Task::Down { delete_data } => up::down(delete_data)?,
        Task::Migrate => operate::migrate()?,
        Task::Test { infra, only, filter } => test::test(infra, only, &filter)?,
        Task::Contracts { task } => contracts::contracts(&task)?,
        Task::Sqlx { check, infra } => sqlx::sqlx(infra, check)?,
        Task::InfraCtl { run, server, action } => infra::control::act(&run, server, action)?,
    }
    Ok(true)
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }
}
