//! A handler that does as the events tell it, so that each test can see what became of what.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use contracts::event::Service;
use contracts::order::CustomerRegistered;
use contracts::values::EventId;
use messaging::handler::{Handler, HandlerError, NoLocks, Received, Subscriptions};
use messaging::tx::Tx;
use sqlx::PgPool;
use tokio::sync::Semaphore;

use super::node::Node;
use super::{SOON, eventually};

/// What all copies of the handler of one test share.
#[derive(Debug)]
pub(crate) struct Plan {
    /// When each event's handling began, every time.
    begun: Mutex<HashMap<EventId, Vec<Instant>>>,
    /// Events named `wait` go on with a permit of this.
    pub(crate) gate: Semaphore,
}

impl Plan {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self { begun: Mutex::default(), gate: Semaphore::new(0) })
    }

    /// How often the handling of an event has begun.
    pub(crate) fn begun(&self, id: EventId) -> usize {
        self.begun.lock().unwrap().get(&id).map_or(0, Vec::len)
    }

    /// The times between the beginnings of an event's handling.
    pub(crate) fn pauses(&self, id: EventId) -> Vec<Duration> {
        let begun = self.begun.lock().unwrap();
        begun.get(&id).map_or_else(Vec::new, |times| times.windows(2).map(|pair| pair[1] - pair[0]).collect())
    }

    /// Until an event's handling has begun so often.
    pub(crate) async fn has_begun(&self, id: EventId, times: usize) {
        eventually(SOON, async || match self.begun(id) {
            begun if begun >= times => Ok(()),
            begun => Err(format!("begun {begun} times, not {times}")),
        })
        .await;
    }

    /// The subscriptions of `email`: registrations, handled by plan.
    pub(crate) fn subscriptions(self: &Arc<Self>) -> Subscriptions {
        Subscriptions::new(Service::Email, NoLocks).on::<CustomerRegistered>(Work(Arc::clone(self)))
    }
}

struct Work(Arc<Plan>);

impl Handler<CustomerRegistered> for Work {
    /// Writes a row, and then does what the customer's name says: `KIND` or `KIND TIMES`, for as often.
    async fn handle(&self, tx: &mut Tx, event: &Received<CustomerRegistered>) -> Result<(), HandlerError> {
        sqlx::query("insert into effect (event) values ($1)").bind(event.id.0).execute(&mut **tx).await?;
        let times = {
            let mut begun = self.0.begun.lock().unwrap();
            let begun = begun.entry(event.id).or_default();
            begun.push(Instant::now());
            begun.len()
        };
        let (kind, often) = event.name.split_once(' ').unwrap_or((&event.name, ""));
        if often.parse().is_ok_and(|often: usize| times > often) {
            return Ok(());
        }
        match kind {
            "reject" => Err(HandlerError::reject("it will not do")),
            "again" => Err(HandlerError::Again("not today".into())),
            "unavailable" => Err(HandlerError::unavailable("the moon")),
            "panic" => panic!("as planned"),
            "sqlstate" => {
                // with values of the row in its message, as real ones have
                sqlx::query("select $1::text::int").bind(&event.email).execute(&mut **tx).await?;
                Ok(())
            }
            "collide" => {
                let raise = "do $$ begin raise exception 'as planned' using errcode = 'serialization_failure'; end $$";
                sqlx::raw_sql(raise).execute(&mut **tx).await?;
                Ok(())
            }
            "wait" => {
                self.0.gate.acquire().await.expect("it is never closed").forget();
                Ok(())
            }
            _ => Ok(()),
        }
    }
}

/// The table that the handler writes to.
pub(crate) async fn with_effects(pool: &PgPool) {
    sqlx::raw_sql("create table effect (event uuid not null)").execute(pool).await.expect("a table");
}

/// How often an event took effect.
pub(crate) async fn effects(pool: &PgPool, id: EventId) -> i64 {
    sqlx::query_scalar("select count(*) from effect where event = $1")
        .bind(id.0)
        .fetch_one(pool)
        .await
        .expect("a count")
}

/// Until an event has taken effect; once.
pub(crate) async fn takes_effect(pool: &PgPool, id: EventId) {
    eventually(SOON, async || match effects(pool, id).await {
        1 => Ok(()),
        times => Err(format!("{id} took effect {times} times")),
    })
    .await;
}

/// Until so many messages of that event have had that outcome.
pub(crate) async fn has_processed(node: &Node, event: &'static str, outcome: &'static str, times: u64) {
    eventually(SOON, async || super::is(node.processed(event, outcome), times)).await;
}
