//! The webhooks that took effect.

use std::time::Duration;

use sqlx::PgConnection;

/// Remembers a webhook, and says whether it is new.
///
/// # Errors
/// When the database refuses.
pub async fn remember(conn: &mut PgConnection, id: &str) -> sqlx::Result<bool> {
    let done =
        sqlx::query!("insert into webhook (id) values ($1) on conflict (id) do nothing", id).execute(conn).await?;
    Ok(done.rows_affected() == 1)
}

/// Forgets webhooks that are older than any provider sends again, at most 1000.
///
/// # Errors
/// When the database refuses.
pub async fn forget(conn: &mut PgConnection, keep: Duration) -> sqlx::Result<u64> {
    let done = sqlx::query!(
        "delete from webhook where id in (
             select id from webhook where received_at < now() - make_interval(secs => $1) order by received_at limit 1000)",
        keep.as_secs_f64(),
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected())
}
