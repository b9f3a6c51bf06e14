//! `warren order cancel`.

use clap::Args;
use serde_json::json;
use uuid::Uuid;

use super::model;
use crate::client::Client;
use crate::failure::Verdict;

const EXAMPLES: &str = "\
Examples:
  warren order cancel ID
  warren order cancel ID --reason \"changed my mind\"  the text becomes the order's cancel_note";

/// Options of `order cancel`.
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct CancelArgs {
    /// The order
    id: Uuid,

    /// Why, in your own words
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
}

pub(super) async fn run(args: &CancelArgs, client: &Client, json: bool) -> anyhow::Result<Verdict> {
    let body = match &args.reason {
        Some(reason) => json!({"reason": reason}),
        None => json!({}),
    };
    let answer = client.post(&format!("/v1/orders/{}/cancel", args.id), &body).await?;
    model::print(&answer, json)?;
    Ok(Verdict::Fine)
}
