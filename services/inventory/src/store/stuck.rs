//! What of this service's own doing does not get on.

use chrono::{DateTime, Utc};
use sqlx::PgConnection;

/// An event that no queue took.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Undeliverable {
    /// What it is about.
    pub subject: String,
    /// Its type.
    pub event: String,
    /// When it was set aside.
    pub since: DateTime<Utc>,
}

/// The oldest events that no queue took, one per subject, at most a thousand.
///
/// # Errors
/// When the database cannot be asked.
pub async fn undeliverable(conn: &mut PgConnection) -> sqlx::Result<Vec<Undeliverable>> {
    sqlx::query_as!(
        Undeliverable,
        "select distinct on (s.subject) s.subject, e.type as event, s.since
         from set_aside s join event e using (position)
         order by s.subject, s.position limit 1000",
    )
    .fetch_all(conn)
    .await
}
