//! Nothing grows without bound: old inbox rows and published events are deleted in small batches.
//!
//! How long they are kept is the guarantee: an inbox that forgets an event lets a replay of it take effect again. What is
//! kept for ever grows in sight of everybody: the size of every table is a metric.

use std::time::Duration;

use sqlx::PgPool;
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

use crate::metrics::{Metrics, Table};

/// How often old rows are looked for.
const INTERVAL: Duration = Duration::from_mins(1);

/// The pause between two batches, which leaves the disk to others.
const PAUSE: Duration = Duration::from_millis(50);

/// How many rows one statement deletes: few enough that its locks and its log are small.
const BATCH: i64 = 1000;

/// How many positions of the log one statement looks at.
const STRIDE: i64 = 5000;

/// What is kept for how long.
#[derive(Debug, Clone)]
pub struct Retention {
    /// How long the inbox remembers.
    pub inbox: Duration,
    /// How long published events are kept.
    pub events: Duration,
    /// The types that are the history of an aggregate, and kept for ever.
    pub history: &'static [&'static str],
}

/// Prunes and measures until shutdown.
pub(crate) async fn run(pool: PgPool, retention: Retention, metrics: Metrics, shutdown: CancellationToken) {
    let mut pruned_to = 0;
    loop {
        // a database that is away is told elsewhere
        if let Some(Err(error)) = shutdown.run_until_cancelled(measure(&pool, &metrics)).await {
            debug!(%error, "tables not measured; trying again in a minute");
        }
        if shutdown.run_until_cancelled(tokio::time::sleep(INTERVAL)).await.is_none() {
            return;
        }
        if let Some(Err(error)) = shutdown.run_until_cancelled(prune_from(&pool, &retention, &mut pruned_to)).await {
            warn!(%error, "pruning failed; trying again in a minute");
        }
    }
}

/// Tells how large each table of the service is, with its indexes and what is stored beside it.
///
/// # Errors
/// When the database cannot be asked.
pub async fn measure(pool: &PgPool, metrics: &Metrics) -> sqlx::Result<()> {
    let tables = sqlx::query!(
        r#"select relname::text as "name!", pg_total_relation_size(oid) as "bytes!"
           from pg_class where relkind = 'r' and relnamespace = current_schema()::regnamespace"#
    )
    .fetch_all(pool)
    .await?;
    for table in tables {
        metrics.table_bytes.get_or_create(&Table { table: table.name }).set(table.bytes);
    }
    Ok(())
}

/// Deletes what is older than `retention` allows.
///
/// # Errors
/// When the database cannot be asked.
pub async fn prune(pool: &PgPool, retention: &Retention) -> sqlx::Result<()> {
    prune_from(pool, retention, &mut 0).await
}

/// Deletes what is old enough, of the log after `pruned_to`, and moves that to where the next call has to go on: the
/// history, which stays, is looked through once and not every minute.
async fn prune_from(pool: &PgPool, retention: &Retention, pruned_to: &mut i64) -> sqlx::Result<()> {
    while prune_inbox(pool, retention.inbox).await? > 0 {
        tokio::time::sleep(PAUSE).await;
    }
    while prune_attempts(pool, retention.inbox).await? > 0 {
        tokio::time::sleep(PAUSE).await;
    }
    while prune_failures(pool, retention.inbox).await? > 0 {
        tokio::time::sleep(PAUSE).await;
    }
    let history: Vec<String> = retention.history.iter().map(|&name| name.to_owned()).collect();
    while let Some(next) = prune_events(pool, retention.events, &history, *pruned_to).await? {
        *pruned_to = next;
        tokio::time::sleep(PAUSE).await;
    }
    Ok(())
}

async fn prune_inbox(pool: &PgPool, keep: Duration) -> sqlx::Result<u64> {
    let done = sqlx::query!(
        "delete from inbox where id in (
             select id from inbox where received_at < now() - make_interval(secs => $1) order by received_at limit $2)",
        keep.as_secs_f64(),
        BATCH,
    )
    .execute(pool)
    .await?;
    Ok(done.rows_affected())
}

/// Attempts that nobody ended: their messages were taken out of the queue by hand, or by the broker's delivery limit.
async fn prune_attempts(pool: &PgPool, keep: Duration) -> sqlx::Result<u64> {
    let done = sqlx::query!(
        "delete from attempt where id in (
             select id from attempt where started_at < now() - make_interval(secs => $1) limit $2)",
        keep.as_secs_f64(),
        BATCH,
    )
    .execute(pool)
    .await?;
    Ok(done.rows_affected())
}

/// What failed so long ago that the inbox would not remember its success either.
async fn prune_failures(pool: &PgPool, keep: Duration) -> sqlx::Result<u64> {
    let done = sqlx::query!(
        "delete from dead_letter where id in (
             select id from dead_letter where failed_at < now() - make_interval(secs => $1) limit $2)",
        keep.as_secs_f64(),
        BATCH,
    )
    .execute(pool)
    .await?;
    Ok(done.rows_affected())
}

/// Deletes within one stride of the log, and returns where the next begins; `None` at the first event that is too young
/// or not published.
async fn prune_events(pool: &PgPool, keep: Duration, history: &[String], after: i64) -> sqlx::Result<Option<i64>> {
    sqlx::query_scalar!(
        r#"with stride as (
               select e.position, e.type,
                      e.time < now() - make_interval(secs => $1) and pg_visible_in_snapshot(e.xid, f.prev)
                      and not exists (select from set_aside s where s.position = e.position) as old
               from event e, follower f
               where f.name = 'relay' and e.position > $3 order by e.position limit 5000
           ),
           gone as (
               delete from event where position in (select position from stride where old and type <> all ($2))
           )
           select case when bool_and(old) and count(*) = $4 then max(position) end from stride"#,
        keep.as_secs_f64(),
        history,
        after,
        STRIDE,
    )
    .fetch_one(pool)
    .await
}
