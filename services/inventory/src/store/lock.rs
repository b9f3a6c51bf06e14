//! Locks, in the one order in which they are taken: orders, then products.

use contracts::values::{OrderId, Sku};
use sqlx::PgConnection;

/// Locks orders until the end of the transaction, whether this service has heard of them yet or not.
///
/// Advisory locks, because an order may have no row to lock, and because they cost less than one: nothing is written.
/// A batch of 1000 orders takes 1000 of the entries that the server has for locks (`max_locks_per_transaction` times
/// `max_connections`, 6400 by default).
///
/// # Errors
/// When the database refuses, or another transaction holds one of them for too long.
pub async fn orders(conn: &mut PgConnection, ids: &[OrderId]) -> sqlx::Result<()> {
    let mut keys: Vec<i64> = ids.iter().map(|id| advisory_key(*id)).collect();
    keys.sort_unstable();
    keys.dedup();
    sqlx::query!("select pg_advisory_xact_lock(key) from unnest($1::bigint[]) as k (key)", &keys).execute(conn).await?;
    Ok(())
}

/// The second half of an id, all random in UUIDv7. Two orders that share a key only wait for each other.
fn advisory_key(id: OrderId) -> i64 {
    id.0.as_u64_pair().1.cast_signed()
}

/// Locks the products of these skus, and those that the reservations of these orders are made of. The orders are locked.
/// Returns how many there are.
///
/// # Errors
/// When the database refuses, or another transaction holds one of them for too long.
pub async fn products(conn: &mut PgConnection, ids: &[OrderId], skus: &[&Sku]) -> sqlx::Result<usize> {
    let ids: Vec<_> = ids.iter().map(|id| id.0).collect();
    let skus: Vec<_> = skus.iter().map(ToString::to_string).collect();
    let locked = sqlx::query!(
        "select sku from product
         where sku = any($2)
            or sku = any(array(select l.sku from reservation r, json_to_recordset(r.lines) as l (sku text)
                               where r.order_id = any($1)))
         order by sku for update",
        &ids,
        &skus,
    )
    .fetch_all(conn)
    .await?;
    Ok(locked.len())
}
