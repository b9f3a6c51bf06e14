//! Going on after a dump was restored on another server.

use sqlx::{Connection, PgConnection};

/// What [`rebase`] has done, in one line for the operator.
#[must_use]
pub fn rebase_report(waiting: Option<u64>) -> String {
    match waiting {
        Some(events) => {
            format!("rebased: the checkpoints are this server's now, and {events} events wait to be published")
        }
        None => "nothing to do: the checkpoints are this server's".to_owned(),
    }
}

/// Translates the checkpoints of all followers to this server, each at the row where it stood, and returns how many events
/// wait to be published. `None` when they are of this server already and nothing was changed.
///
/// A restored log holds the transaction ids of the server that it comes from, and so do the checkpoints: together they
/// still tell exactly which rows each follower had read, but rows that are written here get ids that have nothing to do
/// with those. So rows that the same followers have not read get one id in common, from 3 on, which no transaction of this
/// server has any more; and each checkpoint becomes a snapshot of now that takes the ids of its unread rows for running.
/// All of it is one transaction, in which nobody else can write to the log. It writes every row of the log once.
///
/// Rows that were written here before, under this server's ids, are unread by everybody. They are recognised where ids
/// started lower, as on a new server: there alone they could be taken for older ones.
///
/// # Errors
/// When the database refuses.
pub async fn rebase(conn: &mut PgConnection) -> sqlx::Result<Option<u64>> {
    let mut tx = conn.begin().await?;
    // every row is written: that takes as long as it takes
    sqlx::raw_sql("set local statement_timeout = 0; lock table event, follower in exclusive mode")
        .execute(&mut *tx)
        .await?;
    let restored = sqlx::query_scalar!(
        r#"select exists (select from follower f, pg_control_system() s where f.system_identifier <> s.system_identifier)
           as "restored!""#
    );
    if !restored.fetch_one(&mut *tx).await? {
        // a transaction that is only dropped keeps its locks until the connection is used again
        tx.rollback().await?;
        return Ok(None);
    }
    let waiting = sqlx::query!(
        r#"with now as (
               select pg_current_snapshot() as snapshot, system_identifier as server from pg_control_system()
           ),
           reader as (
               select name, prev, next, f.position,
                      system_identifier <> server and pg_snapshot_xmax(snapshot) < pg_snapshot_xmax(prev) as rewound
               from follower f, now
           ),
           judged as materialized (
               select e.position, array(
                   select name from reader r
                   where r.rewound and e.xmin = e.xid::xid
                      or not (pg_visible_in_snapshot(e.xid, r.prev)
                              or coalesce(pg_visible_in_snapshot(e.xid, r.next) and e.position <= r.position, false))
                   order by name) as unread_by
               from event e
           ),
           class as (
               select unread_by, (2 + row_number() over (order by unread_by))::text::xid8 as id, count(*) as events
               from judged group by unread_by
           ),
           moved as (
               update event e set xid = class.id from judged join class using (unread_by) where e.position = judged.position
           ),
           fresh as (
               select name, min(id) as first, string_agg(id::text, ',' order by id) as ids, sum(events) as events
               from reader left join class on name = any (unread_by) group by name
           ),
           running as (
               select string_agg(xid::text, ',' order by xid) as ids from now, pg_snapshot_xip(snapshot) as running (xid)
           )
           update follower f
           set prev = concat_ws(':', coalesce(first, pg_snapshot_xmin(snapshot)), pg_snapshot_xmax(snapshot),
                                concat_ws(',', fresh.ids, running.ids))::pg_snapshot,
               next = null, position = 0, system_identifier = server, updated_at = now()
           from now, running, fresh where f.name = fresh.name
           returning f.name, coalesce(fresh.events, 0)::bigint as "events!""#
    )
    .fetch_all(&mut *tx)
    .await?;
    // a service whose relay has never led has published nothing
    let unpublished = match waiting.iter().find(|follower| follower.name == "relay") {
        Some(relay) => relay.events,
        None => sqlx::query_scalar!(r#"select count(*) as "events!" from event"#).fetch_one(&mut *tx).await?,
    };
    tx.commit().await?;
    Ok(Some(u64::try_from(unpublished).unwrap_or(0)))
}
