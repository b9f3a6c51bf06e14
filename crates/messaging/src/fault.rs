//! What a database error means for the one who met it.

use std::error::Error;
use std::io::ErrorKind::TimedOut;
use std::time::Duration;

/// The three kinds of trouble with a database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Two transactions got in each other's way: the same again succeeds.
    Collision,
    /// The database is away, going down or out of resources: wait for it.
    Outage,
    /// It answered, and the answer was no.
    Refusal,
}

/// Classifies by SQLSTATE (PostgreSQL, appendix A).
pub fn classify(error: &sqlx::Error) -> Fault {
    match error {
        sqlx::Error::Database(database) => match database.code().as_deref() {
            // serialization_failure, deadlock_detected, lock_not_available
            Some("40001" | "40P01" | "55P03") => Fault::Collision,
            // a unique key that another transaction of ours took first: its optimistic lock
            Some("23505") if database.constraint() == Some("event_subject_sequence") => Fault::Collision,
            // connection exceptions, insufficient resources, operator intervention but for a cancelled statement, errors
            // of the system below the server
            Some(code) if ["08", "53", "57P", "58"].iter().any(|class| code.starts_with(class)) => Fault::Outage,
            // idle_in_transaction_session_timeout, read_only_sql_transaction (a primary that became a standby)
            Some("25P03" | "25006") => Fault::Outage,
            _ => Fault::Refusal,
        },
        sqlx::Error::Io(_)
        | sqlx::Error::Tls(_)
        | sqlx::Error::Protocol(_)
        | sqlx::Error::PoolTimedOut
        | sqlx::Error::PoolClosed
        | sqlx::Error::WorkerCrashed => Fault::Outage,
        _ => Fault::Refusal,
    }
}

/// How long a transaction may take as its client sees it. The server ends statements and waits for locks much earlier; this
/// is for an answer that never comes, because the other side of the connection is gone without a word.
const ANSWER_LIMIT: Duration = Duration::from_secs(30);

/// The answer of a database, or after 30 seconds the error of one that is away. What was under way may have happened. Its
/// connection is found dead, and closed, when it goes back to the pool.
///
/// # Errors
/// Those of `answer`, and `TimedOut`.
pub async fn in_time<T, E: From<sqlx::Error>>(answer: impl Future<Output = Result<T, E>>) -> Result<T, E> {
    let answered = tokio::time::timeout(ANSWER_LIMIT, answer).await;
    answered.unwrap_or_else(|_| Err(sqlx::Error::from(std::io::Error::from(TimedOut)).into()))
}

/// The database error behind `error`, however deep.
pub(crate) fn database_error<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a sqlx::Error> {
    let mut current = Some(error);
    while let Some(error) = current {
        if let Some(database) = error.downcast_ref() {
            return Some(database);
        }
        current = error.source();
    }
    None
}

/// A database error without values, for headers and logs: by its SQLSTATE and constraint, since its message may hold values
/// of the row.
pub(crate) fn describe(error: &sqlx::Error) -> String {
    match error {
        sqlx::Error::Database(database) => format!(
            "SQLSTATE {}{}",
            database.code().as_deref().unwrap_or("unknown"),
            database.constraint().map(|name| format!(", constraint {name}")).unwrap_or_default()
        ),
        sqlx::Error::Io(error) => error.kind().to_string(),
        sqlx::Error::PoolTimedOut => "no connection was free in time".to_owned(),
        _ => "database client error".to_owned(),
    }
}
