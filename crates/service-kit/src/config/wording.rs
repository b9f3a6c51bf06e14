//! One line for each way a configuration can be wrong, in terms of the variables rather than of the arguments.

use std::error::Error as _;
use std::ffi::OsStr;
use std::path::Path;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Arg, Command};

/// The line for a clap error.
pub(super) fn one_line(command: &Command, error: &clap::Error) -> String {
    let names = named(error);
    let arg = names.first().and_then(|usage| find(command, usage));
    match (error.kind(), arg) {
        (ErrorKind::MissingRequiredArgument, Some(_)) => {
            let missing: Vec<String> = names.iter().map(|usage| missing(find(command, usage), usage)).collect();
            missing.join("; ")
        }
        (ErrorKind::InvalidValue | ErrorKind::ValueValidation, Some(arg)) => invalid(arg, error),
        _ => first_line(error),
    }
}

/// The file name of the program, for the start of a line.
pub(super) fn program_name(program: &OsStr) -> String {
    let name = Path::new(program).file_name().unwrap_or(program);
    name.to_string_lossy().into_owned()
}

/// The arguments that the error is about, as clap writes them in a usage: `--database-url <DATABASE_URL>`.
fn named(error: &clap::Error) -> Vec<String> {
    match error.get(ContextKind::InvalidArg) {
        Some(ContextValue::String(usage)) => vec![usage.clone()],
        Some(ContextValue::Strings(usages)) => usages.clone(),
        _ => Vec::new(),
    }
}

fn find<'c>(command: &'c Command, usage: &str) -> Option<&'c Arg> {
    let long = usage.strip_prefix("--")?.split([' ', '=', '[']).next()?;
    let here = command.get_arguments().find(|arg| arg.get_long() == Some(long));
    here.or_else(|| command.get_subcommands().find_map(|sub| find(sub, usage)))
}

fn variable(arg: &Arg) -> Option<&str> {
    arg.get_env().and_then(OsStr::to_str)
}

fn missing(arg: Option<&Arg>, usage: &str) -> String {
    match arg.and_then(|arg| Some((arg, variable(arg)?))) {
        Some((arg, name)) => format!("{name} is not set (or {name}_FILE): {}", meaning(arg)),
        None => format!("{usage} is missing"),
    }
}

/// Names the value only where it is no secret: secrets are the arguments that hide their values in `--help`.
fn invalid(arg: &Arg, error: &clap::Error) -> String {
    let name = match variable(arg) {
        Some(name) => name.to_owned(),
        None => arg.to_string(),
    };
    let why = match (error.source(), error.get(ContextKind::ValidValue)) {
        (Some(source), _) => source.to_string(),
        (None, Some(ContextValue::Strings(values))) => format!("expected one of {}", values.join(", ")),
        _ => "not a valid value".to_owned(),
    };
    match error.get(ContextKind::InvalidValue) {
        Some(ContextValue::String(value)) if !arg.is_hide_env_values_set() => {
            format!("{name} is {value:?}: {why} ({})", meaning(arg))
        }
        _ => format!("{name} is wrong: {why} ({})", meaning(arg)),
    }
}

/// The first line of the argument's help.
fn meaning(arg: &Arg) -> String {
    let help = arg.get_help().map(ToString::to_string).unwrap_or_default();
    help.lines().next().unwrap_or_default().trim_end_matches('.').to_owned()
}

/// What clap says, without its usage and hints.
fn first_line(error: &clap::Error) -> String {
    let text = error.to_string();
    let line = text.lines().next().unwrap_or_default();
    line.trim_start_matches("error: ").to_owned()
}
