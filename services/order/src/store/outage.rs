//! When the payment provider could not be reached.

use std::time::Duration;

use sqlx::PgConnection;

/// The provider cannot be reached from now on, unless that was known.
///
/// # Errors
/// When the database refuses.
pub async fn begin(conn: &mut PgConnection) -> sqlx::Result<()> {
    sqlx::query!(
        "insert into provider_outage default values on conflict ((until is null)) where until is null do nothing"
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// The provider was heard of.
///
/// # Errors
/// When the database refuses.
pub async fn end(conn: &mut PgConnection) -> sqlx::Result<()> {
    sqlx::query!("update provider_outage set until = now() where until is null").execute(conn).await?;
    Ok(())
}

/// Forgets outages that are older than `keep` and ended before anything that still waits began to.
///
/// # Errors
/// When the database refuses.
pub async fn forget(conn: &mut PgConnection, keep: Duration) -> sqlx::Result<()> {
    sqlx::query!(
        "delete from provider_outage
         where until < now() - make_interval(secs => $1)
           and until < (select coalesce(min(waits_since), now()) from payment where state in ('due', 'waiting', 'claimed'))",
        keep.as_secs_f64(),
    )
    .execute(conn)
    .await?;
    Ok(())
}
