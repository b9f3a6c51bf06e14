//! Building a read model anew from the whole log, beside the one that is in use: to put in its place, or to compare.
//!
//! The new one grows in a temporary table of the same name, by the same code, in pages, while orders go on. Only at the end,
//! when little is left to read, the follower of the one in use is held for a moment, and what came meanwhile is
//! added. Somebody who reads sees the old rows until then and the new ones afterwards; one who interrupts it leaves nothing.

use std::time::Duration;

use contracts::event::Service;
use messaging::follower::{self, Checkpoint, FollowError};
use sqlx::{Connection, PgConnection};

use super::Projection;
use crate::store;

/// How often the end is tried while the follower is busy.
const TRIES: u32 = 500;
/// The wait between two tries.
const PAUSE: Duration = Duration::from_millis(20);

/// Why a read model was not built.
#[derive(Debug, thiserror::Error)]
pub enum RebuildError {
    /// The log cannot be followed.
    #[error(transparent)]
    Follow(#[from] FollowError),
    /// Its follower did not pause.
    #[error("{0}: its follower is too busy; try again")]
    Busy(&'static str),
}

impl From<sqlx::Error> for RebuildError {
    fn from(error: sqlx::Error) -> Self {
        Self::Follow(error.into())
    }
}

/// How a read model compares with the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Comparison {
    /// Events that were read.
    pub events: u64,
    /// Rows that differ.
    pub rows: i64,
    /// The first of them, as JSON: those that are `kept`, and those that are as `replayed`.
    pub examples: Vec<String>,
}

/// Puts a read model that was built anew in the place of the one in use, and returns how many events it was built from.
/// Meanwhile `NAME.rebuild` is listed among the followers, so that its lag is seen. `progress` is told of events after
/// each page. The connection is to be closed after an error, since it may still have the temporary table.
///
/// # Errors
/// When the database refuses, or the log cannot be followed; the one in use stays.
pub async fn rebuild(
    projection: &dyn Projection,
    conn: &mut PgConnection,
    progress: &mut (dyn FnMut(u64) + Send),
) -> Result<u64, RebuildError> {
    let seen_as = format!("{}.rebuild", projection.name());
    follower::load(conn, &seen_as, Service::Order.name()).await?;
    let mut replay = Replay::start(projection, conn).await?;
    let done = async {
        replay.catch_up(conn, Some(&seen_as), progress).await?;
        for _ in 0..TRIES {
            let mut tx = conn.begin_with("begin isolation level repeatable read").await?;
            let Some(end) = held(replay.end(&mut tx).await)? else {
                tx.rollback().await?;
                tokio::time::sleep(PAUSE).await;
                continue;
            };
            store::projection::replace(&mut tx, projection.table()).await?;
            follower::save(&mut tx, projection.name(), &end.checkpoint).await?;
            tx.commit().await?;
            return Ok(end.events);
        }
        Err(RebuildError::Busy(projection.name()))
    };
    let done = done.await;
    follower::forget(conn, &seen_as).await?;
    store::projection::drop_shadow(conn, projection.table()).await?;
    done
}

/// Replays everything and compares, without changing anything.
///
/// # Errors
/// When the database refuses, or the log cannot be followed.
pub async fn verify(
    projection: &dyn Projection,
    conn: &mut PgConnection,
    progress: &mut (dyn FnMut(u64) + Send),
) -> Result<Comparison, RebuildError> {
    let mut replay = Replay::start(projection, conn).await?;
    replay.catch_up(conn, None, progress).await?;
    for _ in 0..TRIES {
        // one snapshot for all of it: both come to the same point of the log
        let mut tx = conn.begin_with("begin isolation level repeatable read").await?;
        if let Some(end) = held(replay.end(&mut tx).await)? {
            store::projection::mean_the_real_ones(&mut tx).await?;
            let mut kept = follower::load(&mut tx, projection.name(), Service::Order.name()).await?;
            drain(projection, &mut tx, &mut kept).await?;
            let (rows, examples) = store::projection::differences(&mut tx, projection.table()).await?;
            tx.rollback().await?;
            store::projection::drop_shadow(conn, projection.table()).await?;
            return Ok(Comparison { events: end.events, rows, examples });
        }
        tx.rollback().await?;
        tokio::time::sleep(PAUSE).await;
    }
    Err(RebuildError::Busy(projection.name()))
}

/// The end of a replay; `None` when the follower was at work just now.
fn held(end: Result<Option<Replay<'_>>, RebuildError>) -> Result<Option<Replay<'_>>, RebuildError> {
    match end {
        Err(RebuildError::Follow(FollowError::Database(sqlx::Error::Database(error))))
            if error.code().is_some_and(|code| code == "40001") =>
        {
            Ok(None)
        }
        end => end,
    }
}

/// A read model on its way through the log.
#[derive(Clone)]
struct Replay<'a> {
    projection: &'a dyn Projection,
    checkpoint: Checkpoint,
    events: u64,
}

impl<'a> Replay<'a> {
    async fn start(projection: &'a dyn Projection, conn: &mut PgConnection) -> Result<Self, RebuildError> {
        follower::prepare(conn, false).await?;
        store::projection::shadow(conn, projection.table()).await?;
        Ok(Self { projection, checkpoint: Checkpoint::start(), events: 0 })
    }

    /// Reads until nothing is left, a transaction for each page.
    async fn catch_up(
        &mut self,
        conn: &mut PgConnection,
        seen_as: Option<&str>,
        progress: &mut (dyn FnMut(u64) + Send),
    ) -> Result<(), RebuildError> {
        loop {
            let mut tx = conn.begin().await?;
            let page = follower::read_types(&mut tx, &self.checkpoint, Some(self.projection.events())).await?;
            self.projection.apply(&mut tx, &page.events).await?;
            if let Some(name) = seen_as {
                follower::save(&mut tx, name, &page.after).await?;
            }
            tx.commit().await?;
            let more = page.is_full();
            self.events += page.passed as u64;
            self.checkpoint = page.after;
            progress(self.events);
            if !more {
                return Ok(());
            }
        }
    }

    /// Holds the follower of the one in use, and reads what is left. The caller's transaction sees one snapshot. `self` stays
    /// as it was, since that transaction may be rolled back. `None` when somebody else holds the follower.
    async fn end(&self, tx: &mut PgConnection) -> Result<Option<Self>, RebuildError> {
        if !follower::lock(tx, self.projection.name()).await? {
            return Ok(None);
        }
        let mut end = self.clone();
        end.events += drain(self.projection, tx, &mut end.checkpoint).await?;
        Ok(Some(end))
    }
}

async fn drain(
    projection: &dyn Projection,
    tx: &mut PgConnection,
    checkpoint: &mut Checkpoint,
) -> Result<u64, RebuildError> {
    let mut events = 0;
    loop {
        let page = follower::read_types(tx, checkpoint, Some(projection.events())).await?;
        projection.apply(tx, &page.events).await?;
        let more = page.is_full();
        events += page.passed as u64;
        *checkpoint = page.after;
        if !more {
            return Ok(events);
        }
    }
}
