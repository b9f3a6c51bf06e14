//! `warren order nudge`.

use clap::Args;
use serde::Deserialize;
use serde_json::json;
use uuid::Uuid;

use crate::client::Client;
use crate::failure::Verdict;
use crate::output;

const EXAMPLES: &str = "\
Examples:
  warren order nudge ID

A pending order's first event is published once more; a reserved order's charge, and any refund,
is asked of the provider at once. Both under the same id as before, so a nudge too many does no harm.";

/// Options of `order nudge`.
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct NudgeArgs {
    /// The order
    id: Uuid,
}

/// What was repeated.
#[derive(Deserialize)]
struct Nudged {
    status: String,
    waits_for: Option<String>,
}

pub(super) async fn run(args: &NudgeArgs, client: &Client, json: bool) -> anyhow::Result<Verdict> {
    let answer = client.post(&format!("/v1/ops/orders/{}/nudge", args.id), &json!({})).await?;
    if json {
        output::print(&answer.body)?;
        return Ok(Verdict::Fine);
    }
    let Nudged { status, waits_for } = answer.read()?;
    let told = match waits_for.as_deref() {
        None => "waits for nothing, and was left alone".to_owned(),
        Some("inventory") => "waits for inventory; its creation is published once more within seconds".to_owned(),
        Some(waits_for) => format!("waits for its {waits_for}; the provider is asked at once"),
    };
    output::print(&format!("order {} is {status}: it {told}", args.id))?;
    Ok(Verdict::Fine)
}
