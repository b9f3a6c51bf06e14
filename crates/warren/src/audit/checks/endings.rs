//! Every order is final, or younger than the grace, or waits for something that can be named: an event that is not
//! published, or has not reached its consumer, or is a dead letter; or its payment, for no longer than it may.
//!
//! Whether what it waits for is lost is the check `delivery`'s to say.

use std::collections::BTreeMap;

use contracts::event::Event;
use contracts::inventory::{InventoryRejected, InventoryReserved};
use sqlx::Row;
use sqlx::postgres::PgRow;
use uuid::Uuid;

use crate::audit::Rules;
use crate::audit::databases::{Databases, column};
use crate::audit::finding::{Findings, Offender};

/// How much later than its time an order may be given up: the clock is looked at twice a second, a service may restart.
const SLACK_SECONDS: f64 = 60.0;

/// Pending orders of a page, with their first event.
const PENDING: &str = "
    select o.id, e.id as event_id,
           coalesce(pg_visible_in_snapshot(e.xid, (select prev from follower where name = 'relay')), false)
           and not exists (select from set_aside s where s.position = e.position) as published
    from orders o left join lateral (
        select id, xid, position from event where subject = o.id::text and sequence = 1
    ) as e on true
    where o.id > $1 and o.status = 'pending' and o.created_at < now() - make_interval(secs => $2)
    order by o.id limit 5000";

/// What inventory knows of them, and its answer.
const KNOWN: &str = "
    select o.id, exists (select from inbox i where i.id = o.event_id) as arrived,
           exists (select from dead_letter d where d.id = o.event_id) as dead, r.state, a.id as answer,
           coalesce(pg_visible_in_snapshot(a.xid, (select prev from follower where name = 'relay')), false)
           and not exists (select from set_aside s where s.position = a.position) as answered
    from unnest($1::uuid[], $2::uuid[]) as o (id, event_id)
    left join reservation r on r.order_id = o.id
    left join lateral (
        select id, xid, position from event where subject = o.id::text and type in ($3, $4) limit 1
    ) as a on true";

pub(super) async fn look(db: &mut Databases, rules: &Rules, found: &mut Findings) -> sqlx::Result<()> {
    let mut waits = BTreeMap::<&'static str, u64>::new();
    let mut after = Uuid::nil();
    loop {
        let query = sqlx::query(PENDING).bind(after).bind(rules.grace.as_secs_f64());
        let pending = query.fetch_all(&mut db.order).await?;
        let Some(last) = pending.last() else { break };
        after = last.try_get("id")?;
        follow(db, &pending, &mut waits, found).await?;
    }
    for (what, count) in waits {
        found.note(format!("{count} pending orders wait for {what}"));
    }
    reserved(db, rules, found).await
}

/// Where each pending order stands on its way to inventory and back.
async fn follow(
    db: &mut Databases,
    pending: &[PgRow],
    waits: &mut BTreeMap<&'static str, u64>,
    found: &mut Findings,
) -> sqlx::Result<()> {
    let mut wait = |what| *waits.entry(what).or_default() += 1;
    let (mut ids, mut events) = (Vec::<Uuid>::new(), Vec::<Option<Uuid>>::new());
    for row in pending {
        if column(row, "published")? {
            ids.push(column(row, "id")?);
            events.push(column(row, "event_id")?);
        } else {
            wait("the relay of order, which has not published them");
        }
    }
    let rows = sqlx::query(KNOWN)
        .bind(&ids)
        .bind(&events)
        .bind(InventoryReserved::TYPE)
        .bind(InventoryRejected::TYPE)
        .fetch_all(&mut db.inventory)
        .await?;
    let (mut answered, mut answers) = (Vec::<Uuid>::new(), Vec::<Uuid>::new());
    for row in rows {
        let id: Uuid = column(&row, "id")?;
        let answer: Option<Uuid> = column(&row, "answer")?;
        let state: Option<String> = column(&row, "state")?;
        match (column(&row, "arrived")?, answer) {
            (_, Some(answer)) if column(&row, "answered")? => {
                answered.push(id);
                answers.push(answer);
            }
            (_, Some(_)) => wait("the relay of inventory, which has not published the answers"),
            (true, None) if state.is_none() => {
                found.add(Offender::new("order", id, "is pending; inventory has had it, and has done nothing"));
            }
            // a cancellation that came first, of which order knows nothing
            (true, None) => found.add(Offender::new(
                "order",
                id,
                format!("is pending; inventory has it as {}, and never answered", state.unwrap_or_default()),
            )),
            (false, None) if column(&row, "dead")? => wait("a person: they are dead letters of inventory"),
            (false, None) => wait("inventory, which has not had them"),
        }
    }
    let rows = sqlx::query(
        "select o.id, exists (select from inbox i where i.id = a.answer) as arrived,
                exists (select from dead_letter d where d.id = a.answer) as dead
         from unnest($1::uuid[], $2::uuid[]) as a (id, answer) join orders o on o.id = a.id and o.status = 'pending'",
    )
    .bind(&answered)
    .bind(&answers)
    .fetch_all(&mut db.order)
    .await?;
    for row in rows {
        match (column(&row, "arrived")?, column(&row, "dead")?) {
            (true, _) => {
                let detail = "is pending, although inventory's answer took effect";
                found.add(Offender::new("order", column::<Uuid>(&row, "id")?, detail));
            }
            (false, true) => wait("a person: the answers are dead letters of order"),
            (false, false) => wait("inventory's answer, which has not reached order"),
        }
    }
    Ok(())
}

/// Reserved orders that wait for no payment, or for longer than they may. Time in which the provider was away is none.
async fn reserved(db: &mut Databases, rules: &Rules, found: &mut Findings) -> sqlx::Result<()> {
    let rows = sqlx::query(
        "select o.id, p.state, extract(epoch from now() - p.waits_since)::bigint as seconds
         from orders o left join lateral (
             select state, waits_since from payment
             where order_id = o.id and state in ('due', 'waiting', 'claimed') order by waits_since limit 1
         ) as p on true
         where o.status = 'reserved' and o.updated_at < now() - make_interval(secs => $1)
           and (p.state is null
                or p.waits_since < now() - make_interval(secs => $2) - (
                    select coalesce(sum(coalesce(a.until, now()) - greatest(a.since, p.waits_since)), '0')
                    from provider_outage a where coalesce(a.until, now()) > p.waits_since))
         order by o.id limit 10001",
    )
    .bind(rules.grace.as_secs_f64())
    .bind(rules.payment_timeout.as_secs_f64() + SLACK_SECONDS)
    .fetch_all(&mut db.order)
    .await?;
    for row in rows {
        let detail = match column::<Option<i64>>(&row, "seconds")? {
            None => "is reserved, and nothing is asked of the payment provider".to_owned(),
            Some(seconds) => format!("is reserved, and waits for its payment for {seconds}s, longer than it may"),
        };
        found.add(Offender::new("order", column::<Uuid>(&row, "id")?, detail));
    }
    Ok(())
}
