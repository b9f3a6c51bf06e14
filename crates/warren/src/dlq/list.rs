//! `warren dlq list`.

use clap::Args;
use contracts::event::Service;

use super::desk;
use super::group::{self, Groups};
use crate::failure::Verdict;
use crate::output;
use crate::settings::Settings;

const EXAMPLES: &str = "\
Examples:
  warren dlq list
  warren dlq list --queue inventory
  warren dlq list --json | jq -r '.[] | select(.error_kind == \"rejected\") | .ids[]'

Looking changes nothing: every letter is where it was, in its order. While it looks,
other `warren dlq` commands on the same queue wait.";

/// Options of `dlq list`.
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct ListArgs {
    /// Only this service's
    #[arg(long, value_name = "Q", value_parser = super::service)]
    queue: Option<Service>,
}

pub(super) async fn run(args: &ListArgs, settings: &Settings, json: bool) -> anyhow::Result<Verdict> {
    print(desk::groups(&settings.broker()?, args.queue).await?, json)?;
    Ok(Verdict::Fine)
}

/// Prints groups.
pub(super) fn print(groups: Groups, json: bool) -> anyhow::Result<()> {
    let count = groups.count();
    let groups = groups.into_vec();
    if json {
        return output::print_json(&groups);
    }
    if groups.is_empty() {
        eprintln!("no dead letters");
        return Ok(());
    }
    output::print(&group::table(&groups))?;
    eprintln!("{count} dead letters in {} groups", groups.len());
    Ok(())
}
