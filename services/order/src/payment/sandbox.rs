//! The sandbox: a provider for development and tests, with books of its own, so that a double charge would show.

use std::collections::HashMap;
use std::time::Duration;

use sqlx::PgPool;

use super::{Answer, Intent, PaymentProvider, Unreachable};

/// Succeeds at once.
pub const OK: &str = "sandbox:ok";
/// Is refused.
pub const DECLINED: &str = "sandbox:declined";
/// Fails twice in a transient way, then succeeds.
pub const FLAKY: &str = "sandbox:flaky";
/// Succeeds after ten seconds.
pub const SLOW: &str = "sandbox:slow";
/// Waits for a webhook.
pub const MANUAL: &str = "sandbox:manual";

/// All of its methods.
const METHODS: [&str; 5] = [OK, DECLINED, FLAKY, SLOW, MANUAL];

/// How long `sandbox:slow` takes.
const SLOWNESS: Duration = Duration::from_secs(10);

/// How many calls of `sandbox:flaky` fail.
const FLAKES: i32 = 2;

/// The sandbox, with its books in the table `sandbox_ledger`.
#[derive(Debug, Clone)]
pub struct Sandbox {
    pool: PgPool,
}

impl Sandbox {
    /// A sandbox with its books in this database.
    pub fn new(pool: PgPool) -> Self {
        Self { pool }
    }

    /// Books a call for each payment, with the charge where the method succeeds, and returns the number of calls so far.
    async fn book(&self, intents: &[Intent]) -> sqlx::Result<HashMap<String, i32>> {
        let ids: Vec<String> = intents.iter().map(|intent| intent.payment_id.clone()).collect();
        let amounts: Vec<i64> = intents.iter().map(|intent| intent.amount.amount()).collect();
        let currencies: Vec<String> = intents.iter().map(|intent| intent.amount.currency().to_string()).collect();
        // how many calls it takes until the money moves; null where it never does
        let calls_needed = |intent: &Intent| match intent.method.as_str() {
            OK | SLOW => Some(1),
            FLAKY => Some(FLAKES + 1),
            _ => None,
        };
        let needed: Vec<Option<i32>> = intents.iter().map(calls_needed).collect();
        // These books need not wait for the disk: they are written before the result is stored in the same database, and what
        // comes later is never safe on disk without what came before.
        let rows = sqlx::query!(
            "insert into sandbox_ledger as l (payment_id, amount, currency, calls, charged_at)
             select id, amount, currency, 1, case when needed <= 1 then now() end
             from (select set_config('synchronous_commit', 'off', true)) as relaxed,
                  unnest($1::text[], $2::bigint[], $3::text[], $4::integer[]) as p (id, amount, currency, needed)
             order by id
             on conflict (payment_id) do update set calls = l.calls + 1,
                 charged_at = coalesce(l.charged_at, case when l.calls + 1 >= (
                     select needed from unnest($1::text[], $4::integer[]) as n (id, needed) where n.id = l.payment_id
                 ) then now() end)
             returning payment_id, calls",
            &ids,
            &amounts,
            &currencies,
            &needed as &[Option<i32>],
        )
        .fetch_all(&self.pool)
        .await?;
        Ok(rows.into_iter().map(|row| (row.payment_id, row.calls)).collect())
    }
}

impl PaymentProvider for Sandbox {
    fn methods(&self) -> &'static [&'static str] {
        &METHODS
    }

    async fn charge(&self, intents: &[Intent]) -> Result<Vec<Answer>, Unreachable> {
        if intents.iter().any(|intent| intent.method == SLOW) {
            tokio::time::sleep(SLOWNESS).await;
        }
        let calls = self.book(intents).await.map_err(|error| Unreachable(error.to_string()))?;
        let answer = |intent: &Intent| match intent.method.as_str() {
            OK | SLOW => Answer::Completed,
            FLAKY if calls.get(&intent.payment_id).is_some_and(|calls| *calls > FLAKES) => Answer::Completed,
            FLAKY => Answer::Again,
            MANUAL => Answer::Later,
            _ => Answer::Declined("declined".to_owned()),
        };
        Ok(intents.iter().map(answer).collect())
    }

    async fn refund(&self, intents: &[Intent]) -> Result<Vec<Answer>, Unreachable> {
        let ids: Vec<String> = intents.iter().map(|intent| intent.payment_id.clone()).collect();
        let amounts: Vec<i64> = intents.iter().map(|intent| intent.amount.amount()).collect();
        let currencies: Vec<String> = intents.iter().map(|intent| intent.amount.currency().to_string()).collect();
        sqlx::query!(
            "insert into sandbox_ledger as l (payment_id, amount, currency, calls, refunded_at)
             select id, amount, currency, 1, now()
             from unnest($1::text[], $2::bigint[], $3::text[]) as p (id, amount, currency) order by id
             on conflict (payment_id) do update
             set calls = l.calls + 1, refunded_at = coalesce(l.refunded_at, now())",
            &ids,
            &amounts,
            &currencies,
        )
        .execute(&self.pool)
        .await
        .map_err(|error| Unreachable(error.to_string()))?;
        Ok(vec![Answer::Completed; intents.len()])
    }
}
