//! The ledger.

use chrono::{DateTime, Utc};
use contracts::values::Sku;
use sqlx::PgConnection;
use uuid::Uuid;

use crate::shelf::Entry;

/// Appends to the ledger, in the given order. The products are locked.
///
/// # Errors
/// When the database refuses.
pub async fn insert(conn: &mut PgConnection, entries: &[Entry], at: DateTime<Utc>) -> sqlx::Result<()> {
    let mut ids = Vec::with_capacity(entries.len());
    let mut skus = Vec::with_capacity(entries.len());
    let mut kinds = Vec::with_capacity(entries.len());
    let mut on_hand_deltas = Vec::with_capacity(entries.len());
    let mut reserved_deltas = Vec::with_capacity(entries.len());
    let mut orders = Vec::with_capacity(entries.len());
    let mut reasons = Vec::with_capacity(entries.len());
    for entry in entries {
        ids.push(Uuid::now_v7());
        skus.push(entry.sku.to_string());
        kinds.push(entry.movement.kind.as_str().to_owned());
        on_hand_deltas.push(entry.movement.on_hand_delta);
        reserved_deltas.push(entry.movement.reserved_delta);
        orders.push(entry.order_id.map(|id| id.0));
        reasons.push(entry.reason.clone());
    }
    sqlx::query!(
        "insert into movement (sku, id, at, kind, on_hand_delta, reserved_delta, order_id, reason)
         select sku, id, $8, kind, on_hand_delta, reserved_delta, order_id, reason
         from unnest($1::text[], $2::uuid[], $3::text[], $4::bigint[], $5::bigint[], $6::uuid[], $7::text[])
              with ordinality as m (sku, id, kind, on_hand_delta, reserved_delta, order_id, reason, ordinal)
         order by ordinal",
        &skus,
        &ids,
        &kinds,
        &on_hand_deltas,
        &reserved_deltas,
        &orders as &[Option<Uuid>],
        &reasons as &[Option<String>],
        at,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// A row of the ledger as it stands there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recorded {
    /// Where it stands: the later of two of one product has the larger number.
    pub position: i64,
    /// Its id.
    pub id: Uuid,
    /// When it happened.
    pub at: DateTime<Utc>,
    /// Its kind, by name.
    pub kind: String,
    /// What it added to `on_hand`.
    pub on_hand_delta: i64,
    /// What it added to `reserved`.
    pub reserved_delta: i64,
    /// For which order.
    pub order_id: Option<Uuid>,
    /// Why, in a person's words.
    pub reason: Option<String>,
}

/// The movements of a product before a position, newest first, at most `limit`.
///
/// # Errors
/// When the database cannot be asked.
pub async fn page(conn: &mut PgConnection, sku: &Sku, before: i64, limit: i64) -> sqlx::Result<Vec<Recorded>> {
    sqlx::query_as!(
        Recorded,
        "select position, id, at, kind, on_hand_delta, reserved_delta, order_id, reason
         from movement where sku = $1 and position < $2 order by position desc limit $3",
        sku.as_str(),
        before,
        limit,
    )
    .fetch_all(conn)
    .await
}
