//! What the service shows of its orders to Prometheus.

use std::time::Duration;

use chrono::TimeDelta;
use messaging::follower::{self, Standing};
use messaging::relay;
use messaging::tx::Database;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::Registry;
use tracing::debug;

use crate::order::Status;
use crate::store;
use crate::store::order::status_word;
use crate::stuck::{self, StuckError, WAITS_FOR};

/// Orders of one status.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfStatus {
    status: &'static str,
}

/// Orders that wait for the same.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct WaitFor {
    waits_for: &'static str,
}

/// One read model.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfProjection {
    projection: String,
}

/// All families. A clone shows the same numbers.
#[derive(Debug, Clone)]
pub struct Metrics {
    orders: Family<OfStatus, Gauge>,
    stuck: Gauge,
    stuck_for: Family<WaitFor, Gauge>,
    projection_pending: Family<OfProjection, Gauge>,
    completion_seconds: Histogram,
}

impl Metrics {
    /// Registers all families.
    pub fn register(registry: &mut Registry) -> Self {
        let metrics = Self {
            orders: Family::default(),
            stuck: Gauge::default(),
            stuck_for: Family::default(),
            projection_pending: Family::default(),
            // from ten milliseconds to twenty minutes, which is more than an order waits for its payment
            completion_seconds: Histogram::new(exponential_buckets(0.01, 2.0, 18)),
        };
        registry.register("warren_orders", "Orders by status", metrics.orders.clone());
        registry.register(
            "warren_orders_stuck",
            "Orders that wait for too long, counted up to 1000 for each thing that they wait for",
            metrics.stuck.clone(),
        );
        registry.register(
            "warren_orders_stuck_for",
            "Orders that wait for too long, by what they wait for; counted up to 1000 each",
            metrics.stuck_for.clone(),
        );
        registry.register(
            "warren_projection_pending",
            "Events that a read model has not taken yet, counted up to 100000; NAME.rebuild is one that is being built anew",
            metrics.projection_pending.clone(),
        );
        let seconds = metrics.completion_seconds.clone();
        registry.register(
            "warren_order_completion_seconds",
            "From placing an order to its first final status",
            seconds,
        );
        metrics
    }

    /// An order came to its end after so long.
    pub fn completed(&self, after: TimeDelta) {
        self.completion_seconds.observe(after.as_seconds_f64().max(0.0));
    }

    /// Counts orders before each scrape.
    pub fn count_on_scrape(
        &self,
        scraped: &service_kit::metrics::Metrics,
        database: Database,
        payment_timeout: Duration,
    ) {
        let metrics = self.clone();
        scraped.on_scrape(move || {
            let (metrics, database) = (metrics.clone(), database.clone());
            async move { metrics.refresh(&database, payment_timeout).await }
        });
    }

    /// Counts orders: those that are open along the index that holds only those, those that are final in the read model of
    /// daily sales, which has a row per day. What cannot be counted keeps its last number.
    pub async fn refresh(&self, database: &Database, payment_timeout: Duration) {
        if let Err(error) = self.count(database, payment_timeout).await {
            debug!(%error, "orders cannot be counted");
        }
    }

    async fn count(&self, database: &Database, payment_timeout: Duration) -> Result<(), StuckError> {
        let mut conn = database.pool().acquire().await?;
        let open = store::order::open(&mut conn).await?;
        let (confirmed, cancelled) = store::sale::ended(&mut conn).await?;
        let followers = follower::standings(&mut conn).await?;
        self.projection_pending.clear();
        for Standing { name, behind, .. } in followers.into_iter().filter(|follower| follower.name != relay::NAME) {
            self.projection_pending.get_or_create(&OfProjection { projection: name }).set(behind);
        }
        drop(conn);
        let of = |word: &str| open.iter().find(|(status, _)| status == word).map_or(0, |(_, count)| *count);
        for (status, count) in [
            (Status::Pending, of(status_word(Status::Pending))),
            (Status::Reserved, of(status_word(Status::Reserved))),
            (Status::Confirmed, confirmed),
            (Status::Cancelled, cancelled),
        ] {
            self.orders.get_or_create(&OfStatus { status: status_word(status) }).set(count);
        }
        let stuck = stuck::stuck(database, payment_timeout).await?;
        self.stuck.set(i64::try_from(stuck.len()).unwrap_or(i64::MAX));
        for waits_for in WAITS_FOR {
            let count = stuck.iter().filter(|order| order.waits_for == waits_for).count();
            self.stuck_for.get_or_create(&WaitFor { waits_for }).set(i64::try_from(count).unwrap_or(i64::MAX));
        }
        Ok(())
    }
}
