//! Lists of orders, in pages.

use chrono::{DateTime, Utc};
use contracts::values::{CustomerId, OrderId};
use sqlx::PgConnection;
use sqlx::types::Json;
use uuid::Uuid;

use super::{Row, orders, status_word};
use crate::order::{Line, Order, Status};

/// Which orders are listed.
#[derive(Debug, Clone)]
pub struct Filter {
    /// Those of one customer.
    pub customer_id: Option<CustomerId>,
    /// Those in one state.
    pub status: Option<Status>,
    /// From this time on.
    pub created_from: Option<DateTime<Utc>>,
    /// Before this time.
    pub created_to: Option<DateTime<Utc>>,
    /// Older than this order.
    pub before: Option<OrderId>,
    /// This many at most.
    pub limit: i64,
}

/// Lists orders, newest first. Ids are made from the clock that also writes `created_at`, so the key bounds the time.
///
/// # Errors
/// When the database refuses.
pub async fn list(conn: &mut PgConnection, filter: &Filter) -> sqlx::Result<Vec<Order>> {
    let status = filter.status.map(status_word);
    let from = filter.created_from.map_or(Uuid::nil(), |time| first_id_of(time, 0));
    let to = filter.created_to.map_or(Uuid::max(), |time| first_id_of(time, 1));
    let before = filter.before.map_or(to, |id| id.0.min(to));
    let open = matches!(filter.status, Some(Status::Pending | Status::Reserved));
    let rows = match (filter.customer_id, open) {
        (Some(customer), _) => by_customer(conn, customer, status, from, before, filter).await?,
        (None, true) => still_open(conn, status, from, before, filter).await?,
        (None, false) => any_customer(conn, status, from, before, filter).await?,
    };
    orders(rows)
}

/// The smallest UUIDv7 of the millisecond of `time`, or of one so many milliseconds later.
pub fn first_id_of(time: DateTime<Utc>, later: i64) -> Uuid {
    let millis = u64::try_from(time.timestamp_millis().saturating_add(later)).unwrap_or(0);
    Uuid::from_u128(u128::from(millis.min((1 << 48) - 1)) << 80)
}

async fn by_customer(
    conn: &mut PgConnection,
    customer: CustomerId,
    status: Option<&str>,
    from: Uuid,
    before: Uuid,
    filter: &Filter,
) -> sqlx::Result<Vec<Row>> {
    sqlx::query_as!(
        Row,
        r#"select id, customer_id, status, version, lines as "lines: Json<Vec<Line>>", total_amount, total_currency,
                  payment_method, payment_status, payment_id, owed as "owed: Json<Vec<String>>", cancel_reason, cancel_note,
                  created_at, updated_at
           from orders
           where customer_id = $1 and ($2::text is null or status = $2) and id >= $3 and id < $4
             and ($5::timestamptz is null or created_at >= $5) and ($6::timestamptz is null or created_at < $6)
           order by id desc limit $7"#,
        customer.0,
        status,
        from,
        before,
        filter.created_from,
        filter.created_to,
        filter.limit,
    )
    .fetch_all(conn)
    .await
}

/// The orders in a state that is not final, along the index that holds only those.
async fn still_open(
    conn: &mut PgConnection,
    status: Option<&str>,
    from: Uuid,
    before: Uuid,
    filter: &Filter,
) -> sqlx::Result<Vec<Row>> {
    sqlx::query_as!(
        Row,
        r#"select id, customer_id, status, version, lines as "lines: Json<Vec<Line>>", total_amount, total_currency,
                  payment_method, payment_status, payment_id, owed as "owed: Json<Vec<String>>", cancel_reason, cancel_note,
                  created_at, updated_at
           from orders
           where status in ('pending', 'reserved') and status = $1 and id >= $2 and id < $3
             and ($4::timestamptz is null or created_at >= $4) and ($5::timestamptz is null or created_at < $5)
           order by id desc limit $6"#,
        status,
        from,
        before,
        filter.created_from,
        filter.created_to,
        filter.limit,
    )
    .fetch_all(conn)
    .await
}

async fn any_customer(
    conn: &mut PgConnection,
    status: Option<&str>,
    from: Uuid,
    before: Uuid,
    filter: &Filter,
) -> sqlx::Result<Vec<Row>> {
    sqlx::query_as!(
        Row,
        r#"select id, customer_id, status, version, lines as "lines: Json<Vec<Line>>", total_amount, total_currency,
                  payment_method, payment_status, payment_id, owed as "owed: Json<Vec<String>>", cancel_reason, cancel_note,
                  created_at, updated_at
           from orders
           where ($1::text is null or status = $1) and id >= $2 and id < $3
             and ($4::timestamptz is null or created_at >= $4) and ($5::timestamptz is null or created_at < $5)
           order by id desc limit $6"#,
        status,
        from,
        before,
        filter.created_from,
        filter.created_to,
        filter.limit,
    )
    .fetch_all(conn)
    .await
}
