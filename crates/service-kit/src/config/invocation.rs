//! A program that serves, unless it is told to do something short.

use clap::{ArgMatches, Args, Command, CommandFactory, FromArgMatches, Parser, Subcommand};

/// The configuration of a service, which also names the program.
pub trait Service: Args {
    /// The name of the program.
    const NAME: &'static str;
    /// What it is, in one sentence.
    const ABOUT: &'static str;
    /// Its version.
    const VERSION: &'static str;
}

/// What a program was asked to do: to serve with the configuration `S`, or one of the tasks `T`.
///
/// A task needs its own variables alone, not those that serving needs, which a derived parser has no words for.
#[derive(Debug)]
pub enum Invocation<S, T> {
    /// Nothing in particular: to serve.
    Serve(Box<S>),
    /// Something short.
    Run(T),
}

impl<S: Service, T: Subcommand> Parser for Invocation<S, T> {}

impl<S: Service, T: Subcommand> CommandFactory for Invocation<S, T> {
    fn command() -> Command {
        let serve = S::augment_args(Command::new(S::NAME));
        T::augment_subcommands(serve).about(S::ABOUT).version(S::VERSION).subcommand_negates_reqs(true)
    }

    fn command_for_update() -> Command {
        Self::command()
    }
}

impl<S: Service, T: Subcommand> FromArgMatches for Invocation<S, T> {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        match matches.subcommand() {
            Some(_) => T::from_arg_matches(matches).map(Self::Run),
            None => S::from_arg_matches(matches).map(|config| Self::Serve(Box::new(config))),
        }
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}
