//! Configuration by environment variables: a clap struct whose arguments name their variables.
//!
//! `--help` is the reference. Each variable `NAME` can also be read from the file that `NAME_FILE` names
//! (for secrets that an orchestrator mounts), and an empty variable counts as unset, because compose
//! files and shells make empty ones where unset was meant. Whatever is wrong or missing ends the start with one
//! line that names the variable, before anything is bound or connected.

mod args;
mod environment;
mod invocation;
mod wording;

#[cfg(test)]
mod tests;

pub use args::{AuthArgs, DatabaseArgs, LogArgs, SamplerName, ShutdownArgs, TracesArgs};
pub use invocation::{Invocation, Service};

use std::convert::Infallible;
use std::ffi::OsString;
use std::fmt;
use std::io::Write;
use std::str::FromStr;
use std::time::Duration;

use clap::error::ErrorKind;

/// Exit status of a start that its configuration prevents, as for any wrong usage of a command.
const USAGE: i32 = 2;

/// Reads the configuration of this process from its arguments and environment.
///
/// An argument given on the command line goes before the variable, the variable before the default.
/// `--help` and `--version` are answered with status 0; a wrong or missing value is one line on standard error, and status 2.
pub fn parse<C: clap::Parser>() -> C {
    match try_parse_from(std::env::args_os(), |name| std::env::var_os(name)) {
        Ok(config) => config,
        Err(Stop::Help(text)) => {
            // Nobody is left to tell if standard output is closed.
            let _ = std::io::stdout().write_all(text.as_bytes());
            std::process::exit(0)
        }
        Err(Stop::Wrong(line)) => exit::<C>(&line),
    }
}

/// The value, or one line on standard error and exit status 2.
///
/// For what only shows itself as wrong when it is used, such as a key file ([`AuthArgs::authenticator`]).
pub fn or_exit<T, E: fmt::Display>(result: Result<T, E>) -> T {
    result.unwrap_or_else(|error| {
        let program = std::env::args_os().next().unwrap_or_default();
        exit_as(&wording::program_name(&program), &error.to_string())
    })
}

/// What a short task has to say: one line on standard output.
pub fn tell(line: &str) {
    // Nobody is left to tell if standard output is closed.
    let _ = writeln!(std::io::stdout(), "{line}");
}

fn exit<C: clap::Parser>(line: &str) -> ! {
    exit_as(C::command().get_name(), line)
}

fn exit_as(program: &str, line: &str) -> ! {
    eprintln!("{program}: {line}");
    std::process::exit(USAGE)
}

/// Why [`try_parse_from`] gave no configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stop {
    /// `--help` or `--version` was asked for; this is the text.
    Help(String),
    /// The configuration is wrong; this is one line that says where, without the value if that is a secret.
    Wrong(String),
}

/// [`parse`] as a function of its edges: the arguments (the program's name first) and the environment.
pub fn try_parse_from<C: clap::Parser>(
    args: impl IntoIterator<Item = OsString>,
    env: impl Fn(&str) -> Option<OsString>,
) -> Result<C, Stop> {
    let command = C::command();
    let args: Vec<OsString> = args.into_iter().collect();
    let args = environment::as_arguments(&command, args, &env).map_err(Stop::Wrong)?;
    let matches = environment::without(command.clone()).try_get_matches_from(&args);
    let config = matches.and_then(|mut matches| C::from_arg_matches_mut(&mut matches));
    config.map_err(|error| match error.kind() {
        // The text is made by the command that still knows the variables' names.
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => {
            Stop::Help(match environment::unseen(command).try_get_matches_from(&args) {
                Err(help) => help.to_string(),
                Ok(_) => error.to_string(),
            })
        }
        _ => Stop::Wrong(wording::one_line(&command, &error)),
    })
}

/// A clap value parser for durations, written as `500ms`, `30s`, `15m`, `24h`, `30d`, or sums such as `1h 30m`.
pub fn duration(text: &str) -> Result<Duration, String> {
    humantime::parse_duration(text)
        .map_err(|_| "expected a duration with its unit, such as 500ms, 30s, 15m, 24h or 30d".to_owned())
}

/// A configuration value that must not be shown: its `Debug` is `[secret]`, and clap errors leave it out.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// The value itself, for the one place that needs it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl FromStr for Secret {
    type Err = Infallible;

    fn from_str(value: &str) -> Result<Self, Infallible> {
        Ok(Secret(value.to_owned()))
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[secret]")
    }
}
