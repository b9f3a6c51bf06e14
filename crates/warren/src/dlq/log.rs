//! `warren dlq log`.

use clap::Args;

use super::desk;
use crate::failure::Verdict;
use crate::output;
use crate::settings::Settings;

const EXAMPLES: &str = "\
Examples:
  warren dlq log
  warren dlq log --json | jq '.[] | select(.action == \"discard\")'

A line says that a command began, and one that it ended; one without an end was
interrupted. They are kept on the broker, the newest 100,000.";

/// Options of `dlq log`.
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct LogArgs {}

pub(super) async fn run(_: &LogArgs, settings: &Settings, json: bool) -> anyhow::Result<Verdict> {
    let lines = desk::log(&settings.broker()?).await?;
    if json {
        output::print_json(&lines)?;
        return Ok(Verdict::Fine);
    }
    let rows = lines.iter().map(|line| {
        let text = |name: &str| line[name].as_str().unwrap_or_default().to_owned();
        let known = ["at", "run", "action", "phase", "operator", "host", "broker_user"];
        let rest = line.as_object().into_iter().flatten().filter(|(name, _)| !known.contains(&name.as_str()));
        let rest: Vec<String> = rest.map(|(name, value)| format!("{name}={value}")).collect();
        let who = format!("{}@{}", text("operator"), text("host"));
        [text("at"), who, text("action"), text("phase"), text("run"), rest.join(" ")]
    });
    output::print(&output::table(["at", "who", "action", "phase", "run", "what"], rows))?;
    Ok(Verdict::Fine)
}
