//! The inbox: which events took effect here. Its row and the effect are one transaction, so a repeat is recognised and a
//! failure leaves no trace.

use std::collections::HashSet;

use contracts::values::EventId;
use sqlx::{PgConnection, PgPool};
use uuid::Uuid;

/// Remembers `ids` and returns those that were not there yet. One statement, sorted, so that batches of two copies of a
/// service wait for each other instead of blocking each other.
pub(crate) async fn remember(conn: &mut PgConnection, ids: &[EventId]) -> sqlx::Result<HashSet<EventId>> {
    let mut sorted: Vec<Uuid> = ids.iter().map(|id| id.0).collect();
    sorted.sort_unstable();
    sorted.dedup();
    let new = sqlx::query_scalar!(
        "insert into inbox (id) select id from unnest($1::uuid[]) as t (id) on conflict (id) do nothing returning id",
        &sorted,
    )
    .fetch_all(conn)
    .await?;
    Ok(new.into_iter().map(EventId).collect())
}

/// What became of an event here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// It took effect.
    Done,
    /// It became a dead letter, and has not taken effect since.
    Failed,
    /// Neither: it is on its way, on the ladder, or never came.
    Unknown,
}

impl State {
    /// The state as the interface names it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Failed => "failed",
            Self::Unknown => "unknown",
        }
    }
}

/// What became of an event here.
///
/// # Errors
/// When the database cannot be asked.
pub async fn state(conn: &mut PgConnection, id: EventId) -> sqlx::Result<State> {
    let found = sqlx::query!(
        r#"select exists (select from inbox where id = $1) as "done!",
                  exists (select from dead_letter where id = $1) as "failed!""#,
        id.0,
    )
    .fetch_one(conn)
    .await?;
    Ok(match (found.done, found.failed) {
        (true, _) => State::Done,
        (false, true) => State::Failed,
        (false, false) => State::Unknown,
    })
}

/// Remembers that these events became dead letters here. Sorted, so that two copies of a service wait for each other
/// instead of blocking each other.
pub(crate) async fn remember_failures(pool: &PgPool, ids: &[EventId]) -> sqlx::Result<()> {
    let mut sorted: Vec<Uuid> = ids.iter().map(|id| id.0).collect();
    sorted.sort_unstable();
    sorted.dedup();
    sqlx::query!(
        "insert into dead_letter (id) select id from unnest($1::uuid[]) as t (id)
         on conflict (id) do update set failed_at = now()",
        &sorted,
    )
    .execute(pool)
    .await?;
    Ok(())
}

/// Whether an event took effect here.
///
/// # Errors
/// When the database cannot be asked.
pub async fn contains(conn: &mut PgConnection, id: EventId) -> sqlx::Result<bool> {
    sqlx::query_scalar!(r#"select exists (select from inbox where id = $1) as "found!""#, id.0).fetch_one(conn).await
}

/// How often a message that was delivered again may begin without ending before it is held to kill its consumer.
pub(crate) const MOST_STARTS: i32 = 3;

/// Records that the handling of a redelivered message begins, and how often it has begun by now.
pub(crate) async fn begin_attempt(conn: &mut PgConnection, id: EventId) -> sqlx::Result<i32> {
    sqlx::query_scalar!(
        "insert into attempt (id, starts) values ($1, 1)
         on conflict (id) do update set starts = attempt.starts + 1, started_at = now() returning starts",
        id.0,
    )
    .fetch_one(conn)
    .await
}

/// How often the handling of a redelivered message has begun.
pub(crate) async fn starts(conn: &mut PgConnection, id: EventId) -> sqlx::Result<i32> {
    sqlx::query_scalar!(r#"select coalesce(max(starts), 0) as "starts!" from attempt where id = $1"#, id.0)
        .fetch_one(conn)
        .await
}

/// The handling came to an end, whatever the end was.
pub(crate) async fn end_attempt(conn: &mut PgConnection, id: EventId) -> sqlx::Result<()> {
    sqlx::query!("delete from attempt where id = $1", id.0).execute(conn).await?;
    Ok(())
}
