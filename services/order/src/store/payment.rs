//! The payments: intents, claims and results.

use std::time::Duration;

use chrono::{DateTime, Utc};
use contracts::values::OrderId;
use messaging::context::Context;
use sqlx::PgConnection;
use uuid::Uuid;

use super::order::money;
use crate::payment::{Intent, Job, Task};

/// Stores intents to charge (`due`) or to refund (`refund-due`).
///
/// # Errors
/// When the database refuses.
pub async fn intend(conn: &mut PgConnection, intents: &[Intent], task: Task) -> sqlx::Result<()> {
    let state = match task {
        Task::Charge => "due",
        Task::Refund => "refund-due",
    };
    write(conn, intents, state, 0, Duration::ZERO).await?;
    Ok(())
}

/// Stores intents to charge as claims of this process for the length of `lease`, and returns them as jobs.
///
/// # Errors
/// When the database refuses.
pub async fn intend_claimed(conn: &mut PgConnection, intents: Vec<Intent>, lease: Duration) -> sqlx::Result<Vec<Job>> {
    let Some(until) = write(conn, &intents, "claimed", 1, lease).await? else { return Ok(Vec::new()) };
    Ok(intents.into_iter().map(|intent| Job { intent, task: Task::Charge, attempts: 1, until }).collect())
}

/// Writes intents in a state, to be taken up after `wait`, and returns when that is; `None` without intents. A payment that
/// comes back has its row already; one that somebody else started has none yet.
async fn write(
    conn: &mut PgConnection,
    intents: &[Intent],
    state: &str,
    attempts: i32,
    wait: Duration,
) -> sqlx::Result<Option<DateTime<Utc>>> {
    if intents.is_empty() {
        return Ok(None);
    }
    let ids: Vec<String> = intents.iter().map(|intent| intent.payment_id.clone()).collect();
    let orders: Vec<Uuid> = intents.iter().map(|intent| intent.order_id.0).collect();
    let amounts: Vec<i64> = intents.iter().map(|intent| intent.amount.amount()).collect();
    let currencies: Vec<String> = intents.iter().map(|intent| intent.amount.currency().to_string()).collect();
    let methods: Vec<String> = intents.iter().map(|intent| intent.method.clone()).collect();
    let (correlations, causations, traces) = contexts(intents);
    let next_at = sqlx::query_scalar!(
        "insert into payment (id, order_id, amount, currency, method, state, attempts, next_at, waits_since, correlation_id,
                              causation_id, traceparent)
         select id, order_id, amount, currency, method, $9, $10, now() + make_interval(secs => $11), clock_timestamp(),
                correlation_id, causation_id, traceparent
         from unnest($1::text[], $2::uuid[], $3::bigint[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[])
              as p (id, order_id, amount, currency, method, correlation_id, causation_id, traceparent)
         on conflict (id) do update set state = excluded.state, attempts = excluded.attempts, next_at = excluded.next_at,
                                        waits_since = clock_timestamp(), causation_id = excluded.causation_id,
                                        traceparent = excluded.traceparent
         returning next_at",
        &ids,
        &orders,
        &amounts,
        &currencies,
        &methods,
        &correlations,
        &causations as &[Option<String>],
        &traces as &[Option<String>],
        state,
        attempts,
        wait.as_secs_f64(),
    )
    .fetch_all(conn)
    .await?;
    Ok(next_at.first().copied())
}

/// Withdraws what was not asked for yet. A claimed payment may have been charged: the provider's answer decides.
///
/// # Errors
/// When the database refuses.
pub async fn withdraw(conn: &mut PgConnection, orders: &[OrderId]) -> sqlx::Result<()> {
    if orders.is_empty() {
        return Ok(());
    }
    let orders: Vec<Uuid> = orders.iter().map(|order| order.0).collect();
    sqlx::query!(
        "update payment set state = 'withdrawn' where order_id = any($1) and state in ('due', 'waiting')",
        &orders
    )
    .execute(conn)
    .await?;
    Ok(())
}

type Texts = Vec<Option<String>>;

fn contexts(intents: &[Intent]) -> (Vec<String>, Texts, Texts) {
    let correlations = intents.iter().map(|intent| intent.context.correlation_id.clone()).collect();
    let causations = intents.iter().map(|intent| intent.context.causation_id.clone()).collect();
    let traces = intents.iter().map(|intent| intent.context.traceparent.clone()).collect();
    (correlations, causations, traces)
}

/// A claimed row as the database has it.
struct Claimed {
    id: String,
    order_id: Uuid,
    amount: i64,
    currency: String,
    method: String,
    state: String,
    attempts: i32,
    next_at: DateTime<Utc>,
    correlation_id: String,
    causation_id: Option<String>,
    traceparent: Option<String>,
}

impl TryFrom<Claimed> for Job {
    type Error = sqlx::Error;

    fn try_from(row: Claimed) -> sqlx::Result<Self> {
        let context = Context {
            correlation_id: row.correlation_id,
            causation_id: row.causation_id,
            traceparent: row.traceparent,
        };
        let amount = money(row.amount, &row.currency)?;
        let intent =
            Intent { payment_id: row.id, order_id: OrderId(row.order_id), amount, method: row.method, context };
        let task = if row.state == "refunding" { Task::Refund } else { Task::Charge };
        Ok(Job { intent, task, attempts: row.attempts, until: row.next_at })
    }
}

/// Takes jobs that are due, at most 200, of all methods but the `busy` ones: intents, and claims without a result whose
/// time is over. Nobody else gets them for the length of `lease`.
///
/// # Errors
/// When the database refuses.
pub async fn claim(conn: &mut PgConnection, lease: Duration, busy: &[String]) -> sqlx::Result<Vec<Job>> {
    let rows = sqlx::query_as!(
        Claimed,
        "update payment set state = case when state in ('due', 'claimed') then 'claimed' else 'refunding' end,
                next_at = now() + make_interval(secs => $1), attempts = attempts + 1
         where id = any(array(
             select id from payment
             where state in ('due', 'claimed', 'refund-due', 'refunding') and next_at <= now() and method <> all($2)
             order by next_at limit 200 for update skip locked))
         returning id, order_id, amount, currency, method, state, attempts, next_at, correlation_id, causation_id, traceparent",
        lease.as_secs_f64(),
        busy,
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter().map(Job::try_from).collect()
}

/// Gives claims back whose payments were certainly not asked of the provider, and whose orders are locked: they are as if
/// nobody had claimed them, so that of an order that waits for its payment no longer is withdrawn.
///
/// # Errors
/// When the database refuses.
pub async fn give_back(conn: &mut PgConnection, jobs: &[Job]) -> sqlx::Result<()> {
    let ids: Vec<&str> = jobs.iter().map(|job| job.intent.payment_id.as_str()).collect();
    let until: Vec<DateTime<Utc>> = jobs.iter().map(|job| job.until).collect();
    sqlx::query!(
        "update payment
         set state = case o.status when 'reserved' then 'due' else 'withdrawn' end, attempts = attempts - 1, next_at = now()
         from unnest($1::text[], $2::timestamptz[]) as j (id, until), orders o
         where payment.id = j.id and payment.id = any($1) and o.id = payment.order_id
           and payment.state = 'claimed' and payment.next_at = j.until",
        &ids as &[&str],
        &until,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Takes one claim without a result again, whenever its time is over. `None` when it has a result by now.
///
/// # Errors
/// When the database refuses.
pub async fn reclaim(conn: &mut PgConnection, lease: Duration, id: &str) -> sqlx::Result<Option<Job>> {
    let row = sqlx::query_as!(
        Claimed,
        "update payment set next_at = now() + make_interval(secs => $1), attempts = attempts + 1
         where id = $2 and state in ('claimed', 'refunding')
         returning id, order_id, amount, currency, method, state, attempts, next_at, correlation_id, causation_id, traceparent",
        lease.as_secs_f64(),
        id,
    )
    .fetch_optional(conn)
    .await?;
    row.map(Job::try_from).transpose()
}

/// What becomes of a claim.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settled {
    /// The payment.
    pub id: String,
    /// What it was claimed for. Where another result has come meanwhile, that one stands, but a charge that is done is done.
    pub task: Task,
    /// Its state from now on. A charge that is not done yet and whose order waits for it no longer is withdrawn instead.
    pub state: &'static str,
    /// When it is to be taken again, if it is.
    pub wait: Duration,
    /// The end of the claim. One that was taken over meanwhile may have done what this one was told is not done yet, so
    /// that counts no more.
    pub claimed_until: DateTime<Utc>,
}

/// Stores what became of claims whose orders are locked.
///
/// # Errors
/// When the database refuses.
pub async fn settle(conn: &mut PgConnection, results: &[Settled]) -> sqlx::Result<()> {
    let ids: Vec<&str> = results.iter().map(|result| result.id.as_str()).collect();
    let claim = |result: &Settled| match result.task {
        Task::Charge => "claimed",
        Task::Refund => "refunding",
    };
    let claims: Vec<&str> = results.iter().map(claim).collect();
    let states: Vec<&str> = results.iter().map(|result| result.state).collect();
    let waits: Vec<f64> = results.iter().map(|result| result.wait.as_secs_f64()).collect();
    let until: Vec<DateTime<Utc>> = results.iter().map(|result| result.claimed_until).collect();
    sqlx::query!(
        "update payment
         set state = case when n.state in ('due', 'waiting') and o.status <> 'reserved' then 'withdrawn' else n.state end,
             next_at = now() + make_interval(secs => n.wait)
         from unnest($1::text[], $2::text[], $3::text[], $4::float8[], $5::timestamptz[])
                  as n (id, claim, state, wait, until), orders o
         where payment.id = n.id and payment.id = any($1) and o.id = payment.order_id
           and (payment.next_at = n.until or n.state not in ('due', 'waiting', 'refund-due'))
           and (payment.state = n.claim or (n.state = 'completed' and payment.state in ('due', 'waiting', 'withdrawn')))",
        &ids as &[&str],
        &claims as &[&str],
        &states as &[&str],
        &waits,
        &until,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Keeps claims that had no answer: the provider may or may not have done it, and is asked again after `wait`. It was not
/// the payment's fault, so the attempt does not count.
///
/// # Errors
/// When the database refuses.
pub async fn keep_in_doubt(conn: &mut PgConnection, ids: &[String], wait: Duration) -> sqlx::Result<()> {
    sqlx::query!(
        "update payment set next_at = now() + make_interval(secs => $2), attempts = attempts - 1
         where id = any($1) and state in ('claimed', 'refunding')",
        ids,
        wait.as_secs_f64(),
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// The orders that have waited for their payment for longer than `timeout`, at most 200, with what their end inherits.
/// Time in which the provider could not be reached does not count.
///
/// # Errors
/// When the database refuses.
pub async fn overdue(conn: &mut PgConnection, timeout: Duration) -> sqlx::Result<Vec<(OrderId, Context)>> {
    let rows = sqlx::query!(
        "select p.order_id, p.correlation_id, p.causation_id, p.traceparent
         from payment p join orders o on o.id = p.order_id and o.status = 'reserved'
         where p.state in ('due', 'waiting', 'claimed') and p.waits_since < now() - make_interval(secs => $1)
           and p.waits_since < now() - make_interval(secs => $1) - (
               select coalesce(sum(coalesce(a.until, now()) - greatest(a.since, p.waits_since)), '0')
               from provider_outage a where coalesce(a.until, now()) > p.waits_since)
         order by p.waits_since limit 200",
        timeout.as_secs_f64(),
    )
    .fetch_all(conn)
    .await?;
    let context = |correlation_id, causation_id, traceparent| Context { correlation_id, causation_id, traceparent };
    Ok(rows
        .into_iter()
        .map(|row| (OrderId(row.order_id), context(row.correlation_id, row.causation_id, row.traceparent)))
        .collect())
}

/// A payment as somebody else's message may know it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Known {
    /// For which order.
    pub order_id: OrderId,
    /// How it stands.
    pub state: String,
}

/// The payment with that id.
///
/// # Errors
/// When the database refuses.
pub async fn find(conn: &mut PgConnection, id: &str) -> sqlx::Result<Option<Known>> {
    let row = sqlx::query!("select order_id, state from payment where id = $1", id).fetch_optional(conn).await?;
    Ok(row.map(|row| Known { order_id: OrderId(row.order_id), state: row.state }))
}

/// Records a result that came from outside, unless the payment is to be refunded already. `false` when it is another
/// order's.
///
/// # Errors
/// When the database refuses.
pub async fn record(conn: &mut PgConnection, intent: &Intent, state: &str) -> sqlx::Result<bool> {
    let currency = intent.amount.currency();
    let recorded = sqlx::query!(
        "insert into payment (id, order_id, amount, currency, method, state, next_at, waits_since, correlation_id,
                              causation_id, traceparent)
         values ($1, $2, $3, $4, $5, $6, now(), now(), $7, $8, $9)
         on conflict (id) do update
         set state = case when payment.state in ('refund-due', 'refunding', 'refunded') then payment.state else excluded.state end
         where payment.order_id = excluded.order_id",
        intent.payment_id,
        intent.order_id.0,
        intent.amount.amount(),
        currency.as_str(),
        intent.method,
        state,
        intent.context.correlation_id,
        intent.context.causation_id,
        intent.context.traceparent,
    )
    .execute(conn)
    .await?;
    Ok(recorded.rows_affected() > 0)
}
