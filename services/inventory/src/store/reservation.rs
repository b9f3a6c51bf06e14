//! What became of each order's stock.

use std::collections::{HashMap, HashSet};

use chrono::{DateTime, Utc};
use contracts::values::OrderId;
use sqlx::PgConnection;
use sqlx::types::Json;
use uuid::Uuid;

use super::undecodable;
use crate::reservation::{Line, State};

/// A reservation that is new.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct New {
    /// Of which order.
    pub order_id: OrderId,
    /// Where it stands.
    pub state: State,
    /// What the order takes.
    pub lines: Vec<Line>,
    /// The last event that was published with the order as its subject; 0 for none.
    pub sequence: i64,
}

/// Which of these orders are known already. They are locked.
///
/// # Errors
/// When the database cannot be asked.
pub async fn known(conn: &mut PgConnection, ids: &[OrderId]) -> sqlx::Result<HashSet<OrderId>> {
    let ids: Vec<Uuid> = ids.iter().map(|id| id.0).collect();
    let known =
        sqlx::query_scalar!("select order_id from reservation where order_id = any($1)", &ids).fetch_all(conn).await?;
    Ok(known.into_iter().map(OrderId).collect())
}

/// Stores new reservations. The orders are locked.
///
/// # Errors
/// When the database refuses.
pub async fn insert(conn: &mut PgConnection, new: &[New], at: DateTime<Utc>) -> sqlx::Result<()> {
    let mut ids = Vec::with_capacity(new.len());
    let mut states = Vec::with_capacity(new.len());
    let mut lines = Vec::with_capacity(new.len());
    let mut sequences = Vec::with_capacity(new.len());
    for reservation in new {
        ids.push(reservation.order_id.0);
        states.push(reservation.state.as_str().to_owned());
        lines.push(serde_json::to_string(&reservation.lines).map_err(|error| sqlx::Error::Encode(Box::new(error)))?);
        sequences.push(reservation.sequence);
    }
    sqlx::query!(
        "insert into reservation (order_id, state, lines, sequence, created_at, updated_at)
         select order_id, state, lines::json, sequence, $5, $5
         from unnest($1::uuid[], $2::text[], $3::text[], $4::bigint[]) as r (order_id, state, lines, sequence)",
        &ids,
        &states,
        &lines,
        &sequences,
        at,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Where the reservations of these orders stand, and what they are made of. The orders are locked.
///
/// # Errors
/// When the database cannot be asked.
pub async fn read(conn: &mut PgConnection, ids: &[OrderId]) -> sqlx::Result<HashMap<OrderId, (State, Vec<Line>)>> {
    let ids: Vec<Uuid> = ids.iter().map(|id| id.0).collect();
    let rows = sqlx::query!(
        r#"select order_id, state, lines as "lines: Json<Vec<Line>>" from reservation where order_id = any($1)"#,
        &ids,
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter()
        .map(|row| Ok((OrderId(row.order_id), (row.state.parse().map_err(undecodable)?, row.lines.0))))
        .collect()
}

/// Moves reservations to a state. The orders are locked.
///
/// # Errors
/// When the database refuses.
pub async fn set_state(conn: &mut PgConnection, ids: &[OrderId], state: State, at: DateTime<Utc>) -> sqlx::Result<()> {
    let ids: Vec<Uuid> = ids.iter().map(|id| id.0).collect();
    sqlx::query!(
        "update reservation
         set state = $2, updated_at = $3, committed_at = case $2 when 'committed' then $3 else committed_at end
         where order_id = any($1)",
        &ids,
        state.as_str(),
        at,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// A reservation as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored {
    /// Where it stands.
    pub state: State,
    /// What it is made of.
    pub lines: Vec<Line>,
    /// When the order, or its cancellation, came here.
    pub created_at: DateTime<Utc>,
    /// When the goods went, if they did.
    pub committed_at: Option<DateTime<Utc>>,
    /// When it came to its state.
    pub updated_at: DateTime<Utc>,
}

/// The reservation of an order.
///
/// # Errors
/// When the database cannot be asked.
pub async fn find(conn: &mut PgConnection, id: OrderId) -> sqlx::Result<Option<Stored>> {
    let row = sqlx::query!(
        r#"select state, lines as "lines: Json<Vec<Line>>", created_at, committed_at, updated_at
           from reservation where order_id = $1"#,
        id.0,
    )
    .fetch_optional(conn)
    .await?;
    row.map(|row| {
        Ok(Stored {
            state: row.state.parse().map_err(undecodable)?,
            lines: row.lines.0,
            created_at: row.created_at,
            committed_at: row.committed_at,
            updated_at: row.updated_at,
        })
    })
    .transpose()
}
