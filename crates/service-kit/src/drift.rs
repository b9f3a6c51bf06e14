//! Drift: what a service finds wrong in its own books. It looks all the time, at a little each time, so that what breaks
//! shows in its metrics before anybody asks.
//!
//! Shown as `warren_audit_drift{check}`: how many things were found wrong and have not been found right since. What is
//! wrong is logged once, by its id.

use std::collections::BTreeSet;
use std::future::Future;
use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;
use sqlx::{Connection, PgConnection, PgPool};
use tokio_util::sync::CancellationToken;
use tracing::{debug, error, info};

/// How often a service looks. A look takes some milliseconds.
const INTERVAL: Duration = Duration::from_mins(1);

/// A look ends here at the latest. One that does not fit goes on from where it was at the next.
const BEGIN: &str = "begin isolation level repeatable read, read only; set local statement_timeout = '2s'";

/// How many things are remembered to be wrong. Where there are more, nobody needs the number.
const MOST: usize = 1000;

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Check {
    check: &'static str,
}

/// The gauges. A clone shows the same numbers.
#[derive(Debug, Clone)]
pub struct Drift(Family<Check, Gauge>);

impl Drift {
    /// Registers `warren_audit_drift`.
    pub fn register(registry: &mut Registry) -> Self {
        let drift = Self(Family::default());
        let help = "Things that a service found wrong in its own books, and not right since";
        registry.register("warren_audit_drift", help, drift.0.clone());
        drift
    }

    /// The book of one check, empty.
    pub fn book(&self, check: &'static str) -> Book {
        // shown from zero on, so that the first one shows as an increase
        let gauge = self.0.get_or_create(&Check { check }).clone();
        Book { check, gauge, wrong: BTreeSet::new() }
    }
}

/// What one check has found wrong.
#[derive(Debug)]
pub struct Book {
    check: &'static str,
    gauge: Gauge,
    wrong: BTreeSet<String>,
}

impl Book {
    /// Something was looked at: right, or wrong for a reason that holds nothing personal.
    pub fn note(&mut self, id: &str, wrong: Option<String>) {
        match wrong {
            Some(why) if !self.wrong.contains(id) && self.wrong.len() < MOST => {
                error!(check = self.check, id, why, "the books are wrong: see `warren audit`");
                self.wrong.insert(id.to_owned());
            }
            None if self.wrong.remove(id) => info!(check = self.check, id, "the books are right again"),
            Some(_) | None => {}
        }
        self.gauge.set(i64::try_from(self.wrong.len()).unwrap_or(i64::MAX));
    }

    /// What was found wrong, to be looked at again: at most `most` of it.
    pub fn wrong(&self, most: usize) -> Vec<String> {
        self.wrong.iter().take(most).cloned().collect()
    }

    /// How much was found wrong.
    pub fn count(&self) -> i64 {
        self.gauge.get()
    }
}

/// A service's look at a part of its books.
pub trait Look: Send {
    /// Looks at the next part, within one snapshot of the database.
    ///
    /// # Errors
    /// When the database cannot be asked, or takes too long.
    fn look(&mut self, conn: &mut PgConnection) -> impl Future<Output = sqlx::Result<()>> + Send;
}

/// Looks once a minute until `stop`. A busy or absent database is left alone: there is a next time.
pub async fn run(pool: PgPool, mut books: impl Look, stop: CancellationToken) {
    // copies of a service that start together do not look together
    let mut wait = INTERVAL.mul_f64(f64::from(std::process::id() % 60) / 60.0);
    while stop.run_until_cancelled(tokio::time::sleep(wait)).await.is_some() {
        wait = INTERVAL;
        if let Some(Err(error)) = stop.run_until_cancelled(once(&pool, &mut books)).await {
            debug!(%error, "the books were not looked at; trying again in a minute");
        }
    }
}

/// One look; none where all connections are in use.
///
/// # Errors
/// As [`Look::look`].
pub async fn once(pool: &PgPool, books: &mut impl Look) -> sqlx::Result<()> {
    let Some(mut conn) = pool.try_acquire() else { return Ok(()) };
    let mut tx = conn.begin_with(BEGIN).await?;
    books.look(&mut tx).await?;
    tx.rollback().await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wrong_counts_until_it_is_right_again() {
        let mut registry = Registry::default();
        let drift = Drift::register(&mut registry);
        let mut book = drift.book("history");
        for (id, wrong, count) in [("a", true, 1), ("a", true, 1), ("b", true, 2), ("c", false, 2), ("a", false, 1)] {
            book.note(id, wrong.then(|| "it is so".to_owned()));
            assert_eq!(book.count(), count, "after {id}");
        }
        assert_eq!(book.wrong(10), ["b"]);
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &registry).expect("text");
        assert!(text.contains("warren_audit_drift{check=\"history\"} 1"), "{text}");
    }

    #[test]
    fn no_more_is_remembered_than_anybody_reads() {
        let mut book = Drift::register(&mut Registry::default()).book("history");
        (0..MOST + 10).for_each(|id| book.note(&id.to_string(), Some("it is so".to_owned())));
        assert_eq!(book.count(), 1000);
    }
}
