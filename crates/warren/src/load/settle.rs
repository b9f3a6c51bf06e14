//! What became of the orders: asked customer by customer, so that it costs one request per 200 orders.
//!
//! The next customer is looked at when everything of the one before is final. While the system works its backlog off,
//! that is one small question now and then; when it is through, the rest has come through as well.

use std::collections::{HashMap, HashSet};
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use serde::Deserialize;
use tokio::time::sleep;
use uuid::Uuid;

use super::progress::Progress;
use crate::client::Client;
use crate::client::error::CallError;

/// The pause between two looks at what is not final yet. Short, since nothing that is measured depends on when we look.
const PAUSE: Duration = Duration::from_millis(300);

/// An order as it was found.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Seen {
    pub(super) id: Uuid,
    pub(super) customer_id: Uuid,
    pub(super) status: String,
    pub(super) lines: Vec<Line>,
    pub(super) cancel_reason: Option<String>,
    pub(super) created_at: DateTime<Utc>,
    pub(super) updated_at: DateTime<Utc>,
}

/// A line of it.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Line {
    pub(super) sku: String,
    pub(super) quantity: i64,
}

impl Seen {
    /// Whether nothing will happen to it by itself any more.
    pub(super) fn is_final(&self) -> bool {
        is_final(&self.status)
    }

    /// The template of the one mail that it is due; none while it is not final.
    pub(super) fn due_mail(&self) -> Option<&'static str> {
        match self.status.as_str() {
            "confirmed" => Some("order-confirmed"),
            "cancelled" => Some("order-cancelled"),
            _ => None,
        }
    }
}

/// Whether that is a status in which an order stays by itself.
pub(super) fn is_final(status: &str) -> bool {
    matches!(status, "confirmed" | "cancelled")
}

/// A mail as it was found.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Mail {
    pub(super) order_id: Option<Uuid>,
    pub(super) template: String,
    pub(super) status: String,
    pub(super) sent_at: Option<DateTime<Utc>>,
}

impl Mail {
    /// Whether it has been handed over, or never will be.
    fn is_settled(&self) -> bool {
        matches!(self.status.as_str(), "sent" | "failed")
    }
}

/// All orders of the customers, when all are final or the deadline has passed.
///
/// # Errors
/// When the order service refuses, or cannot be reached by the deadline.
pub(super) async fn orders(
    order: &Client,
    customers: &[Uuid],
    deadline: Instant,
    progress: &Progress,
) -> anyhow::Result<Vec<Seen>> {
    let mut seen = Vec::new();
    for (done, customer) in (0..).zip(customers) {
        progress.at(done);
        seen.extend(orders_of(order, &customer.to_string(), deadline, || progress.at(done)).await?);
    }
    Ok(seen)
}

async fn orders_of(order: &Client, customer: &str, deadline: Instant, tell: impl Fn()) -> Result<Vec<Seen>, CallError> {
    let of_customer = [("customer_id", customer)];
    loop {
        let orders: Vec<Seen> = patiently(deadline, || order.all("/v1/orders", &of_customer)).await?;
        if orders.iter().all(Seen::is_final) || Instant::now() > deadline {
            return Ok(orders);
        }
        while Instant::now() < deadline && patiently(deadline, || is_any_open(order, customer)).await? {
            tell();
            sleep(PAUSE).await;
        }
    }
}

async fn is_any_open(order: &Client, customer: &str) -> Result<bool, CallError> {
    for status in ["pending", "reserved"] {
        let query = [("customer_id", customer), ("status", status)];
        if !order.page("/v1/orders", &query, 1, None).await?.items.is_empty() {
            return Ok(true);
        }
    }
    Ok(false)
}

/// All mails of the customers, when each final order's mail is settled or the deadline has passed.
///
/// # Errors
/// When the email service refuses. Where it cannot be reached by the deadline, mails are missing.
pub(super) async fn mails(
    email: &Client,
    customers: &[Uuid],
    orders: &[Seen],
    deadline: Instant,
    progress: &Progress,
) -> anyhow::Result<Vec<Mail>> {
    let mut due_of: HashMap<Uuid, Vec<&Seen>> = HashMap::new();
    for order in orders.iter().filter(|order| order.is_final()) {
        due_of.entry(order.customer_id).or_default().push(order);
    }
    let mut mails = Vec::new();
    for (done, customer) in (0..).zip(customers) {
        progress.at(done);
        let of_customer = [("customer_id", &*customer.to_string())];
        let due = due_of.remove(customer).unwrap_or_default();
        loop {
            let found: Vec<Mail> = match patiently(deadline, || email.all("/v1/emails", &of_customer)).await {
                Ok(found) => found,
                // the mails are then missing from the report, which is worth reading all the same
                Err(error) if error.may_pass() => {
                    eprintln!("{error}");
                    return Ok(mails);
                }
                Err(error) => return Err(error.into()),
            };
            if all_settled(&due, &found) || Instant::now() > deadline {
                mails.extend(found);
                break;
            }
            progress.at(done);
            sleep(PAUSE).await;
        }
    }
    Ok(mails)
}

fn all_settled(due: &[&Seen], mails: &[Mail]) -> bool {
    let settled: HashSet<(Uuid, &str)> = mails
        .iter()
        .filter(|mail| mail.is_settled())
        .filter_map(|mail| Some((mail.order_id?, mail.template.as_str())))
        .collect();
    due.iter().all(|order| order.due_mail().is_some_and(|template| settled.contains(&(order.id, template))))
}

/// Asks again while the service is away, as it may be while faults are injected.
async fn patiently<T, F: Future<Output = Result<T, CallError>>>(
    deadline: Instant,
    ask: impl Fn() -> F,
) -> Result<T, CallError> {
    loop {
        match ask().await {
            Err(error) if error.may_pass() && Instant::now() < deadline => sleep(PAUSE).await,
            answer => return answer,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_order_waits_for_its_own_mail_in_its_last_state() {
        let at = Utc::now();
        let id = Uuid::now_v7();
        let order = Seen {
            id,
            customer_id: id,
            status: "confirmed".to_owned(),
            lines: Vec::new(),
            cancel_reason: None,
            created_at: at,
            updated_at: at,
        };
        let mail = |order_id, template: &str, status: &str| Mail {
            order_id,
            template: template.to_owned(),
            status: status.to_owned(),
            sent_at: None,
        };
        for (found, settled) in [
            (vec![], false),
            (vec![mail(None, "welcome", "sent")], false),
            (vec![mail(Some(id), "order-confirmed", "queued")], false),
            (vec![mail(Some(id), "order-confirmed", "in-doubt")], false),
            (vec![mail(Some(Uuid::nil()), "order-confirmed", "sent")], false),
            (vec![mail(Some(id), "order-confirmed", "sent")], true),
            (vec![mail(Some(id), "order-confirmed", "failed")], true),
        ] {
            assert_eq!(all_settled(&[&order], &found), settled, "{found:?}");
        }
        assert!(all_settled(&[], &[]));
    }
}
