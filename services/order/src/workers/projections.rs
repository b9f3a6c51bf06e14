//! Read models: followers of the log that keep tables for reading.
//!
//! A projection takes events in pages; its rows and its checkpoint are one transaction, so every event counts once. A new
//! one is a file and a line in [`all`], and a table in a migration; [`rebuild`](rebuild::rebuild) fills it with what has been.

mod customer_totals;
mod daily_sales;
pub mod rebuild;

use std::collections::HashMap;
use std::time::Duration;

use contracts::event::Service;
use contracts::values::OrderId;
use futures_util::future::{BoxFuture, join_all};
use messaging::event_log::LoggedEvent;
use messaging::fault::in_time;
use messaging::follower::{self, FollowError};
use sqlx::{PgConnection, PgPool};
use tokio_util::sync::CancellationToken;
use tracing::warn;

use crate::history::read;
use crate::metrics::Metrics;
use crate::order::OrderEvent;
use crate::store;
use crate::store::order::Cancelled;
pub use customer_totals::CustomerTotals;
pub use daily_sales::DailySales;

/// The wait between two looks at the log when there was nothing new.
const POLL: Duration = Duration::from_millis(200);

/// Keeps one read model.
pub trait Projection: Send + Sync {
    /// The follower's name, by which people call it, too.
    fn name(&self) -> &'static str;

    /// The table that it keeps, and nobody else writes.
    fn table(&self) -> &'static str;

    /// The types of the events that it is made of. It sees no others.
    fn events(&self) -> &'static [&'static str];

    /// Adds what `events`, in the order of the log, mean for the read model.
    fn apply<'a>(&'a self, conn: &'a mut PgConnection, events: &'a [LoggedEvent]) -> BoxFuture<'a, sqlx::Result<()>>;
}

/// All read models.
pub fn all(metrics: &Metrics) -> Vec<Box<dyn Projection>> {
    vec![Box::new(CustomerTotals), Box::new(DailySales::new(metrics.clone()))]
}

/// Keeps all read models until shutdown.
pub async fn run(pool: PgPool, metrics: Metrics, shutdown: CancellationToken) {
    let projections = all(&metrics);
    join_all(projections.iter().map(|projection| keep(projection.as_ref(), &pool, &shutdown))).await;
}

async fn keep(projection: &dyn Projection, pool: &PgPool, shutdown: &CancellationToken) {
    let mut complained = false;
    while !shutdown.is_cancelled() {
        let more = match in_time(step(projection, pool)).await {
            Ok(more) => {
                complained = false;
                more
            }
            Err(error) => {
                if !std::mem::replace(&mut complained, true) {
                    warn!(%error, projection = projection.name(), "read model cannot follow; trying again");
                }
                false
            }
        };
        if !more {
            shutdown.run_until_cancelled(tokio::time::sleep(POLL)).await;
        }
    }
}

/// Takes one page of events, and says whether there may be more at once. Where another copy is at it, there is nothing
/// to do.
///
/// # Errors
/// When the database refuses, or the log cannot be followed.
pub async fn step(projection: &dyn Projection, pool: &PgPool) -> Result<bool, FollowError> {
    let mut tx = pool.begin().await?;
    if !follower::lock(&mut tx, projection.name()).await? {
        return Ok(false);
    }
    follower::prepare(&mut tx, true).await?;
    let checkpoint = follower::load(&mut tx, projection.name(), Service::Order.name()).await?;
    let page = follower::read_types(&mut tx, &checkpoint, Some(projection.events())).await?;
    if page.passed == 0 && !checkpoint.is_within_a_window() {
        return Ok(false);
    }
    projection.apply(&mut tx, &page.events).await?;
    follower::save(&mut tx, projection.name(), &page.after).await?;
    tx.commit().await?;
    // after the end of a window there may be another
    Ok(page.is_full() || checkpoint.is_within_a_window())
}

/// What is known of the orders that are cancelled by one of `events`, in one statement for all of them.
async fn cancelled_by(
    conn: &mut PgConnection,
    events: &[(&LoggedEvent, OrderEvent)],
) -> sqlx::Result<HashMap<OrderId, Cancelled>> {
    let cancelled = |(_, event): &(_, OrderEvent)| match event {
        OrderEvent::Cancelled(event) => Some(event.order_id),
        _ => None,
    };
    let ids: Vec<OrderId> = events.iter().filter_map(cancelled).collect();
    if ids.is_empty() { Ok(HashMap::new()) } else { store::order::cancelled(conn, &ids).await }
}

/// The events that are about orders.
fn of_orders(events: &[LoggedEvent]) -> Vec<(&LoggedEvent, OrderEvent)> {
    events.iter().filter_map(|logged| Some((logged, read(logged).ok()?))).collect()
}
