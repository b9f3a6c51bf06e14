//! What the desk looks up: a way to the database is most of what a look costs when there is no load, so it is one.

use std::collections::{BTreeSet, HashMap, HashSet};

use chrono::{DateTime, Utc};
use contracts::money::Money;
use contracts::values::{CustomerId, Sku};
use sqlx::PgConnection;
use uuid::Uuid;

use super::product::Product;

/// What a batch of orders is placed by.
#[derive(Debug)]
pub struct Basis {
    /// The database's clock.
    pub now: DateTime<Utc>,
    /// Those asked for that are customers.
    pub customers: HashSet<CustomerId>,
    /// Those asked for that may be ordered.
    pub products: HashMap<Sku, Product>,
}

/// Looks up what orders of these customers for these skus are placed by.
///
/// # Errors
/// When the database refuses.
pub async fn basis(
    conn: &mut PgConnection,
    customers: &BTreeSet<CustomerId>,
    skus: &BTreeSet<&Sku>,
) -> sqlx::Result<Basis> {
    let customers: Vec<Uuid> = customers.iter().map(|id| id.0).collect();
    let skus: Vec<&str> = skus.iter().map(|sku| sku.as_str()).collect();
    let rows = sqlx::query!(
        r#"select clock_timestamp() as "now", null::uuid as "customer", null::text as "sku", null::text as "name",
                  null::bigint as "amount", null::text as "currency"
           union all select null, id, null, null, null, null from customer where id = any($1)
           union all select null, null, sku, name, amount, currency from product where sku = any($2) and active"#,
        &customers,
        &skus as &[&str],
    )
    .fetch_all(conn)
    .await?;
    let now = rows.iter().find_map(|row| row.now).ok_or(sqlx::Error::RowNotFound)?;
    let customers = rows.iter().filter_map(|row| row.customer).map(CustomerId).collect();
    let product = |sku: Option<String>, name: Option<String>, amount: Option<i64>, currency: Option<String>| {
        let sku: Sku = sku?.parse().ok()?;
        let unit_price = Money::new(amount?, currency?.parse().ok()?).ok()?;
        Some((sku.clone(), Product { sku, name: name?, unit_price }))
    };
    let products = rows.into_iter().filter_map(|row| product(row.sku, row.name, row.amount, row.currency)).collect();
    Ok(Basis { now, customers, products })
}
