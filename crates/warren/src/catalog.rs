//! `warren catalog`: what events exist, their data, who publishes and who reads them.

mod documents;
mod entry;

mod show;

mod asyncapi;
mod site;

mod live;
mod metrics;

use std::path::PathBuf;

use clap::{Args, Subcommand};
use messaging::schedule::RetrySchedule;
use serde_json::Value;

use crate::failure::Verdict;
use crate::output;
use crate::settings::Settings;

const EXAMPLES: &str = "\
Examples:
  warren catalog                                     what events there are
  warren catalog order.created                       one of them, with its fields
  warren catalog --html target/catalogue             a site that works from the file system
  warren catalog --asyncapi docs/asyncapi.json       the AsyncAPI document; - is standard output
  warren catalog check --live                        compared with the broker and the services";

/// Options of `catalog`.
#[derive(Args)]
#[command(after_help = EXAMPLES, args_conflicts_with_subcommands = true)]
pub(crate) struct CatalogArgs {
    #[command(subcommand)]
    command: Option<CatalogCommand>,

    /// Show only this event, with its fields
    event: Option<String>,

    /// Write a site of HTML pages into this folder
    #[arg(long, value_name = "DIR")]
    html: Option<PathBuf>,

    /// Write the AsyncAPI 3.0 document into this file; - is standard output
    #[arg(long, value_name = "FILE")]
    asyncapi: Option<PathBuf>,
}

#[derive(Subcommand)]
enum CatalogCommand {
    /// Compare the catalogue with what the broker has and the services have seen
    Check(live::CheckArgs),
}

/// All events with everything that is known of them, for programs.
///
/// # Errors
/// When this build lacks a schema or fixture, which the tests of contracts rule out.
pub(crate) fn as_json() -> anyhow::Result<Value> {
    Ok(Value::Array(entry::all()?.iter().map(|entry| show::as_json(&entry)).collect()))
}

/// Carries out a `catalog` command.
///
/// # Errors
/// When a file cannot be written, or the broker or a service cannot be asked.
pub(crate) async fn run(args: &CatalogArgs, settings: &Settings, json: bool) -> anyhow::Result<Verdict> {
    if let Some(CatalogCommand::Check(args)) = &args.command {
        return live::run(args, settings, json).await;
    }
    let entries = entry::all()?;
    if let Some(folder) = &args.html {
        let pages = site::write(folder, &entries, &RetrySchedule::default())?;
        eprintln!("{pages} pages; begin with {}", folder.join("index.html").display());
    }
    if let Some(file) = &args.asyncapi {
        asyncapi::write(file, &entries)?;
    }
    if args.html.is_none() && args.asyncapi.is_none() {
        output::print(&show::page(&entries, args.event.as_deref(), json)?)?;
    }
    Ok(Verdict::Fine)
}
