//! What waits to be published: wakes the relay after a commit, and refuses new work when too much waits.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use sqlx::PgPool;
use tokio::sync::Notify;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use crate::fault::in_time;
use crate::follower;
use crate::metrics::Metrics;

/// How often a process counts what waits. In between it adds what it commits itself; of other copies it learns at the next
/// count.
const COUNT_INTERVAL: Duration = Duration::from_millis(500);

/// The outbox of one service, as one of its processes sees it.
#[derive(Debug)]
pub struct Outbox {
    max: u64,
    /// What waited at the last count.
    counted: AtomicU64,
    /// How many events this process has appended, in all and when the last count began.
    appended: AtomicU64,
    appended_before: AtomicU64,
    committed: Notify,
}

/// Too much waits to be published: come back later.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("too many events wait to be published")]
pub struct Overloaded;

impl Outbox {
    pub(crate) fn new(max: u64) -> Self {
        let zero = || AtomicU64::new(0);
        Self { max, counted: zero(), appended: zero(), appended_before: zero(), committed: Notify::new() }
    }

    /// Whether new work may begin.
    ///
    /// # Errors
    /// [`Overloaded`] when as many events as configured wait (`OUTBOX_MAX`; with 0, always).
    pub fn admit(&self) -> Result<(), Overloaded> {
        if self.pending() >= self.max { Err(Overloaded) } else { Ok(()) }
    }

    /// How many events wait, nearly: what was counted, and what this process has committed since the count began. What it
    /// committed during the count may count twice until the next one.
    pub fn pending(&self) -> u64 {
        let since = self.appended.load(Ordering::Relaxed).saturating_sub(self.appended_before.load(Ordering::Relaxed));
        self.counted.load(Ordering::Relaxed) + since
    }

    pub(crate) fn appended(&self, count: usize) {
        self.appended.fetch_add(count as u64, Ordering::Relaxed);
        self.committed.notify_one();
    }

    /// Until something was committed by this process since the last call.
    pub(crate) async fn committed(&self) {
        self.committed.notified().await;
    }

    /// Counts what waits, at once and again and again, until `shutdown`.
    pub async fn watch(&self, pool: &PgPool, metrics: &Metrics, shutdown: CancellationToken) {
        let mut tick = tokio::time::interval(COUNT_INTERVAL);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while shutdown.run_until_cancelled(tick.tick()).await.is_some() {
            let before = self.appended.load(Ordering::Relaxed);
            // A database that is away is reported by the database check; the last count stands until it is back.
            if let Ok((pending, oldest)) = in_time(count(pool)).await {
                self.counted.store(pending, Ordering::Relaxed);
                self.appended_before.store(before, Ordering::Relaxed);
                metrics.outbox_pending.set(i64::try_from(pending).unwrap_or(i64::MAX));
                metrics.outbox_oldest_seconds.set(oldest);
            }
        }
    }
}

/// How many events wait, and how old the oldest is, in seconds. Before the first relay has led, all of them wait.
async fn count(pool: &PgPool) -> sqlx::Result<(u64, f64)> {
    let mut tx = pool.begin().await?;
    follower::prepare(&mut tx, true).await?;
    let row = sqlx::query!(
        r#"with relay as (
               select coalesce(prev, '3:3:') as prev, next, coalesce(position, 0) as position
               from (select) as one left join follower on name = 'relay'
           ),
           waiting as (
               select e.position
               from relay r join event e on e.xid >= pg_snapshot_xmax(r.prev)
               where not coalesce(pg_visible_in_snapshot(e.xid, r.next) and e.position <= r.position, false)
               union all
               select e.position
               from relay r, pg_snapshot_xip(r.prev) as running (xid) join event e using (xid)
               where not coalesce(pg_visible_in_snapshot(e.xid, r.next) and e.position <= r.position, false)
               union all
               select position from set_aside
           ),
           counted as (select count(*) as pending, min(position) as first from waiting)
           select pending as "pending!",
                  coalesce((select extract(epoch from clock_timestamp() - e.time)::float8
                            from event e where e.position = first), 0) as "oldest!"
           from counted"#
    )
    .fetch_one(&mut *tx)
    .await?;
    tx.commit().await?;
    Ok((u64::try_from(row.pending).unwrap_or(0), row.oldest.max(0.0)))
}
