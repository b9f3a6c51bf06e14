//! What the provider's answers mean for payments and their orders, and how it is stored.

use std::sync::Arc;
use std::time::Duration;

use contracts::values::OrderId;
use messaging::tx::Database;
use tokio::sync::Notify;
use tracing::warn;

use crate::order::command::{Command, PaymentResult};
use crate::payment::{Answer, Job, Task};
use crate::saga::{SagaError, Step, advance_locked, nobody};
use crate::store;
use crate::store::payment::Settled;

/// The wait before a payment that failed in a transient way is tried again, first and longest.
const BACKOFF: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(60));

/// Commits what the provider said about a batch, with the orders' next steps: together, or, where that fails because of
/// one of them, each by itself.
pub(super) async fn store(
    database: &Database,
    intents: &Arc<Notify>,
    batch: &[Job],
    answers: Vec<Answer>,
) -> Result<(), SagaError> {
    let answered: Vec<(&Job, Answer)> = batch.iter().zip(answers).collect();
    match commit(database, intents, &answered).await {
        Err(error) if answered.len() > 1 && !error.is_outage() => {
            let mut result = Ok(());
            for one in &answered {
                result = commit(database, intents, std::slice::from_ref(one)).await.and(result);
            }
            result
        }
        committed => committed,
    }
}

async fn commit(database: &Database, intents: &Arc<Notify>, answered: &[(&Job, Answer)]) -> Result<(), SagaError> {
    let mut tx = database.begin(nobody()).await?;
    // Orders are locked before payments, here as everywhere, and those that take no step too: what becomes of a payment
    // depends on its order.
    let orders = store::order::lock(&mut tx, &order_ids(answered.iter().map(|(job, _)| *job))).await?;
    let steps: Vec<Step> = answered.iter().filter_map(|(job, answer)| step(job, answer)).collect();
    advance_locked(&mut tx, orders, &steps, None).await?;
    let settled: Vec<Settled> = answered.iter().map(|(job, answer)| settled(job, answer)).collect();
    store::payment::settle(&mut tx, &settled).await?;
    store::outage::end(&mut tx).await?;
    tx.after_commit(intents);
    tx.commit().await?;
    for ((job, _), Settled { wait, .. }) in answered.iter().zip(&settled).filter(|(_, settled)| !settled.wait.is_zero())
    {
        tell(job, *wait);
    }
    Ok(())
}

/// One line for a payment that the provider could not take this time.
fn tell(job: &Job, wait: Duration) {
    let Job { intent, task, attempts, .. } = job;
    let next = format!("attempt {} in {}ms", attempts + 1, wait.as_millis());
    let what = match task {
        Task::Charge => "payment failed for now",
        Task::Refund => "refund failed for now",
    };
    let correlation_id = intent.context.correlation_id.as_str();
    warn!(order_id = %intent.order_id, payment_id = intent.payment_id, attempts, next, correlation_id, "{what}");
}

/// Gives back payments that the provider was not asked for.
pub(super) async fn give_back(database: &Database, jobs: &[Job]) -> Result<(), SagaError> {
    let mut tx = database.begin(nobody()).await?;
    store::order::lock_only(&mut tx, &order_ids(jobs.iter())).await?;
    store::payment::give_back(&mut tx, jobs).await?;
    Ok(tx.commit().await?)
}

/// Keeps payments that got no answer for `wait`, and notes since when the provider is away.
pub(super) async fn keep_in_doubt(database: &Database, batch: &[Job], wait: Duration) -> Result<(), SagaError> {
    let ids: Vec<String> = batch.iter().map(|job| job.intent.payment_id.clone()).collect();
    let mut tx = database.begin(nobody()).await?;
    store::order::lock_only(&mut tx, &order_ids(batch.iter())).await?;
    store::payment::keep_in_doubt(&mut tx, &ids, wait).await?;
    store::outage::begin(&mut tx).await?;
    Ok(tx.commit().await?)
}

fn order_ids<'a>(jobs: impl Iterator<Item = &'a Job>) -> Vec<OrderId> {
    jobs.map(|job| job.intent.order_id).collect()
}

/// What an answer makes of the order.
fn step(job: &Job, answer: &Answer) -> Option<Step> {
    let intent = &job.intent;
    let result = PaymentResult { payment_id: intent.payment_id.clone(), amount: intent.amount };
    let command = match (job.task, answer) {
        (Task::Charge, Answer::Completed) => Command::Pay(result),
        (Task::Charge, Answer::Declined(reason)) => Command::FailPayment(result, reason.clone()),
        (Task::Refund, Answer::Completed) => Command::Refund(result),
        (_, Answer::Again | Answer::Later) | (Task::Refund, Answer::Declined(_)) => return None,
    };
    Some(Step { order_id: intent.order_id, command, context: intent.context.clone() })
}

/// What an answer makes of the payment.
fn settled(job: &Job, answer: &Answer) -> Settled {
    let (state, wait) = match (job.task, answer) {
        (Task::Charge, Answer::Completed) => ("completed", Duration::ZERO),
        (Task::Charge, Answer::Declined(_)) => ("failed", Duration::ZERO),
        (Task::Charge, Answer::Later) => ("waiting", Duration::ZERO),
        (Task::Charge, Answer::Again) => ("due", backoff(job.attempts)),
        (Task::Refund, Answer::Completed) => ("refunded", Duration::ZERO),
        // what is owed goes back, however often the provider has to be asked
        (Task::Refund, _) => ("refund-due", backoff(job.attempts)),
    };
    Settled { id: job.intent.payment_id.clone(), task: job.task, state, wait, claimed_until: job.until }
}

/// How long to wait after so many attempts.
fn backoff(attempts: i32) -> Duration {
    let doublings = u32::try_from(attempts - 1).unwrap_or(0).min(16);
    (BACKOFF.0 * 2_u32.pow(doublings)).min(BACKOFF.1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wait_doubles_up_to_a_minute() {
        let waits: Vec<_> = [0, 1, 2, 3, 9, 10, 1000].map(|attempts| backoff(attempts).as_millis()).to_vec();
        assert_eq!(waits, [200, 200, 400, 800, 51_200, 60_000, 60_000]);
    }
}
