//! The stock of products: read by allocation, and written back by it.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use contracts::values::Sku;
use messaging::tx::Head;
use sqlx::PgConnection;

use super::undecodable;
use crate::shelf::Item;
use crate::stock::Stock;

/// The stock of these products, which are locked, and the database's clock, read after they were; none if there are none.
///
/// One that was made after the locks were taken is locked now. That is out of order, so it may cost a deadlock's
/// repetition once in ages, but never a lost change.
///
/// # Errors
/// When the database cannot be asked.
pub async fn read(
    conn: &mut PgConnection,
    skus: &[&Sku],
) -> sqlx::Result<(BTreeMap<Sku, Item>, Option<DateTime<Utc>>)> {
    let skus: Vec<_> = skus.iter().map(ToString::to_string).collect();
    let rows = sqlx::query!(
        r#"select sku, name, low_stock_threshold, on_hand, reserved, low, low_sequence, low_time,
                  clock_timestamp() as "now!"
           from product where sku = any($1) order by sku for update"#,
        &skus,
    )
    .fetch_all(conn)
    .await?;
    let now = rows.iter().map(|row| row.now).max();
    let items = rows.into_iter().map(|row| {
        let item = Item {
            name: row.name,
            threshold: row.low_stock_threshold,
            stock: Stock { on_hand: row.on_hand, reserved: row.reserved },
            low: row.low,
            low_head: Head { sequence: row.low_sequence, time: row.low_time },
        };
        Ok((Sku::try_from(row.sku).map_err(undecodable)?, item))
    });
    Ok((items.collect::<sqlx::Result<_>>()?, now))
}

/// Writes back the stock of products, which are locked.
///
/// # Errors
/// When the database refuses, above all what would be oversold.
pub async fn update(conn: &mut PgConnection, items: impl Iterator<Item = (&Sku, &Item)>) -> sqlx::Result<()> {
    let mut skus = Vec::new();
    let mut on_hand = Vec::new();
    let mut reserved = Vec::new();
    let mut low = Vec::new();
    let mut low_sequences = Vec::new();
    let mut low_times = Vec::new();
    for (sku, item) in items {
        skus.push(sku.to_string());
        on_hand.push(item.stock.on_hand);
        reserved.push(item.stock.reserved);
        low.push(item.low);
        low_sequences.push(item.low_head.sequence);
        low_times.push(item.low_head.time);
    }
    sqlx::query!(
        "update product p
         set on_hand = c.on_hand, reserved = c.reserved, low = c.low, low_sequence = c.low_sequence, low_time = c.low_time
         from unnest($1::text[], $2::bigint[], $3::bigint[], $4::boolean[], $5::bigint[], $6::timestamptz[])
              as c (sku, on_hand, reserved, low, low_sequence, low_time)
         where p.sku = c.sku and p.sku = any($1)",
        &skus,
        &on_hand,
        &reserved,
        &low,
        &low_sequences,
        &low_times,
    )
    .execute(conn)
    .await?;
    Ok(())
}
