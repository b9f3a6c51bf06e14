//! What is sold.

use chrono::{DateTime, Utc};
use contracts::money::Money;
use contracts::values::Sku;
use messaging::tx::Head;
use sqlx::PgConnection;

use super::undecodable;
use crate::product::{Definition, Product};
use crate::stock::Stock;

/// The columns of a product.
struct Row {
    sku: String,
    name: String,
    price_amount: i64,
    price_currency: String,
    active: bool,
    low_stock_threshold: Option<i64>,
    version: i64,
    on_hand: i64,
    reserved: i64,
    low: bool,
    changed_sequence: i64,
    changed_time: DateTime<Utc>,
}

impl TryFrom<Row> for Product {
    type Error = sqlx::Error;
    fn try_from(row: Row) -> sqlx::Result<Product> {
        let currency = row.price_currency.parse().map_err(undecodable)?;
        Ok(Product {
            sku: row.sku.try_into().map_err(undecodable)?,
            definition: Definition {
                name: row.name,
                unit_price: Money::new(row.price_amount, currency).map_err(undecodable)?,
                active: row.active,
                low_stock_threshold: row.low_stock_threshold,
            },
            version: row.version,
            stock: Stock { on_hand: row.on_hand, reserved: row.reserved },
            low: row.low,
            head: Head { sequence: row.changed_sequence, time: row.changed_time },
        })
    }
}

/// A product.
///
/// # Errors
/// When the database cannot be asked.
pub async fn find(conn: &mut PgConnection, sku: &Sku) -> sqlx::Result<Option<Product>> {
    sqlx::query_as!(
        Row,
        "select sku, name, price_amount, price_currency, active, low_stock_threshold, version, on_hand, reserved, low,
                changed_sequence, changed_time
         from product where sku = $1",
        sku.as_str(),
    )
    .fetch_optional(conn)
    .await?
    .map(Product::try_from)
    .transpose()
}

/// The products after a sku (all, after none), by sku, at most `limit`.
///
/// # Errors
/// When the database cannot be asked.
pub async fn page(conn: &mut PgConnection, after: Option<&Sku>, limit: i64) -> sqlx::Result<Vec<Product>> {
    // No sku is empty, so all come after the empty text.
    sqlx::query_as!(
        Row,
        "select sku, name, price_amount, price_currency, active, low_stock_threshold, version, on_hand, reserved, low,
                changed_sequence, changed_time
         from product where sku > $1 order by sku limit $2",
        after.map_or("", Sku::as_str),
        limit,
    )
    .fetch_all(conn)
    .await?
    .into_iter()
    .map(Product::try_from)
    .collect()
}

/// Stores a new product, locked from then on. False, and nothing has changed, where there is one of that sku.
///
/// # Errors
/// When the database refuses.
pub async fn insert(conn: &mut PgConnection, product: &Product) -> sqlx::Result<bool> {
    let definition = &product.definition;
    let currency = definition.unit_price.currency();
    let inserted = sqlx::query!(
        "insert into product (sku, name, price_amount, price_currency, active, low_stock_threshold, version,
                              changed_sequence, changed_time)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9) on conflict (sku) do nothing",
        product.sku.as_str(),
        definition.name,
        definition.unit_price.amount(),
        currency.as_str(),
        definition.active,
        definition.low_stock_threshold,
        product.version,
        product.head.sequence,
        product.head.time,
    )
    .execute(conn)
    .await?;
    Ok(inserted.rows_affected() == 1)
}

/// Stores another definition of a product, which is locked.
///
/// # Errors
/// When the database refuses.
pub async fn update(conn: &mut PgConnection, product: &Product) -> sqlx::Result<()> {
    let definition = &product.definition;
    let currency = definition.unit_price.currency();
    sqlx::query!(
        "update product
         set name = $2, price_amount = $3, price_currency = $4, active = $5, low_stock_threshold = $6, version = $7,
             low = $8, changed_sequence = $9, changed_time = $10
         where sku = $1",
        product.sku.as_str(),
        definition.name,
        definition.unit_price.amount(),
        currency.as_str(),
        definition.active,
        definition.low_stock_threshold,
        product.version,
        product.low,
        product.head.sequence,
        product.head.time,
    )
    .execute(conn)
    .await?;
    Ok(())
}
