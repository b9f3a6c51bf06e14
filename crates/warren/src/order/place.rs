//! `warren order place`.

use std::str::FromStr;

use clap::Args;
use contracts::values::{Quantity, Sku};
use serde_json::json;
use uuid::Uuid;

use super::model;
use crate::client::Client;
use crate::failure::Verdict;

const EXAMPLES: &str = "\
Examples:
  warren order place --customer ID --line carrot-1kg=2
  warren order place --customer ID --line hay-bale=1 --line burrow-lamp=1 --payment sandbox:declined
  id=$(warren order place --customer ID --line carrot-1kg=1 --json | jq -r .id)

Payment methods: sandbox:ok, sandbox:declined, sandbox:flaky (fails twice, then
succeeds), sandbox:slow (10 s), sandbox:manual (waits for the provider's webhook).

It is sent under an Idempotency-Key of its own: when the connection breaks it is sent
again, and has one effect.";

/// Options of `order place`.
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct PlaceArgs {
    /// Whose order it is
    #[arg(long, value_name = "ID")]
    customer: Uuid,

    /// What and how many, once or more often
    #[arg(long = "line", value_name = "SKU=QUANTITY", required = true)]
    lines: Vec<Line>,

    /// How it is paid
    #[arg(long, value_name = "METHOD", default_value = "sandbox:ok")]
    payment: String,
}

/// A line of an order: `SKU=QUANTITY`.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Line {
    sku: Sku,
    quantity: Quantity,
}

impl FromStr for Line {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (sku, quantity) = text.split_once('=').ok_or("not SKU=QUANTITY, such as carrot-1kg=2")?;
        let sku = sku.parse().map_err(|error: contracts::values::InvalidSku| error.to_string())?;
        // Digits alone: Rust would take a leading + as well.
        let number = Some(quantity).filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()));
        let quantity =
            number.and_then(|text| text.parse().ok()).and_then(|number: i64| Quantity::try_from(number).ok());
        let quantity = quantity.ok_or_else(|| contracts::values::InvalidQuantity.to_string())?;
        Ok(Self { sku, quantity })
    }
}

pub(super) async fn run(args: &PlaceArgs, client: &Client, json: bool) -> anyhow::Result<Verdict> {
    let lines: Vec<_> = args.lines.iter().map(|line| json!({"sku": line.sku, "quantity": line.quantity})).collect();
    let body = json!({"customer_id": args.customer, "lines": lines, "payment_method": args.payment});
    let answer = client.post("/v1/orders", &body).await?;
    model::print(&answer, json)?;
    Ok(Verdict::Fine)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_sku_and_quantity() {
        let line: Line = "tea-500.g=12".parse().unwrap();
        assert_eq!((line.sku.as_str(), line.quantity.get()), ("tea-500.g", 12));
    }

    #[test]
    fn other_lines_are_refused_with_what_is_wrong() {
        for (bad, why) in [
            ("tea", "SKU=QUANTITY"),
            ("=1", "a sku is"),
            ("a b=1", "a sku is"),
            ("tea=0", "a quantity is"),
            ("tea=+2", "a quantity is"),
            ("tea=10001", "a quantity is"),
            ("tea=1=2", "a quantity is"),
            ("tea=", "a quantity is"),
        ] {
            let error = bad.parse::<Line>().unwrap_err();
            assert!(error.contains(why), "{bad}: {error}");
        }
    }
}
