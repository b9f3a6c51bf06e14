//! Whether orders are what their histories say: some orders a minute, all of them in turn, and the newest.

use contracts::values::OrderId;
use messaging::event_log;
use service_kit::drift::{Book, Drift, Look};
use sqlx::PgConnection;

use crate::history::verify::fault;
use crate::store;
use crate::store::order::list::{Filter, list};

/// How many orders of the whole are looked at at once.
const IN_TURN: i64 = 100;

/// How many of the newest: what is wrong in a new release shows there first.
const NEWEST: i64 = 50;

/// How many that were wrong are looked at again.
const AGAIN: usize = 50;

/// The walk through the orders.
#[derive(Debug)]
pub struct Books {
    history: Book,
    after: Option<OrderId>,
}

impl Books {
    /// Begins at the oldest.
    pub fn new(drift: &Drift) -> Self {
        Self { history: drift.book("history"), after: None }
    }

    /// How many orders are known to be wrong.
    pub fn wrong(&self) -> i64 {
        self.history.count()
    }
}

impl Look for Books {
    async fn look(&mut self, conn: &mut PgConnection) -> sqlx::Result<()> {
        let mut ids = store::order::ids_after(conn, self.after, IN_TURN).await?;
        self.after = ids.last().copied();
        ids.extend(list(conn, &newest()).await?.iter().map(|order| order.id));
        ids.extend(self.history.wrong(AGAIN).iter().filter_map(|id| id.parse::<OrderId>().ok()));
        ids.sort_unstable();
        ids.dedup();
        let orders = store::order::read(conn, &ids).await?;
        let subjects: Vec<String> = orders.iter().map(|order| order.id.to_string()).collect();
        let histories = event_log::histories(conn, &subjects).await?;
        for (order, subject) in orders.iter().zip(subjects) {
            let wrong = fault(order, histories.get(&subject).map_or(&[], Vec::as_slice));
            self.history.note(&subject, wrong);
        }
        Ok(())
    }
}

fn newest() -> Filter {
    Filter { customer_id: None, status: None, created_from: None, created_to: None, before: None, limit: NEWEST }
}
