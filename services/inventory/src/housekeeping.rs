//! What has to be swept up now and then.

use std::time::Duration;

use service_kit::http::idempotency;
use sqlx::PgPool;
use tokio_util::sync::CancellationToken;
use tracing::warn;

/// How often old idempotency keys are looked for; they are kept for hours.
const INTERVAL: Duration = Duration::from_mins(1);

/// Forgets old idempotency keys, again and again, until `stop`.
pub async fn run(pool: PgPool, retention: Duration, stop: CancellationToken) {
    while stop.run_until_cancelled(tokio::time::sleep(INTERVAL)).await.is_some() {
        if let Some(Err(error)) = stop.run_until_cancelled(idempotency::prune(&pool, retention)).await {
            warn!(%error, "old idempotency keys were not forgotten; trying again in a minute");
        }
    }
}
