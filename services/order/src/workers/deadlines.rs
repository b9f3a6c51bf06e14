//! The one clock of the saga: an order that has waited for its payment for too long is given up. The clock stands still
//! while the payment provider cannot be reached.

use std::time::Duration;

use messaging::context::Context;
use messaging::fault::in_time;
use messaging::tx::Database;
use tokio_util::sync::CancellationToken;
use tracing::warn;

use crate::order::command::Command;
use crate::saga::{SagaError, Step, advance, nobody};
use crate::store;

/// How often the clock is looked at.
const INTERVAL: Duration = Duration::from_millis(500);

/// Gives up overdue orders until shutdown.
pub async fn run(database: Database, timeout: Duration, shutdown: CancellationToken) {
    let mut complained = false;
    while shutdown.run_until_cancelled(tokio::time::sleep(INTERVAL)).await.is_some() {
        match all(&database, timeout).await {
            Ok(()) => complained = false,
            Err(error) => {
                if !std::mem::replace(&mut complained, true) {
                    warn!(%error, "deadlines cannot be checked; trying again");
                }
            }
        }
    }
}

async fn all(database: &Database, timeout: Duration) -> Result<(), SagaError> {
    while in_time(step(database, timeout)).await? > 0 {}
    Ok(())
}

/// Gives up orders that are overdue by the database's clock, and says how many.
///
/// # Errors
/// When the database refuses.
pub async fn step(database: &Database, timeout: Duration) -> Result<usize, SagaError> {
    let overdue = store::payment::overdue(&mut *database.pool().acquire().await?, timeout).await?;
    if overdue.is_empty() {
        return Ok(0);
    }
    let mut tx = database.begin(nobody()).await?;
    let step = |(order_id, context): &(_, Context)| Step {
        order_id: *order_id,
        command: Command::GiveUp,
        context: context.clone(),
    };
    let steps: Vec<Step> = overdue.iter().map(step).collect();
    advance(&mut tx, &steps).await?;
    tx.commit().await?;
    Ok(overdue.len())
}
