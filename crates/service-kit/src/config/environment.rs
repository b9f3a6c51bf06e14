//! Turns variables (and the files that `NAME_FILE` names) into arguments of the command.
//!
//! clap reads the environment itself, but neither files nor another environment than the process's, and
//! takes an empty variable for a value. So its own reading is turned off ([`without`]) and each
//! variable that is set becomes one `--long=value`, unless the caller gave that argument.

use std::ffi::{OsStr, OsString};
use std::path::Path;

use clap::builder::Resettable;
use clap::{Arg, ArgAction, Command};

/// The command without its variables.
pub(super) fn without(command: Command) -> Command {
    command.mut_args(|arg| arg.env(Resettable::Reset)).mut_subcommands(without)
}

/// The command with its variables, but without their values in its help.
pub(super) fn unseen(command: Command) -> Command {
    command.mut_args(|arg| arg.hide_env_values(true)).mut_subcommands(unseen)
}

/// `args` with an argument added for each variable that is set, directly after the (sub)command it belongs to.
pub(super) fn as_arguments(
    command: &Command,
    args: Vec<OsString>,
    env: &dyn Fn(&str) -> Option<OsString>,
) -> Result<Vec<OsString>, String> {
    let mut given = args.into_iter();
    let mut command = command;
    let mut all: Vec<OsString> = given.next().into_iter().collect();
    let rest: Vec<OsString> = given.collect();
    all.extend(of_command(command, &rest, env)?);
    let mut is_value = false;
    for arg in &rest {
        all.push(arg.clone());
        let text = arg.to_str().unwrap_or_default();
        if std::mem::take(&mut is_value) {
            continue;
        }
        is_value = takes_next(command, text);
        if let Some(sub) = command.find_subcommand(text) {
            command = sub;
            all.extend(of_command(command, &rest, env)?);
        }
    }
    Ok(all)
}

/// Whether `text` is an option of `command` whose value is the next argument.
fn takes_next(command: &Command, text: &str) -> bool {
    text.strip_prefix("--").is_some_and(|long| {
        command.get_arguments().any(|arg| {
            arg.get_long() == Some(long)
                && arg.get_num_args().is_none_or(|n| n.min_values() > 0)
                && arg.get_action().takes_values()
        })
    })
}

fn of_command(
    command: &Command,
    given: &[OsString],
    env: &dyn Fn(&str) -> Option<OsString>,
) -> Result<Vec<OsString>, String> {
    let mut added = Vec::new();
    for arg in command.get_arguments() {
        let (Some(name), Some(long)) = (arg.get_env().and_then(OsStr::to_str), arg.get_long()) else {
            continue;
        };
        if is_given(given, long) {
            continue;
        }
        if let Some(value) = value_of(name, env)? {
            added.extend(as_argument(arg, name, long, &value)?);
        }
    }
    Ok(added)
}

fn is_given(given: &[OsString], long: &str) -> bool {
    given
        .iter()
        .filter_map(|arg| arg.to_str()?.strip_prefix("--"))
        .any(|arg| arg == long || arg.strip_prefix(long).is_some_and(|rest| rest.starts_with('=')))
}

/// The variable's value, its own or its file's.
fn value_of(name: &str, env: &dyn Fn(&str) -> Option<OsString>) -> Result<Option<String>, String> {
    let set = |name: &str| env(name).filter(|value| !value.is_empty());
    let file_name = format!("{name}_FILE");
    match (set(name), set(&file_name)) {
        (None, None) => Ok(None),
        (Some(value), None) => match value.into_string() {
            Ok(value) => Ok(Some(value)),
            Err(_) => Err(format!("{name} is not valid UTF-8")),
        },
        (None, Some(path)) => read(&file_name, Path::new(&path)).map(Some),
        (Some(_), Some(_)) => Err(format!("{name} and {file_name} are both set: set one of them")),
    }
}

/// A file's text without the newline that editors and `echo` leave at its end.
fn read(name: &str, path: &Path) -> Result<String, String> {
    let text =
        std::fs::read_to_string(path).map_err(|error| format!("{name}: cannot read {}: {error}", path.display()))?;
    let text = text.strip_suffix('\n').unwrap_or(&text);
    let text = text.strip_suffix('\r').unwrap_or(text);
    if text.is_empty() {
        return Err(format!("{name}: {} is empty", path.display()));
    }
    Ok(text.to_owned())
}

fn as_argument(arg: &Arg, name: &str, long: &str, value: &str) -> Result<Option<OsString>, String> {
    if !matches!(arg.get_action(), ArgAction::SetTrue) {
        return Ok(Some(format!("--{long}={value}").into()));
    }
    match value {
        "true" => Ok(Some(format!("--{long}").into())),
        "false" => Ok(None),
        _ => Err(format!("{name} is neither true nor false")),
    }
}
