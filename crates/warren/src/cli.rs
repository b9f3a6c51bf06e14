//! The commands and their options. `warren help COMMAND` is the reference.

use clap::{Parser, Subcommand};

use crate::failure::Verdict;
use crate::settings::Settings;
use crate::{audit, catalog, completions, console, dlq, event, load, order, stuck, token, topology, trace};

const EXAMPLES: &str = "\
Examples:
  . .dev/env                                         told where things are, by `cargo xtask up`
  warren order place --customer ID --line carrot-1kg=2
  warren order watch                                 what happens, as it happens
  warren console                                     the same as a web page, on http://127.0.0.1:8090
  warren topology check                              is the broker as it should be?
  warren load --orders 1000                          how fast is it, and does it keep its promises?
  warren help load                                   more about one command

Exit status: 0 fine, 1 failed, 2 used wrongly.";

/// Warren's command line: place and watch orders, look after the broker, measure
#[derive(Parser)]
#[command(version, after_help = EXAMPLES, max_term_width = 100)]
pub(crate) struct Cli {
    #[command(subcommand)]
    command: Command,

    /// Print data as JSON, for programs
    #[arg(long, global = true, display_order = 900)]
    json: bool,

    #[command(flatten)]
    settings: Settings,
}

#[derive(Subcommand)]
enum Command {
    /// Make a development token from AUTH_HS256_SECRET
    Token(token::TokenArgs),
    /// Place, show, compare, list, cancel, nudge and watch orders
    Order(order::OrderArgs),
    /// Show one order's way through all services
    Trace(trace::TraceArgs),
    /// List the orders that wait too long, with what each waits for and why
    Stuck(stuck::StuckArgs),
    /// Check the promises against the databases, and name what breaks one
    Audit(audit::AuditArgs),
    /// Put a published event into a consumer's queue again
    Event(event::EventArgs),
    /// List, show, replay, edit and discard dead letters
    Dlq(dlq::DlqArgs),
    /// Show the exchanges and queues, compare them with the broker's, or make them
    Topology(topology::TopologyArgs),
    /// Show what events exist, as a table, a site or an AsyncAPI document; compare them with the running system
    Catalog(catalog::CatalogArgs),
    /// Place many orders, wait until all are final, tell how fast that was, and check the result
    Load(load::LoadArgs),
    /// Serve the same as a web page: figures, orders, dead letters, stock, mails
    Console(console::ConsoleArgs),
    /// Print the script by which a shell completes commands and options
    Completions(completions::CompletionsArgs),
}

impl Cli {
    /// Carries out the command.
    ///
    /// # Errors
    /// Why it could not be carried out; [`crate::failure::Usage`] when that is the caller's to correct.
    pub(crate) async fn run(&self) -> anyhow::Result<Verdict> {
        let (settings, json) = (&self.settings, self.json);
        match &self.command {
            Command::Token(args) => token::run(args, settings, json),
            Command::Order(args) => order::run(args, settings, json).await,
            Command::Trace(args) => trace::run(args, settings, json).await,
            Command::Stuck(args) => stuck::run(args, settings, json).await,
            Command::Audit(args) => audit::run(args, settings, json).await,
            Command::Event(args) => event::run(args, settings, json).await,
            Command::Dlq(args) => dlq::run(args, settings, json).await,
            Command::Topology(args) => topology::run(args, settings, json).await,
            Command::Catalog(args) => catalog::run(args, settings, json).await,
            Command::Load(args) => load::run(args, settings, json).await,
            Command::Console(args) => console::run(args, settings).await,
            Command::Completions(args) => completions::run(args),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_definition_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_command_has_examples() {
        fn look(command: &clap::Command) {
            let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
            assert!(help.contains("Examples:\n  "), "{} has no examples", command.get_name());
            command.get_subcommands().for_each(look);
        }
        look(&Cli::command());
    }
}
