//! Followers read the log in commit order, from a checkpoint, each row once.
//!
//! Positions are handed out before the commit, so "greater than the last position" skips rows of transactions that commit
//! late; and waiting for the oldest running transaction lets any long transaction on the server stall every reader. A
//! checkpoint is therefore a pair of snapshots: the rows of a window are those that `next` sees and `prev` did not, read
//! by position. Within a subject that is the order of writing, because position and sequence are drawn under its lock.
//!
//! See `docs/adr/0002-followers-read-by-snapshot-pairs.md`.

mod rebase;
mod standing;

use sqlx::PgConnection;

use crate::event_log::LoggedEvent;

pub use rebase::{rebase, rebase_report};
pub use standing::{Standing, forget, standings};

/// The most rows that one read returns. It stands in the statements as a literal: a prepared `limit $n` is planned anew at
/// every execution.
pub const PAGE: usize = 1000;

/// A snapshot that saw nothing: the smallest normal transaction id is 3.
const NOTHING_SEEN: &str = "3:3:";

/// How far a follower has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkpoint {
    prev: String,
    next: Option<String>,
    position: i64,
}

impl Checkpoint {
    /// Before everything: a follower that starts here reads the whole log.
    pub fn start() -> Self {
        Self { prev: NOTHING_SEEN.to_owned(), next: None, position: 0 }
    }

    /// Whether it stands in the middle of a window. Then a page that holds nothing is the end of that window, and still has to
    /// be stored; else whoever starts from here reads the end of it for ever.
    pub fn is_within_a_window(&self) -> bool {
        self.next.is_some()
    }
}

/// Rows that were read, and where the follower stands once it has dealt with all of them.
#[derive(Debug)]
pub struct Page {
    /// The rows that were asked for, by position.
    pub events: Vec<LoggedEvent>,
    /// How many rows were passed, those of other types included.
    pub passed: usize,
    /// The checkpoint after the last of them.
    pub after: Checkpoint,
}

impl Page {
    /// Whether there may be more to read at once.
    pub fn is_full(&self) -> bool {
        self.passed == PAGE
    }
}

/// Why a follower cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum FollowError {
    /// The database cannot be asked.
    #[error(transparent)]
    Database(#[from] sqlx::Error),
    /// The checkpoint was written on another server, where transaction ids mean something else: see [`rebase`].
    #[error("the log was restored from another server: run `{0} events rebase`")]
    OtherServer(String),
}

/// Loads a follower's checkpoint, making it at the start of the log where there is none.
///
/// # Errors
/// [`FollowError::OtherServer`] for a checkpoint of another server.
pub async fn load(conn: &mut PgConnection, name: &str, service: &str) -> Result<Checkpoint, FollowError> {
    sqlx::query!(
        "insert into follower (name, prev, system_identifier)
         select $1, $2::text::pg_snapshot, system_identifier from pg_control_system() on conflict (name) do nothing",
        name,
        NOTHING_SEEN,
    )
    .execute(&mut *conn)
    .await?;
    let row = sqlx::query!(
        r#"select prev::text as "prev!", next::text as next, position,
                  system_identifier = (select system_identifier from pg_control_system()) as "same_server!"
           from follower where name = $1"#,
        name,
    )
    .fetch_one(conn)
    .await?;
    if !row.same_server {
        return Err(FollowError::OtherServer(service.to_owned()));
    }
    Ok(Checkpoint { prev: row.prev, next: row.next, position: row.position })
}

/// Stores how far a follower has come.
///
/// # Errors
/// When the database cannot be asked.
pub async fn save(conn: &mut PgConnection, name: &str, checkpoint: &Checkpoint) -> sqlx::Result<()> {
    sqlx::query!(
        "update follower set prev = $2::text::pg_snapshot, next = $3::text::pg_snapshot, position = $4, updated_at = now()
         where name = $1",
        name,
        checkpoint.prev,
        checkpoint.next,
        checkpoint.position,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Prepares a session, or with `local` a transaction, for reading the log: by its indexes, from where the caller stands.
/// The planner, which knows nothing of the parameters, would rather read the whole table.
///
/// # Errors
/// When the database cannot be asked.
pub async fn prepare(conn: &mut PgConnection, local: bool) -> sqlx::Result<()> {
    sqlx::query!(
        "select set_config(name, 'off', $1) from unnest(array['enable_seqscan', 'enable_hashjoin', 'enable_mergejoin']) as name",
        local,
    )
    .fetch_all(conn)
    .await?;
    Ok(())
}

/// Reads the rows after `checkpoint`, at most [`PAGE`].
///
/// # Errors
/// When the database cannot be asked.
pub async fn read(conn: &mut PgConnection, checkpoint: &Checkpoint) -> sqlx::Result<Page> {
    read_types(conn, checkpoint, None).await
}

/// Passes the rows after `checkpoint`, at most [`PAGE`], and reads those of some types, or all.
///
/// # Errors
/// When the database cannot be asked.
pub async fn read_types(
    conn: &mut PgConnection,
    checkpoint: &Checkpoint,
    types: Option<&[&str]>,
) -> sqlx::Result<Page> {
    match &checkpoint.next {
        None => open_window(conn, checkpoint, types).await,
        Some(next) => continue_window(conn, checkpoint, next, types).await,
    }
}

/// A row of a page. One without an event tells how far the page goes where it holds no other.
struct Row {
    passed: i64,
    last: Option<i64>,
    position: Option<i64>,
    id: Option<uuid::Uuid>,
    subject: Option<String>,
    sequence: Option<i64>,
    event_type: Option<String>,
    version: Option<i16>,
    time: Option<chrono::DateTime<chrono::Utc>>,
    correlation_id: Option<String>,
    causation_id: Option<String>,
    traceparent: Option<String>,
    data: Option<String>,
    next: String,
}

impl Row {
    fn event(self) -> Option<LoggedEvent> {
        Some(LoggedEvent {
            position: self.position?,
            id: contracts::values::EventId(self.id?),
            subject: self.subject?,
            sequence: self.sequence?,
            event_type: self.event_type?,
            version: u16::try_from(self.version?).unwrap_or(u16::MAX),
            time: self.time?,
            correlation_id: self.correlation_id?,
            causation_id: self.causation_id,
            traceparent: self.traceparent,
            data: self.data?,
        })
    }
}

/// Takes a snapshot and reads the first page that it sees and `prev` did not: the rows of transactions that began after
/// `prev`, or were running when it was taken.
///
/// Few rows as a rule, found by transaction id.
async fn open_window(conn: &mut PgConnection, checkpoint: &Checkpoint, types: Option<&[&str]>) -> sqlx::Result<Page> {
    let rows = sqlx::query_as!(
        Row,
        r#"with fresh as materialized (
               select position from event where xid >= pg_snapshot_xmax($1::text::pg_snapshot)
               union all
               select position from pg_snapshot_xip($1::text::pg_snapshot) as running (xid) join event using (xid)
           ),
           page as materialized (select position from fresh order by position limit 1000),
           whole as materialized (select count(*) as passed, max(position) as last from page)
           select passed as "passed!", last, pg_current_snapshot()::text as "next!", position as "position?", id as "id?",
                  subject as "subject?", sequence as "sequence?", type as "event_type?", version as "version?",
                  time as "time?", correlation_id as "correlation_id?", causation_id, traceparent, data::text as "data?"
           from whole left join (page join event using (position)) on $2::text[] is null or type = any($2)
           order by position"#,
        checkpoint.prev,
        types as Option<&[&str]>,
    )
    .fetch_all(conn)
    .await?;
    let next = rows.first().map_or_else(|| checkpoint.prev.clone(), |row| row.next.clone());
    Ok(page(checkpoint.prev.clone(), next, rows))
}

/// Reads the next page of a window that did not fit one page: along the positions, which costs the same however much is
/// left. The range of transaction ids would name the whole window again, so it is kept out of the planner's reach.
async fn continue_window(
    conn: &mut PgConnection,
    checkpoint: &Checkpoint,
    next: &str,
    types: Option<&[&str]>,
) -> sqlx::Result<Page> {
    let rows = sqlx::query_as!(
        Row,
        r#"with page as materialized (
               select * from event
               where position > $3
                 and pg_visible_in_snapshot(xid, $2::text::pg_snapshot)
                 and not pg_visible_in_snapshot(xid, $1::text::pg_snapshot)
               order by position limit 1000
           ),
           whole as materialized (select count(*) as passed, max(position) as last from page)
           select passed as "passed!", last, $2 as "next!", position as "position?", id as "id?", subject as "subject?",
                  sequence as "sequence?", type as "event_type?", version as "version?", time as "time?",
                  correlation_id as "correlation_id?", causation_id, traceparent, data::text as "data?"
           from whole left join page on $4::text[] is null or type = any($4)
           order by position"#,
        checkpoint.prev,
        next,
        checkpoint.position,
        types as Option<&[&str]>,
    )
    .fetch_all(conn)
    .await?;
    Ok(page(checkpoint.prev.clone(), next.to_owned(), rows))
}

fn page(prev: String, next: String, rows: Vec<Row>) -> Page {
    let (passed, last) = rows.first().map_or((0, None), |row| (usize::try_from(row.passed).unwrap_or(0), row.last));
    let after = match last {
        Some(position) if passed == PAGE => Checkpoint { prev, next: Some(next), position },
        _ => Checkpoint { prev: next, next: None, position: 0 },
    };
    Page { events: rows.into_iter().filter_map(Row::event).collect(), passed, after }
}

/// Takes a follower for this transaction, so that only one copy of a service moves it; makes it where there is none.
/// `false` when another transaction has it.
///
/// # Errors
/// When the database cannot be asked.
pub async fn lock(conn: &mut PgConnection, name: &str) -> sqlx::Result<bool> {
    sqlx::query!(
        "insert into follower (name, prev, system_identifier)
         select $1, $2::text::pg_snapshot, system_identifier from pg_control_system()
         where not exists (select from follower where name = $1) on conflict (name) do nothing",
        name,
        NOTHING_SEEN,
    )
    .execute(&mut *conn)
    .await?;
    let found = sqlx::query_scalar!("select name from follower where name = $1 for update skip locked", name);
    Ok(found.fetch_optional(conn).await?.is_some())
}

/// Where a reader stands that has seen everything up to now, and wants only what comes.
///
/// # Errors
/// When the database cannot be asked.
pub async fn here(conn: &mut PgConnection) -> sqlx::Result<Checkpoint> {
    let now = sqlx::query_scalar!(r#"select pg_current_snapshot()::text as "now!""#).fetch_one(conn).await?;
    Ok(Checkpoint { prev: now, next: None, position: 0 })
}
