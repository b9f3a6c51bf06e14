//! The orders.

pub mod list;

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use contracts::event::Event;
use contracts::money::Money;
use contracts::order::{CancelReason, OrderConfirmed};
use contracts::values::{CustomerId, OrderId};
use sqlx::PgConnection;
use sqlx::types::Json;
use uuid::Uuid;

use crate::order::{Line, Order, Payment, PaymentStatus, Status};

/// A row as the database has it.
struct Row {
    id: Uuid,
    customer_id: Uuid,
    status: String,
    version: i64,
    lines: Json<Vec<Line>>,
    total_amount: i64,
    total_currency: String,
    payment_method: String,
    payment_status: String,
    payment_id: Option<String>,
    owed: Json<Vec<String>>,
    cancel_reason: Option<String>,
    cancel_note: Option<String>,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
}

impl TryFrom<Row> for Order {
    type Error = sqlx::Error;

    fn try_from(row: Row) -> sqlx::Result<Self> {
        Ok(Self {
            id: OrderId(row.id),
            customer_id: CustomerId(row.customer_id),
            status: word(&row.status)?,
            version: row.version,
            lines: row.lines.0,
            total: money(row.total_amount, &row.total_currency)?,
            payment: Payment { method: row.payment_method, status: word(&row.payment_status)?, id: row.payment_id },
            owed: row.owed.0,
            cancel_reason: row.cancel_reason.as_deref().map(word).transpose()?,
            cancel_note: row.cancel_note,
            created_at: row.created_at,
            updated_at: row.updated_at,
        })
    }
}

/// Money out of its two columns.
pub(super) fn money(amount: i64, currency: &str) -> sqlx::Result<Money> {
    Money::new(amount, currency.parse().map_err(decode)?).map_err(decode)
}

/// Reads a word of the domain by its serde name.
fn word<T: serde::de::DeserializeOwned>(text: &str) -> sqlx::Result<T> {
    serde_json::from_value(serde_json::Value::from(text)).map_err(decode)
}

fn decode(error: impl std::error::Error + Send + Sync + 'static) -> sqlx::Error {
    sqlx::Error::Decode(Box::new(error))
}

fn orders(rows: Vec<Row>) -> sqlx::Result<Vec<Order>> {
    rows.into_iter().map(Order::try_from).collect()
}

/// The word of a status in the database.
pub fn status_word(status: Status) -> &'static str {
    match status {
        Status::Pending => "pending",
        Status::Reserved => "reserved",
        Status::Confirmed => "confirmed",
        Status::Cancelled => "cancelled",
    }
}

fn payment_word(status: PaymentStatus) -> &'static str {
    match status {
        PaymentStatus::None => "none",
        PaymentStatus::Pending => "pending",
        PaymentStatus::Completed => "completed",
        PaymentStatus::Failed => "failed",
        PaymentStatus::Refunded => "refunded",
    }
}

/// Adds orders that were just placed.
///
/// # Errors
/// When the database refuses.
pub async fn insert(conn: &mut PgConnection, orders: &[&Order]) -> sqlx::Result<()> {
    let ids: Vec<Uuid> = orders.iter().map(|order| order.id.0).collect();
    let customers: Vec<Uuid> = orders.iter().map(|order| order.customer_id.0).collect();
    let lines: Vec<String> = orders.iter().map(|order| json(&order.lines)).collect();
    let totals: Vec<i64> = orders.iter().map(|order| order.total.amount()).collect();
    let currencies: Vec<String> = orders.iter().map(|order| order.total.currency().to_string()).collect();
    let methods: Vec<String> = orders.iter().map(|order| order.payment.method.clone()).collect();
    let times: Vec<DateTime<Utc>> = orders.iter().map(|order| order.created_at).collect();
    sqlx::query!(
        "insert into orders (id, customer_id, status, version, lines, total_amount, total_currency, payment_method,
                             payment_status, created_at, updated_at)
         select id, customer_id, 'pending', 1, lines::json, total, currency, method, 'none', created_at, created_at
         from unnest($1::uuid[], $2::uuid[], $3::text[], $4::bigint[], $5::text[], $6::text[], $7::timestamptz[])
              as o (id, customer_id, lines, total, currency, method, created_at)",
        &ids,
        &customers,
        &lines,
        &totals,
        &currencies,
        &methods,
        &times,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Plain values as JSON text.
fn json<T: serde::Serialize>(values: &[T]) -> String {
    serde_json::to_string(values).expect("plain values are JSON")
}

/// Locks orders, in the order of their ids, and reads them. `ids` that are no order are left out.
///
/// # Errors
/// When the database refuses.
pub async fn lock(conn: &mut PgConnection, ids: &[OrderId]) -> sqlx::Result<Vec<Order>> {
    let ids: Vec<Uuid> = ids.iter().map(|id| id.0).collect();
    let rows = sqlx::query_as!(
        Row,
        r#"select id, customer_id, status, version, lines as "lines: Json<Vec<Line>>", total_amount, total_currency,
                  payment_method, payment_status, payment_id, owed as "owed: Json<Vec<String>>", cancel_reason, cancel_note,
                  created_at, updated_at
           from orders where id = any($1) order by id for update"#,
        &ids,
    )
    .fetch_all(conn)
    .await?;
    orders(rows)
}

/// Stores what has become of orders.
///
/// # Errors
/// When the database refuses.
pub async fn save(conn: &mut PgConnection, orders: &[&Order]) -> sqlx::Result<()> {
    if orders.is_empty() {
        return Ok(());
    }
    let ids: Vec<Uuid> = orders.iter().map(|order| order.id.0).collect();
    let statuses: Vec<String> = orders.iter().map(|order| status_word(order.status).to_owned()).collect();
    let versions: Vec<i64> = orders.iter().map(|order| order.version).collect();
    let payments: Vec<String> = orders.iter().map(|order| payment_word(order.payment.status).to_owned()).collect();
    let payment_ids: Vec<Option<String>> = orders.iter().map(|order| order.payment.id.clone()).collect();
    let owed: Vec<String> = orders.iter().map(|order| json(&order.owed)).collect();
    let reason = |order: &&Order| order.cancel_reason.map(CancelReason::as_str).map(str::to_owned);
    let reasons: Vec<Option<String>> = orders.iter().map(reason).collect();
    let notes: Vec<Option<String>> = orders.iter().map(|order| order.cancel_note.clone()).collect();
    let times: Vec<DateTime<Utc>> = orders.iter().map(|order| order.updated_at).collect();
    sqlx::query!(
        "update orders set status = n.status, version = n.version, payment_status = n.payment_status,
                payment_id = n.payment_id, owed = n.owed::json, cancel_reason = n.reason, cancel_note = n.note,
                updated_at = n.updated_at
         from unnest($1::uuid[], $2::text[], $3::bigint[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[],
                     $9::timestamptz[])
              as n (id, status, version, payment_status, payment_id, owed, reason, note, updated_at)
         where orders.id = n.id and orders.id = any($1)",
        &ids,
        &statuses,
        &versions,
        &payments,
        &payment_ids as &[Option<String>],
        &owed,
        &reasons as &[Option<String>],
        &notes as &[Option<String>],
        &times,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// One order.
///
/// # Errors
/// When the database refuses.
pub async fn find(conn: &mut PgConnection, id: OrderId) -> sqlx::Result<Option<Order>> {
    let row = sqlx::query_as!(
        Row,
        r#"select id, customer_id, status, version, lines as "lines: Json<Vec<Line>>", total_amount, total_currency,
                  payment_method, payment_status, payment_id, owed as "owed: Json<Vec<String>>", cancel_reason, cancel_note,
                  created_at, updated_at
           from orders where id = $1"#,
        id.0,
    )
    .fetch_optional(conn)
    .await?;
    row.map(Order::try_from).transpose()
}

/// Orders as they are. `ids` that are no order are left out.
///
/// # Errors
/// When the database refuses.
pub async fn read(conn: &mut PgConnection, ids: &[OrderId]) -> sqlx::Result<Vec<Order>> {
    let ids: Vec<Uuid> = ids.iter().map(|id| id.0).collect();
    let rows = sqlx::query_as!(
        Row,
        r#"select id, customer_id, status, version, lines as "lines: Json<Vec<Line>>", total_amount, total_currency,
                  payment_method, payment_status, payment_id, owed as "owed: Json<Vec<String>>", cancel_reason, cancel_note,
                  created_at, updated_at
           from orders where id = any($1)"#,
        &ids,
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter().map(Order::try_from).collect()
}

/// The next ids after one, or from the first, in their order, which is about that of their creation.
///
/// # Errors
/// When the database refuses.
pub async fn ids_after(conn: &mut PgConnection, after: Option<OrderId>, limit: i64) -> sqlx::Result<Vec<OrderId>> {
    let after = after.map_or(Uuid::nil(), |id| id.0);
    let ids = sqlx::query_scalar!("select id from orders where id > $1 order by id limit $2", after, limit);
    Ok(ids.fetch_all(conn).await?.into_iter().map(OrderId).collect())
}

/// Remembers orders that inventory knows and this service does not, and returns those that were new.
///
/// # Errors
/// When the database refuses.
pub async fn remember_unknown(
    conn: &mut PgConnection,
    ids: &[OrderId],
    now: DateTime<Utc>,
) -> sqlx::Result<Vec<OrderId>> {
    let mut ids: Vec<Uuid> = ids.iter().map(|id| id.0).collect();
    ids.sort_unstable();
    let new = sqlx::query_scalar!(
        "insert into unknown_order (id, seen_at) select id, $2 from unnest($1::uuid[]) as t (id)
         on conflict (id) do nothing returning id",
        &ids,
        now,
    )
    .fetch_all(conn)
    .await?;
    Ok(new.into_iter().map(OrderId).collect())
}

/// Locks orders, in the order of their ids, without reading them.
///
/// # Errors
/// When the database refuses.
pub async fn lock_only(conn: &mut PgConnection, ids: &[OrderId]) -> sqlx::Result<()> {
    let ids: Vec<Uuid> = ids.iter().map(|id| id.0).collect();
    sqlx::query_scalar!("select id from orders where id = any($1) order by id for update", &ids)
        .fetch_all(conn)
        .await?;
    Ok(())
}

/// What read models ask about an order that was cancelled: what never changes, and whether it had been confirmed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cancelled {
    /// Whose it was.
    pub customer_id: CustomerId,
    /// What it would have cost.
    pub total: Money,
    /// Whether it was confirmed first.
    pub was_confirmed: bool,
}

/// Of the orders with these ids, which were cancelled, what read models ask. `ids` that are no order are left out.
///
/// # Errors
/// When the database refuses.
pub async fn cancelled(conn: &mut PgConnection, ids: &[OrderId]) -> sqlx::Result<HashMap<OrderId, Cancelled>> {
    let ids: Vec<Uuid> = ids.iter().map(|id| id.0).collect();
    let rows = sqlx::query!(
        r#"select id, customer_id, total_amount, total_currency,
                  exists (select from event where subject = orders.id::text and type = $2) as "was_confirmed!"
           from orders where id = any($1)"#,
        &ids,
        OrderConfirmed::TYPE,
    )
    .fetch_all(conn)
    .await?;
    let mut cancelled = HashMap::with_capacity(rows.len());
    for row in rows {
        let total = money(row.total_amount, &row.total_currency)?;
        let customer_id = CustomerId(row.customer_id);
        cancelled.insert(OrderId(row.id), Cancelled { customer_id, total, was_confirmed: row.was_confirmed });
    }
    Ok(cancelled)
}

/// How many orders wait for something, by the word of their status.
///
/// # Errors
/// When the database refuses.
pub async fn open(conn: &mut PgConnection) -> sqlx::Result<Vec<(String, i64)>> {
    let rows = sqlx::query!(
        r#"select status, count(*) as "count!" from orders where status in ('pending', 'reserved') group by status"#
    )
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().map(|row| (row.status, row.count)).collect())
}
