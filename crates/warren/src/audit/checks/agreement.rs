//! Reservations agree with their orders: a confirmed order's goods are gone, a cancelled one holds nothing, a reserved one
//! holds all, and nothing is held for an order that there is not.
//!
//! What inventory has not heard of yet is left to the check `delivery`.

use contracts::event::Event;
use contracts::inventory::InventoryReserved;
use contracts::order::{OrderCancelled, OrderConfirmed};
use sqlx::Row;
use sqlx::postgres::PgRow;
use uuid::Uuid;

use super::pages::Page;
use crate::audit::Rules;
use crate::audit::databases::{Databases, column};
use crate::audit::finding::{Findings, Offender};

/// The orders of a page that have rested for a while, with the event that inventory has to have heard of.
const ORDERS: &str = "
    select o.id, o.status, e.id as event_id, coalesce(e.time < now() - make_interval(secs => $4), false) as old
    from orders o left join lateral (
        select id, time from event
        where subject = o.id::text and type = case o.status when 'confirmed' then $5 when 'cancelled' then $6 end
        limit 1
    ) as e on true
    where o.id > $1 and o.id <= $2 and o.status <> 'pending' and o.updated_at < now() - make_interval(secs => $3)";

/// Orders that inventory knows and order does not were cancelled.
const UNKNOWN: &str = "
    select u.id, 'cancelled' as status, e.id as event_id, coalesce(e.time < now() - make_interval(secs => $2), false) as old
    from unknown_order u left join lateral (
        select id, time from event where subject = u.id::text and type = $3 limit 1
    ) as e on true
    where u.seen_at < now() - make_interval(secs => $1)";

pub(super) async fn look(db: &mut Databases, rules: &Rules, found: &mut Findings) -> sqlx::Result<()> {
    let (grace, retention) = (rules.grace.as_secs_f64(), rules.inbox_retention.as_secs_f64());
    let mut page = Page::START;
    while let Some(next) = page.next(&mut db.order).await? {
        page = next;
        let query = sqlx::query(ORDERS).bind(page.after).bind(page.until).bind(grace).bind(retention);
        let orders = query.bind(OrderConfirmed::TYPE).bind(OrderCancelled::TYPE).fetch_all(&mut db.order).await?;
        compare(db, &orders, found).await?;
    }
    let unknown = sqlx::query(UNKNOWN).bind(grace).bind(retention).bind(OrderCancelled::TYPE);
    let unknown = unknown.fetch_all(&mut db.order).await?;
    compare(db, &unknown, found).await?;
    for_nobody(db, grace, found).await
}

/// Compares orders with what is reserved for them.
async fn compare(db: &mut Databases, orders: &[PgRow], found: &mut Findings) -> sqlx::Result<()> {
    let ids = orders.iter().map(|row| row.try_get("id")).collect::<sqlx::Result<Vec<Uuid>>>()?;
    let statuses = orders.iter().map(|row| row.try_get("status")).collect::<sqlx::Result<Vec<String>>>()?;
    let events = orders.iter().map(|row| row.try_get("event_id")).collect::<sqlx::Result<Vec<Option<Uuid>>>>()?;
    let old = orders.iter().map(|row| row.try_get("old")).collect::<sqlx::Result<Vec<bool>>>()?;
    let rows = sqlx::query(
        "select o.id, o.status, coalesce(r.state, 'not reserved') as state
         from unnest($1::uuid[], $2::text[], $3::uuid[], $4::boolean[]) as o (id, status, event_id, old)
         left join reservation r on r.order_id = o.id
         where case o.status when 'confirmed' then r.state is distinct from 'committed'
                             when 'reserved' then r.state is distinct from 'held'
                             else r.state is null or r.state in ('held', 'committed') end
           and (o.status = 'reserved' or o.old or exists (select from inbox i where i.id = o.event_id))",
    )
    .bind(&ids)
    .bind(&statuses)
    .bind(&events)
    .bind(&old)
    .fetch_all(&mut db.inventory)
    .await?;
    for row in rows {
        let (status, state): (String, String) = (column(&row, "status")?, column(&row, "state")?);
        let detail = format!("is {status}, and its goods are {state}");
        found.add(Offender::new("order", column::<Uuid>(&row, "id")?, detail));
    }
    Ok(())
}

/// Looks for goods that are held for orders that there are not, and of which `order` has heard.
async fn for_nobody(db: &mut Databases, grace: f64, found: &mut Findings) -> sqlx::Result<()> {
    let mut after = Uuid::nil();
    loop {
        let rows = sqlx::query(
            "select r.order_id, (select id from event where subject = r.order_id::text and type = $3 limit 1) as answer
             from reservation r
             where r.order_id > $1 and r.state in ('held', 'committed') and r.updated_at < now() - make_interval(secs => $2)
             order by r.order_id limit 5000",
        )
        .bind(after)
        .bind(grace)
        .bind(InventoryReserved::TYPE)
        .fetch_all(&mut db.inventory)
        .await?;
        let Some(last) = rows.last() else { return Ok(()) };
        after = last.try_get("order_id")?;
        let ids = rows.iter().map(|row| row.try_get("order_id")).collect::<sqlx::Result<Vec<Uuid>>>()?;
        let answers = rows.iter().map(|row| row.try_get("answer")).collect::<sqlx::Result<Vec<Option<Uuid>>>>()?;
        let nobodys: Vec<Uuid> = sqlx::query_scalar(
            "select r.id from unnest($1::uuid[], $2::uuid[]) as r (id, answer)
             where not exists (select from orders o where o.id = r.id)
               and not exists (select from unknown_order u where u.id = r.id)
               and exists (select from inbox i where i.id = r.answer)",
        )
        .bind(&ids)
        .bind(&answers)
        .fetch_all(&mut db.order)
        .await?;
        for id in nobodys {
            found.add(Offender::new("order", id, "has goods reserved, and is not there"));
        }
    }
}
