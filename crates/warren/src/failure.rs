//! How a command ends: fine, failed (exit status 1), or used wrongly (2).

use std::io::{self, IsTerminal};
use std::process::ExitCode;

use crate::output::Paint;

/// Exit status of wrong usage, as clap has it too.
const USAGE: u8 = 2;

/// How a command ended that could do its work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// All is well.
    Fine,
    /// It found something wrong, and has said what.
    Failed,
}

impl From<Verdict> for ExitCode {
    fn from(verdict: Verdict) -> Self {
        match verdict {
            Verdict::Fine => ExitCode::SUCCESS,
            Verdict::Failed => ExitCode::FAILURE,
        }
    }
}

/// The command cannot be carried out as it was given: an option or variable is missing or wrong.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Usage(pub(crate) String);

/// Says on standard error why the command failed, and returns the exit status.
pub(crate) fn report(error: &anyhow::Error) -> ExitCode {
    // whoever read our output has seen enough (`warren order list | head`)
    if error
        .chain()
        .any(|cause| cause.downcast_ref::<io::Error>().is_some_and(|io| io.kind() == io::ErrorKind::BrokenPipe))
    {
        return ExitCode::SUCCESS;
    }
    let paint = Paint::on(io::stderr().is_terminal());
    eprintln!("{} {error:#}", paint.red("warren:"));
    if error.is::<Usage>() { ExitCode::from(USAGE) } else { ExitCode::FAILURE }
}
