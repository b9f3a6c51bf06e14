//! Whether the ledger adds up to the stock.

use sqlx::PgConnection;

/// The sum of a product's ledger, as far as it is added up.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sum {
    /// Whose.
    pub sku: String,
    /// How many rows are added up.
    pub rows: i64,
    /// Whether those are all.
    pub is_whole: bool,
    position: i64,
    on_hand: i64,
    reserved: i64,
    /// The stock at the last look.
    stock: (i64, i64),
}

impl Sum {
    /// Nothing of it yet.
    pub fn of(sku: String) -> Self {
        Self { sku, ..Self::default() }
    }

    /// How the stock differs from the whole ledger.
    pub fn fault(&self) -> Option<String> {
        let (on_hand, reserved) = self.stock;
        (self.stock != (self.on_hand, self.reserved)).then(|| {
            format!(
                "{on_hand} on hand and {reserved} reserved, and by the ledger {} and {}",
                self.on_hand, self.reserved
            )
        })
    }
}

/// The product after a sku; none after the last.
///
/// # Errors
/// When the database cannot be asked.
pub async fn next_product(conn: &mut PgConnection, sku: &str) -> sqlx::Result<Option<String>> {
    sqlx::query_scalar!("select sku from product where sku > $1 order by sku limit 1", sku).fetch_optional(conn).await
}

/// Adds up to `limit` rows more of a product's ledger.
///
/// # Errors
/// When the database cannot be asked.
pub async fn add_up(conn: &mut PgConnection, sum: &mut Sum, limit: i64) -> sqlx::Result<()> {
    let row = sqlx::query!(
        r#"select p.on_hand, p.reserved, m.rows as "rows!", m.position as "position!", m.on_hand_delta as "on_hand_delta!",
                  m.reserved_delta as "reserved_delta!"
           from product p cross join lateral (
               select count(*) as rows, coalesce(max(position), $2) as position,
                      coalesce(sum(on_hand_delta), 0)::bigint as on_hand_delta,
                      coalesce(sum(reserved_delta), 0)::bigint as reserved_delta
               from (select * from movement where sku = p.sku and position > $2 order by position limit $3) as part
           ) as m
           where p.sku = $1"#,
        sum.sku,
        sum.position,
        limit,
    )
    .fetch_one(conn)
    .await?;
    sum.rows += row.rows;
    sum.is_whole = row.rows < limit;
    sum.position = row.position;
    sum.on_hand += row.on_hand_delta;
    sum.reserved += row.reserved_delta;
    sum.stock = (row.on_hand, row.reserved);
    Ok(())
}
