//! The price list.

use std::collections::BTreeMap;

use contracts::inventory::ProductChanged;
use contracts::money::Money;
use contracts::values::Sku;
use messaging::handler::Received;
use sqlx::PgConnection;

/// What an order needs to know of a product.
#[derive(Debug, Clone)]
pub struct Product {
    /// Which.
    pub sku: Sku,
    /// What people call it.
    pub name: String,
    /// The price of one.
    pub unit_price: Money,
}

/// Takes over changes, each unless a later one is known; sorted, so that batches of two copies of the service wait for
/// each other instead of blocking each other.
///
/// # Errors
/// When the database refuses.
pub async fn apply(conn: &mut PgConnection, changes: &[Received<ProductChanged>]) -> sqlx::Result<()> {
    let mut latest = BTreeMap::<&str, &Received<ProductChanged>>::new();
    for change in changes {
        let known = latest.entry(change.sku.as_str()).or_insert(change);
        if known.sequence < change.sequence {
            *known = change;
        }
    }
    let skus: Vec<&str> = latest.keys().copied().collect();
    let names: Vec<&str> = latest.values().map(|change| change.name.as_str()).collect();
    let amounts: Vec<i64> = latest.values().map(|change| change.unit_price.amount()).collect();
    let currencies: Vec<String> = latest.values().map(|change| change.unit_price.currency().to_string()).collect();
    let active: Vec<bool> = latest.values().map(|change| change.active).collect();
    let sequences: Vec<i64> = latest.values().map(|change| change.sequence).collect();
    sqlx::query!(
        "insert into product (sku, name, amount, currency, active, sequence)
         select * from unnest($1::text[], $2::text[], $3::bigint[], $4::text[], $5::boolean[], $6::bigint[])
         on conflict (sku) do update set name = excluded.name, amount = excluded.amount, currency = excluded.currency,
                                         active = excluded.active, sequence = excluded.sequence
         where product.sequence < excluded.sequence",
        &skus as &[&str],
        &names as &[&str],
        &amounts,
        &currencies,
        &active,
        &sequences,
    )
    .execute(conn)
    .await?;
    Ok(())
}
