//! `warren completions`: what a shell needs to complete commands and options.

use clap::{Args, CommandFactory};
use clap_complete::Shell;

use crate::cli::Cli;
use crate::failure::Verdict;
use crate::output;

const EXAMPLES: &str = "\
Examples:
  . <(warren completions bash)                       in this shell
  warren completions bash > ~/.local/share/bash-completion/completions/warren
  warren completions zsh > \"${fpath[1]}/_warren\"
  warren completions fish > ~/.config/fish/completions/warren.fish";

/// Options of `completions`.
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct CompletionsArgs {
    /// For which shell
    shell: Shell,
}

/// Prints the script.
///
/// # Errors
/// When standard output is closed.
pub(crate) fn run(args: &CompletionsArgs) -> anyhow::Result<Verdict> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "warren", &mut script);
    output::print(&String::from_utf8_lossy(&script))?;
    Ok(Verdict::Fine)
}
