//! What each customer has ordered: the orders that are confirmed, and not cancelled since.

use contracts::event::Event;
use contracts::money::Money;
use contracts::order::{OrderCancelled, OrderConfirmed};
use contracts::values::CustomerId;
use futures_util::future::BoxFuture;
use messaging::event_log::LoggedEvent;
use sqlx::PgConnection;

use super::{Projection, cancelled_by, of_orders};
use crate::order::OrderEvent;
use crate::store::total;

/// Counts and sums of confirmed orders by customer and currency.
pub struct CustomerTotals;

impl Projection for CustomerTotals {
    fn name(&self) -> &'static str {
        "customer-totals"
    }

    fn table(&self) -> &'static str {
        "customer_total"
    }

    fn events(&self) -> &'static [&'static str] {
        &[OrderConfirmed::TYPE, OrderCancelled::TYPE]
    }

    fn apply<'a>(&'a self, conn: &'a mut PgConnection, events: &'a [LoggedEvent]) -> BoxFuture<'a, sqlx::Result<()>> {
        Box::pin(self.add(conn, events))
    }
}

impl CustomerTotals {
    async fn add(&self, conn: &mut PgConnection, events: &[LoggedEvent]) -> sqlx::Result<()> {
        let events = of_orders(events);
        let cancelled = cancelled_by(conn, &events).await?;
        let change = |(_, event): &(_, OrderEvent)| match event {
            OrderEvent::Confirmed(order) => Some(change(order.customer_id, order.total, 1)),
            OrderEvent::Cancelled(event) => {
                let order = cancelled.get(&event.order_id).filter(|order| order.was_confirmed)?;
                Some(change(order.customer_id, order.total, -1))
            }
            _ => None,
        };
        let changes: Vec<total::Change> = events.iter().filter_map(change).collect();
        if changes.is_empty() { Ok(()) } else { total::add(conn, &changes).await }
    }
}

fn change(customer_id: CustomerId, total: Money, sign: i64) -> total::Change {
    total::Change { customer_id, currency: total.currency(), orders: sign, amount: sign * total.amount() }
}
