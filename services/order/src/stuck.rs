//! Which orders wait for too long, for what, and why, as far as this database knows.

use std::collections::BTreeMap;
use std::time::Duration;

use chrono::{DateTime, Utc};
use contracts::event::Event;
use contracts::order::OrderCreated;
use contracts::values::OrderId;
use messaging::follower::{self, FollowError};
use messaging::relay;
use messaging::tx::Database;

use crate::HISTORY;
use crate::store;
use crate::store::ops::Payment;

/// Whatever an order waits for takes less as a rule: milliseconds, or the ten seconds of a slow provider.
const PATIENCE: Duration = Duration::from_mins(1);

/// All that an order may wait for.
pub const WAITS_FOR: [&str; 5] = ["inventory", "payment", "refund", "relay", "queue"];

/// An order that waits for too long.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stuck {
    /// Which.
    pub order_id: OrderId,
    /// Since when.
    pub since: DateTime<Utc>,
    /// For what, one of [`WAITS_FOR`]; `relay` or `queue` where it is done, and others are not told.
    pub waits_for: &'static str,
    /// Why, in words.
    pub reason: String,
}

/// Why it is not known.
#[derive(Debug, thiserror::Error)]
pub enum StuckError {
    /// The database.
    #[error(transparent)]
    Database(#[from] sqlx::Error),
    /// The log.
    #[error(transparent)]
    Follow(#[from] FollowError),
}

/// The orders that wait for too long, each once, longest first: at most a thousand for each cause.
///
/// # Errors
/// [`StuckError`].
pub async fn stuck(database: &Database, payment_timeout: Duration) -> Result<Vec<Stuck>, StuckError> {
    let mut untold = untold(database).await?;
    let mut conn = database.pool().acquire().await?;
    let long_ago = Utc::now() - PATIENCE;
    let mut items = Vec::new();
    for (order_id, since) in store::ops::pending_since(&mut conn, long_ago).await? {
        let reason = match untold.remove(&order_id) {
            Some(Untold { reason, .. }) => reason,
            None => format!("{} is published, and inventory has not answered", OrderCreated::TYPE),
        };
        items.push(Stuck { order_id, since, waits_for: "inventory", reason });
    }
    // who waits for somebody else's message is given up in time, so only one who was not is stuck
    let payments = store::ops::overdue_payments(&mut conn, PATIENCE, payment_timeout + PATIENCE).await?;
    for payment in payments {
        untold.remove(&payment.order_id);
        items.push(of_payment(payment));
    }
    let untold = untold.into_iter().filter(|(_, untold)| untold.since < long_ago);
    items.extend(untold.map(|(order_id, untold)| {
        let Untold { since, waits_for, reason } = untold;
        Stuck { order_id, since, waits_for, reason }
    }));
    items.sort_by_key(|item| item.since);
    Ok(items)
}

/// An event of an order that others were not told yet.
struct Untold {
    since: DateTime<Utc>,
    waits_for: &'static str,
    reason: String,
}

/// The oldest event of each order that no queue took, or that the relay has not come to.
async fn untold(database: &Database) -> Result<BTreeMap<OrderId, Untold>, StuckError> {
    let mut tx = database.pool().begin().await?;
    let set_aside = store::ops::set_aside(&mut tx, HISTORY).await?;
    follower::prepare(&mut tx, true).await?;
    let checkpoint = follower::load(&mut tx, relay::NAME, database.service().name()).await?;
    let unpublished = follower::read(&mut tx, &checkpoint).await?;
    tx.rollback().await?;
    let mut untold = BTreeMap::new();
    for event in set_aside {
        let reason = format!("no queue takes {}", event.event);
        untold.entry(event.order_id).or_insert(Untold { since: event.since, waits_for: "queue", reason });
    }
    for event in unpublished.events.into_iter().filter(|event| HISTORY.contains(&event.event_type.as_str())) {
        let Ok(order_id) = event.subject.parse() else { continue };
        let reason = format!("{} is not published", event.event_type);
        untold.entry(order_id).or_insert(Untold { since: event.time, waits_for: "relay", reason });
    }
    Ok(untold)
}

fn of_payment(payment: Payment) -> Stuck {
    let Payment { order_id, state, attempts, waits_since: since, provider_away_since, .. } = payment;
    let (waits_for, what) = match state.as_str() {
        "refund-due" | "refunding" => ("refund", "the provider has not given the money back"),
        "waiting" => ("payment", "the provider has not told the result"),
        _ => ("payment", "the provider has not charged it"),
    };
    let away = provider_away_since.map_or_else(String::new, |_| "; the provider cannot be reached".to_owned());
    let reason = format!("{what}: {state}, attempts {attempts}{away}");
    Stuck { order_id, since, waits_for, reason }
}
