//! The proof that a row is the fold of its history: both are read in one snapshot, and compared.

use contracts::values::OrderId;
use messaging::event_log::{self, LoggedEvent};
use sqlx::{Connection, PgConnection};

use super::{Point, fold};
use crate::order::Order;
use crate::store;

/// Orders that are read together.
const PAGE: i64 = 500;

/// An order whose row is not what its history adds up to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Drift {
    /// Which.
    pub order_id: OrderId,
    /// In what.
    pub why: String,
}

/// What a look at many orders found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Verified {
    /// Orders that were looked at.
    pub orders: u64,
    /// Those that drifted.
    pub drifted: Vec<Drift>,
}

/// Compares every order with its history, in pages, each in a snapshot of its own. `progress` is told of orders after each page.
///
/// # Errors
/// When the database refuses.
pub async fn verify(conn: &mut PgConnection, progress: &mut (dyn FnMut(u64) + Send)) -> sqlx::Result<Verified> {
    let mut found = Verified::default();
    let mut after = None;
    loop {
        let ids = store::order::ids_after(conn, after, PAGE).await?;
        let Some(last) = ids.last().copied() else { return Ok(found) };
        found.drifted.extend(drifted(conn, &ids).await?);
        found.orders += ids.len() as u64;
        progress(found.orders);
        after = Some(last);
    }
}

/// Those of these orders whose rows are not what their histories add up to.
///
/// # Errors
/// When the database refuses.
pub async fn drifted(conn: &mut PgConnection, ids: &[OrderId]) -> sqlx::Result<Vec<Drift>> {
    let mut tx = conn.begin_with("begin isolation level repeatable read, read only").await?;
    let orders = store::order::read(&mut tx, ids).await?;
    let subjects: Vec<String> = orders.iter().map(|order| order.id.to_string()).collect();
    let histories = event_log::histories(&mut tx, &subjects).await?;
    tx.rollback().await?;
    let drift = |order: &Order| {
        let history = histories.get(&order.id.to_string()).map_or(&[][..], Vec::as_slice);
        fault(order, history).map(|why| Drift { order_id: order.id, why })
    };
    Ok(orders.iter().filter_map(drift).collect())
}

/// In what an order differs from its history, where both are of one snapshot.
pub fn fault(order: &Order, history: &[LoggedEvent]) -> Option<String> {
    let gap = history.iter().zip(1..).find(|(event, expected)| event.sequence != *expected);
    if let Some((_, missing)) = gap {
        return Some(format!("its history has no event {missing}"));
    }
    if i64::try_from(history.len()).ok() != Some(order.version) {
        return Some(format!("it is at version {}, its history at {}", order.version, history.len()));
    }
    match fold(history, order, Point::Version(order.version)) {
        Ok(Some(folded)) if folded == *order => None,
        Ok(Some(folded)) => {
            Some(format!("it is {:?}, and by its history {:?}, or differs in the rest", order.status, folded.status))
        }
        Ok(None) => Some("it has no history".to_owned()),
        Err(error) => Some(error.to_string()),
    }
}
