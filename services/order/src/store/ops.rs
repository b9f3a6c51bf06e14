//! What operators ask: which orders do not get on, and to repeat the step that one waits for.

use std::time::Duration;

use chrono::{DateTime, Utc};
use contracts::values::OrderId;
use sqlx::PgConnection;
use uuid::Uuid;

use super::order::list::first_id_of;

/// The orders that inventory has not answered about since before `time`, oldest first, at most a thousand.
///
/// # Errors
/// When the database refuses.
pub async fn pending_since(
    conn: &mut PgConnection,
    time: DateTime<Utc>,
) -> sqlx::Result<Vec<(OrderId, DateTime<Utc>)>> {
    let rows = sqlx::query!(
        "select id, created_at from orders
         where status = 'pending' and id < $1 order by id limit 1000",
        first_id_of(time, 0),
    )
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().map(|row| (OrderId(row.id), row.created_at)).collect())
}

/// A payment as operators see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Payment {
    /// The provider's own id.
    pub id: String,
    /// For which order.
    pub order_id: OrderId,
    /// How it is paid.
    pub method: String,
    /// How it stands.
    pub state: String,
    /// How often the provider was asked.
    pub attempts: i32,
    /// Since when it is waited for.
    pub waits_since: DateTime<Utc>,
    /// Since when the provider cannot be reached, if so.
    pub provider_away_since: Option<DateTime<Utc>>,
}

/// The charges and refunds that are asked of the provider for longer than `patience`, and those that wait for a message of
/// its own for longer than `message`: a thousand of each at most.
///
/// # Errors
/// When the database refuses.
pub async fn overdue_payments(
    conn: &mut PgConnection,
    patience: Duration,
    message: Duration,
) -> sqlx::Result<Vec<Payment>> {
    sqlx::query_as!(
        Payment,
        r#"with charges as (
               select * from payment
               where state in ('due', 'waiting', 'claimed') and waits_since < now() - make_interval(secs => $1)
                 and (state <> 'waiting' or waits_since < now() - make_interval(secs => $2))
               order by waits_since limit 1000
           ),
           refunds as (
               select * from payment
               where state in ('refund-due', 'refunding') and waits_since < now() - make_interval(secs => $1)
               order by next_at limit 1000
           )
           select p.id as "id!", p.order_id as "order_id!: Uuid", p.method as "method!", p.state as "state!",
                  p.attempts as "attempts!", p.waits_since as "waits_since!",
                  (select since from provider_outage where until is null) as provider_away_since
           from (select * from charges union all select * from refunds) as p"#,
        patience.as_secs_f64(),
        message.as_secs_f64(),
    )
    .fetch_all(conn)
    .await
}

/// The payments of an order, in the order in which they were asked for.
///
/// # Errors
/// When the database refuses.
pub async fn payments_of(conn: &mut PgConnection, order_id: OrderId) -> sqlx::Result<Vec<Payment>> {
    sqlx::query_as!(
        Payment,
        r#"select id, order_id as "order_id: Uuid", method, state, attempts, waits_since,
                  (select since from provider_outage where until is null) as provider_away_since
           from payment where order_id = $1 order by waits_since, id"#,
        order_id.0,
    )
    .fetch_all(conn)
    .await
}

/// An event of an order that no queue took.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SetAside {
    /// Which order.
    pub order_id: OrderId,
    /// Its type.
    pub event: String,
    /// When it was set aside.
    pub since: DateTime<Utc>,
}

/// The oldest event of each order that no queue took, at most a thousand. `types` are those of the orders' events.
///
/// # Errors
/// When the database refuses.
pub async fn set_aside(conn: &mut PgConnection, types: &[&str]) -> sqlx::Result<Vec<SetAside>> {
    let rows = sqlx::query!(
        "select distinct on (s.subject) s.subject, e.type as event, s.since
         from set_aside s join event e using (position)
         where e.type = any($1)
         order by s.subject, s.position limit 1000",
        types as &[&str],
    )
    .fetch_all(conn)
    .await?;
    let of_order = |subject: &str, event, since| Some(SetAside { order_id: subject.parse().ok()?, event, since });
    Ok(rows.into_iter().filter_map(|row| of_order(&row.subject, row.event, row.since)).collect())
}

/// Has the relay publish the first event of an order once more, if it has published it: the same event, so whoever has
/// handled it does nothing, and whoever has lost it gets it.
///
/// # Errors
/// When the database refuses.
pub async fn publish_creation_again(conn: &mut PgConnection, order_id: OrderId) -> sqlx::Result<()> {
    sqlx::query!(
        "insert into set_aside (position, subject)
         select e.position, e.subject from event e, follower f
         where e.subject = $1 and e.sequence = 1 and f.name = 'relay' and pg_visible_in_snapshot(e.xid, f.prev)
         on conflict (position) do nothing",
        order_id.to_string(),
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Has the provider asked at once about whatever an order waits for: also about a charge whose result it would tell by
/// itself, which is told at once if there is one.
///
/// # Errors
/// When the database refuses.
pub async fn ask_again(conn: &mut PgConnection, order_id: OrderId) -> sqlx::Result<()> {
    sqlx::query!(
        "update payment set next_at = now(), state = case state when 'waiting' then 'due' else state end
         where order_id = $1 and state in ('due', 'waiting', 'claimed', 'refund-due', 'refunding')",
        order_id.0,
    )
    .execute(conn)
    .await?;
    Ok(())
}
