//! Walking through the log of a service in pages.

use sqlx::{PgConnection, Row};
use std::time::Duration;
use uuid::Uuid;

/// The events of a page: few enough to be sent to another server in one statement.
const PAGE: usize = 10_000;

/// What is read of published events.
#[derive(Debug)]
pub(super) struct Wanted<'a> {
    /// Their types.
    pub(super) types: &'a [&'a str],
    /// They are older than this.
    pub(super) grace: Duration,
    /// What is older than this is told to be so.
    pub(super) retention: Duration,
}

/// A published event.
#[derive(Debug, Clone)]
pub(super) struct Event {
    pub(super) id: Uuid,
    pub(super) event_type: String,
    pub(super) subject: String,
    /// Whether its consumers may have forgotten that they had it.
    pub(super) old: bool,
    /// Whether it names a customer.
    pub(super) has_customer: bool,
}

/// The published events after a position that are wanted, and the position of the last; none after the last page.
///
/// # Errors
/// When the database cannot be read.
pub(super) async fn page(
    conn: &mut PgConnection,
    wanted: &Wanted<'_>,
    after: i64,
) -> sqlx::Result<Option<(Vec<Event>, i64)>> {
    let rows = sqlx::query(
        "select e.position, e.id, e.type, e.subject, e.time < now() - make_interval(secs => $4) as old,
                e.data->>'customer_id' is not null as has_customer
         from event e
         where e.position > $1 and e.type = any($2) and e.time < now() - make_interval(secs => $3)
           and pg_visible_in_snapshot(e.xid, (select prev from follower where name = 'relay'))
           and not exists (select from set_aside s where s.position = e.position)
         order by e.position limit $5",
    )
    .bind(after)
    .bind(wanted.types)
    .bind(wanted.grace.as_secs_f64())
    .bind(wanted.retention.as_secs_f64())
    .bind(i64::try_from(PAGE).unwrap_or(i64::MAX))
    .fetch_all(conn)
    .await?;
    let Some(last) = rows.last() else { return Ok(None) };
    let last = last.try_get("position")?;
    let event = |row: &sqlx::postgres::PgRow| {
        Ok(Event {
            id: row.try_get("id")?,
            event_type: row.try_get("type")?,
            subject: row.try_get("subject")?,
            old: row.try_get("old")?,
            has_customer: row.try_get("has_customer")?,
        })
    };
    Ok(Some((rows.iter().map(event).collect::<sqlx::Result<_>>()?, last)))
}

/// How many events of a service wait to be published for longer than the grace, and since when.
///
/// # Errors
/// When the database cannot be read.
pub(super) async fn unpublished(conn: &mut PgConnection, grace: Duration) -> sqlx::Result<(u64, Option<String>)> {
    let row = sqlx::query(
        "with waiting as (
             select e.time from follower f join event e on e.xid >= pg_snapshot_xmin(f.prev)
             where f.name = 'relay' and not pg_visible_in_snapshot(e.xid, f.prev)
               and not coalesce(pg_visible_in_snapshot(e.xid, f.next) and e.position <= f.position, false)
             union all select e.time from set_aside s join event e using (position)
         )
         select count(*) as waiting, to_char(min(time) at time zone 'utc', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"') as since
         from waiting where time < now() - make_interval(secs => $1)",
    )
    .bind(grace.as_secs_f64())
    .fetch_one(conn)
    .await?;
    let waiting: i64 = row.try_get("waiting")?;
    Ok((u64::try_from(waiting).unwrap_or(0), row.try_get("since")?))
}
