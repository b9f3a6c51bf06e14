//! What was sold on each day, and how long orders took.

use chrono::{DateTime, TimeDelta, Utc};
use contracts::event::Event;
use contracts::order::{OrderCancelled, OrderConfirmed, OrderCreated};
use contracts::values::OrderId;
use futures_util::future::BoxFuture;
use messaging::event_log::LoggedEvent;
use sqlx::PgConnection;

use super::{Projection, cancelled_by, of_orders};
use crate::metrics::Metrics;
use crate::order::OrderEvent;
use crate::store::sale::{self, Sale};

/// Ends that are older than this are not measured any more: who rebuilds the read model reads about all there ever were.
const RECENT: TimeDelta = TimeDelta::hours(1);

/// Orders placed, confirmed and cancelled, and the revenue, by day and currency.
pub struct DailySales {
    metrics: Metrics,
}

impl DailySales {
    /// Also measures how long orders take, since it sees each end once, whichever copy brought it about.
    pub fn new(metrics: Metrics) -> Self {
        Self { metrics }
    }

    fn ended(&self, order_id: OrderId, event: &LoggedEvent) {
        let recent = event.time > Utc::now() - RECENT;
        if let Some(placed) = placed_at(order_id).filter(|_| recent) {
            self.metrics.completed(event.time - placed);
        }
    }
}

impl Projection for DailySales {
    fn name(&self) -> &'static str {
        "daily-sales"
    }

    fn table(&self) -> &'static str {
        "daily_sale"
    }

    fn events(&self) -> &'static [&'static str] {
        &[OrderCreated::TYPE, OrderConfirmed::TYPE, OrderCancelled::TYPE]
    }

    fn apply<'a>(&'a self, conn: &'a mut PgConnection, events: &'a [LoggedEvent]) -> BoxFuture<'a, sqlx::Result<()>> {
        Box::pin(self.add(conn, events))
    }
}

impl DailySales {
    async fn add(&self, conn: &mut PgConnection, events: &[LoggedEvent]) -> sqlx::Result<()> {
        let events = of_orders(events);
        let cancelled = cancelled_by(conn, &events).await?;
        let mut sales = Vec::new();
        for (logged, event) in &events {
            match event {
                OrderEvent::Created(order) => {
                    sales.push(Sale { created: 1, ..nothing(logged, order.total.currency()) })
                }
                OrderEvent::Confirmed(order) => {
                    self.ended(order.order_id, logged);
                    let nothing = nothing(logged, order.total.currency());
                    sales.push(Sale { confirmed: 1, revenue: order.total.amount(), ..nothing });
                }
                OrderEvent::Cancelled(event) => {
                    // an order that this service never had counts nowhere
                    let Some(order) = cancelled.get(&event.order_id) else { continue };
                    if !order.was_confirmed {
                        self.ended(event.order_id, logged);
                    }
                    let nothing = nothing(logged, order.total.currency());
                    sales.push(Sale { cancelled: 1, undone: i64::from(order.was_confirmed), ..nothing });
                }
                _ => {}
            }
        }
        if sales.is_empty() { Ok(()) } else { sale::add(conn, &sales).await }
    }
}

fn nothing(event: &LoggedEvent, currency: contracts::money::Currency) -> Sale {
    let (day, currency) = (event.time.date_naive(), currency.to_string());
    Sale { day, currency, created: 0, confirmed: 0, cancelled: 0, undone: 0, revenue: 0 }
}

/// When an order was placed, from the clock in its id (UUIDv7).
fn placed_at(id: OrderId) -> Option<DateTime<Utc>> {
    let (seconds, nanos) = id.0.get_timestamp()?.to_unix();
    DateTime::from_timestamp(i64::try_from(seconds).ok()?, nanos)
}
