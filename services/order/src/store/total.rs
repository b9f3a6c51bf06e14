//! The read model of what each customer has ordered.

use contracts::money::{Currency, Money};
use contracts::values::CustomerId;
use sqlx::PgConnection;
use uuid::Uuid;

/// What a customer has ordered in one currency.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Total {
    /// How many confirmed orders.
    pub orders: i64,
    /// Their sum.
    pub amount: Money,
}

/// The totals of a customer, by currency.
///
/// # Errors
/// When the database refuses.
pub async fn of_customer(conn: &mut PgConnection, id: CustomerId) -> sqlx::Result<Vec<Total>> {
    let rows = sqlx::query!(
        "select currency, orders, amount from customer_total where customer_id = $1 and orders > 0 order by currency",
        id.0,
    )
    .fetch_all(conn)
    .await?;
    let total = |currency: &str, orders, amount| {
        Some(Total { orders, amount: Money::new(amount, currency.parse().ok()?).ok()? })
    };
    Ok(rows.into_iter().filter_map(|row| total(&row.currency, row.orders, row.amount)).collect())
}

/// What is to be added to a customer's total; less than nothing takes away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Change {
    /// Whose.
    pub customer_id: CustomerId,
    /// In which currency.
    pub currency: Currency,
    /// How many orders.
    pub orders: i64,
    /// Their sum, in minor units.
    pub amount: i64,
}

/// Changes totals. Sums stop at what 64 bits hold.
///
/// # Errors
/// When the database refuses.
pub async fn add(conn: &mut PgConnection, changes: &[Change]) -> sqlx::Result<()> {
    let customers: Vec<Uuid> = changes.iter().map(|change| change.customer_id.0).collect();
    let currencies: Vec<String> = changes.iter().map(|change| change.currency.to_string()).collect();
    let orders: Vec<i64> = changes.iter().map(|change| change.orders).collect();
    let amounts: Vec<i64> = changes.iter().map(|change| change.amount).collect();
    sqlx::query!(
        "insert into customer_total as t (customer_id, currency, orders, amount)
         select customer_id, currency, sum(orders)::bigint, least(sum(amount), 9223372036854775807)::bigint
         from unnest($1::uuid[], $2::text[], $3::bigint[], $4::bigint[]) as c (customer_id, currency, orders, amount)
         group by 1, 2 order by 1, 2
         on conflict (customer_id, currency) do update
         set orders = t.orders + excluded.orders,
             amount = least(t.amount::numeric + excluded.amount, 9223372036854775807)::bigint",
        &customers,
        &currencies,
        &orders,
        &amounts,
    )
    .execute(conn)
    .await?;
    Ok(())
}
