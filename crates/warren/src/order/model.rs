//! An order as its service shows it, and as a person reads it.

use chrono::{DateTime, SecondsFormat, Utc};
use contracts::money::Money;
use serde::Deserialize;
use uuid::Uuid;

use crate::client::Answer;
use crate::output::{self, Paint, coloured};

/// An order.
#[derive(Debug, Deserialize)]
pub(super) struct Order {
    pub(super) id: Uuid,
    pub(super) customer_id: Uuid,
    pub(super) status: String,
    pub(super) version: i64,
    pub(super) lines: Vec<Line>,
    pub(super) total: Money,
    pub(super) payment: Payment,
    pub(super) cancel_reason: Option<String>,
    pub(super) cancel_note: Option<String>,
    pub(super) created_at: DateTime<Utc>,
    pub(super) updated_at: DateTime<Utc>,
}

/// A line of it.
#[derive(Debug, Deserialize)]
pub(super) struct Line {
    sku: String,
    name: String,
    quantity: i64,
    unit_price: Money,
}

/// Its payment.
#[derive(Debug, Deserialize)]
pub(super) struct Payment {
    method: String,
    status: String,
    payment_id: Option<String>,
}

impl Order {
    /// The status with the reason of a cancellation: `cancelled: out-of-stock`.
    pub(super) fn state(&self) -> String {
        match &self.cancel_reason {
            Some(reason) => format!("{}: {reason}", self.status),
            None => self.status.clone(),
        }
    }

    fn page(&self, paint: Paint) -> String {
        let Payment { method, status, payment_id } = &self.payment;
        let payment = payment_id.as_ref().map_or_else(String::new, |id| format!(", {id}"));
        let mut rows = vec![
            ("order", self.id.to_string()),
            ("status", format!("{} (version {})", coloured(&self.state(), &self.status, paint), self.version)),
            ("customer", self.customer_id.to_string()),
            ("total", self.total.to_string()),
            ("payment", format!("{method}, {status}{payment}")),
            ("created", time(self.created_at)),
            ("updated", time(self.updated_at)),
        ];
        rows.extend(self.cancel_note.as_ref().map(|note| ("note", note.clone())));
        let head: String = rows.into_iter().map(|(name, value)| format!("{name:<10}{value}\n")).collect();
        let lines = self
            .lines
            .iter()
            .map(|line| [line.sku.clone(), line.name.clone(), line.quantity.to_string(), line.unit_price.to_string()]);
        format!("{head}\n{}", output::table(["sku", "name", "quantity", "unit price"], lines))
    }
}

/// Prints the order in an answer: as it came, or for a person.
///
/// # Errors
/// When it is no order, or cannot be printed.
pub(super) fn print(answer: &Answer, json: bool) -> anyhow::Result<()> {
    if json {
        return Ok(output::print(&answer.body)?);
    }
    let order: Order = answer.read()?;
    Ok(output::print(&order.page(Paint::stdout()))?)
}

/// The name of an event, in the colour of the status that it leads to.
pub(super) fn coloured_event(name: &str, paint: Paint) -> String {
    match name.strip_prefix("order.") {
        Some(status) => coloured(name, status, paint),
        None => name.to_owned(),
    }
}

/// A time as people compare it: RFC 3339 with milliseconds.
pub(super) fn time(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::Millis, true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_shows_what_matters() {
        let json = r#"{"id":"0199c2b0-5a3e-7c11-9d51-2f4b8a6e0c77","customer_id":"0199c2b0-5a3e-7c11-9d51-2f4b8a6e0c78",
            "status":"cancelled","version":2,"lines":[{"sku":"tea","name":"Tea","quantity":2,"unit_price":{"amount":350,"currency":"EUR"}}],
            "total":{"amount":700,"currency":"EUR"},"payment":{"method":"sandbox:ok","status":"none"},"cancel_reason":"out-of-stock",
            "created_at":"2026-01-02T03:04:05.123456Z","updated_at":"2026-01-02T03:04:06Z"}"#;
        let order: Order = serde_json::from_str(json).unwrap();
        let page = order.page(Paint::on(false));
        for part in
            ["cancelled: out-of-stock (version 2)", "7.00 EUR", "sandbox:ok, none", "03:04:05.123Z", "tea", "3.50 EUR"]
        {
            assert!(page.contains(part), "{part} is not in\n{page}");
        }
        assert!(!page.contains("note"));
    }
}
