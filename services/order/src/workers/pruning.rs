//! Forgets idempotency keys and webhooks that nobody will repeat any more, and outages that nobody waited through.

use std::time::Duration;

use sqlx::PgPool;
use tokio_util::sync::CancellationToken;
use tracing::warn;

use crate::store;

/// How often.
const INTERVAL: Duration = Duration::from_mins(1);

/// How long webhooks are remembered. Providers redeliver for hours or days (Standard Webhooks suggests about one), and a
/// signature is old after five minutes anyway.
const WEBHOOKS: Duration = Duration::from_hours(30 * 24);

/// How long outages of the payment provider are remembered at least: for people who look for them.
const OUTAGES: Duration = Duration::from_hours(30 * 24);

/// Prunes until shutdown.
pub async fn run(pool: PgPool, idempotency: Duration, shutdown: CancellationToken) {
    while shutdown.run_until_cancelled(tokio::time::sleep(INTERVAL)).await.is_some() {
        if let Err(error) = prune(&pool, idempotency).await {
            warn!(%error, "old rows not pruned; trying again in a minute");
        }
    }
}

async fn prune(pool: &PgPool, idempotency: Duration) -> sqlx::Result<()> {
    service_kit::http::idempotency::prune(pool, idempotency).await?;
    let mut conn = pool.acquire().await?;
    while store::webhook::forget(&mut conn, WEBHOOKS).await? > 0 {}
    store::outage::forget(&mut conn, OUTAGES).await
}
