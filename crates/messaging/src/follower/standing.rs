//! Where followers stand.

use chrono::{DateTime, Utc};
use sqlx::PgConnection;

/// Where a follower stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    /// Its name.
    pub name: String,
    /// Events that it has not read yet, counted up to 100 000.
    pub behind: i64,
    /// When it last moved, or was made.
    pub updated_at: DateTime<Utc>,
}

/// Where each follower of this database stands, by name.
///
/// # Errors
/// When the database cannot be asked.
pub async fn standings(conn: &mut PgConnection) -> sqlx::Result<Vec<Standing>> {
    sqlx::query_as!(
        Standing,
        r#"select name, updated_at, (
               select count(*) from (
                   select from event e
                   where e.xid >= pg_snapshot_xmin(f.prev) and not pg_visible_in_snapshot(e.xid, f.prev)
                     and not coalesce(pg_visible_in_snapshot(e.xid, f.next) and e.position <= f.position, false)
                   limit 100000
               ) as unread
           ) as "behind!"
           from follower f order by name"#
    )
    .fetch_all(conn)
    .await
}

/// Forgets a follower.
///
/// # Errors
/// When the database cannot be asked.
pub async fn forget(conn: &mut PgConnection, name: &str) -> sqlx::Result<()> {
    sqlx::query!("delete from follower where name = $1", name).execute(conn).await?;
    Ok(())
}
