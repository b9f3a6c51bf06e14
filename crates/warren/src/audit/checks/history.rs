//! Every order is what its events say: its status, its version, its times, why it was cancelled and which payments it owes.
//! One whose creation is in the log is there.
//!
//! This is what SQL can tell. The whole fold, with lines and payment, is done by `order` itself, for a sample at a time
//! (`warren_audit_drift{check="history"}`).

use contracts::event::Event;
use contracts::order::{
    OrderCancelled, OrderConfirmed, OrderCreated, OrderReserved, PaymentCompleted, PaymentRefunded,
};
use futures_util::TryStreamExt;
use uuid::Uuid;

use super::pages::Page;
use crate::audit::databases::{Databases, column};
use crate::audit::finding::{Findings, Offender};

/// One statement, one snapshot: an order and its events change together.
const PAGE: &str = r#"
    select o.id, array_to_string(array[
        case when h.events is distinct from o.version or h.last is distinct from o.version or not h.begins
             then format('version %s, with %s events, the last numbered %s', o.version, h.events, h.last) end,
        case when h.status <> o.status then format('%s, and by its events %s', o.status, h.status) end,
        case when h.updated_at <> o.updated_at then format('changed at %s, and its last event was at %s', o.updated_at, h.updated_at) end,
        case when h.reason is distinct from o.cancel_reason
             then format('cancelled for %s, and by its events for %s', coalesce(o.cancel_reason, 'nothing'), coalesce(h.reason, 'nothing')) end,
        case when s.owed <> s.owed_by_events
             then format('owes the payments %s, and by its events %s', s.owed, s.owed_by_events) end
        ], '; ') as wrong
    from orders o
    cross join lateral (
        select count(*) as events, max(e.sequence) as last, max(e.time) as updated_at,
               coalesce(bool_or(e.sequence = 1 and e.type = $3), false) as begins,
               case when bool_or(e.type = $4) then 'cancelled' when bool_or(e.type = $5) then 'confirmed'
                    when bool_or(e.type = $6) then 'reserved' else 'pending' end as status,
               max(e.data->>'reason') filter (where e.type = $4) as reason,
               array_agg(e.data->>'payment_id') filter (where e.type = $7) as completed,
               array_agg(e.data->>'payment_id') filter (where e.type = $8) as refunded
        from event e where e.subject = o.id::text
    ) as h
    cross join lateral (
        select array(select distinct e.paid from unnest(h.completed) as e (paid)
                     where e.paid <> all (coalesce(h.refunded, '{}'))
                       and not (h.status = 'confirmed' and e.paid is not distinct from o.payment_id)
                     order by e.paid) as owed_by_events,
               array(select distinct e.paid from json_array_elements_text(o.owed) as e (paid) order by e.paid) as owed
    ) as s
    where o.id > $1 and o.id <= $2
      and (h.events is distinct from o.version or h.last is distinct from o.version or not h.begins or h.status <> o.status
           or h.updated_at <> o.updated_at or h.reason is distinct from o.cancel_reason or s.owed <> s.owed_by_events)"#;

pub(super) async fn look(db: &mut Databases, found: &mut Findings) -> sqlx::Result<()> {
    let mut page = Page::START;
    while let Some(next) = page.next(&mut db.order).await? {
        page = next;
        let mut rows = sqlx::query(PAGE)
            .bind(page.after)
            .bind(page.until)
            .bind(OrderCreated::TYPE)
            .bind(OrderCancelled::TYPE)
            .bind(OrderConfirmed::TYPE)
            .bind(OrderReserved::TYPE)
            .bind(PaymentCompleted::TYPE)
            .bind(PaymentRefunded::TYPE)
            .fetch(&mut db.order);
        while let Some(row) = rows.try_next().await? {
            found.add(Offender::new("order", column::<Uuid>(&row, "id")?, column::<String>(&row, "wrong")?));
        }
    }
    lost(db, found).await
}

/// Orders whose creation was logged and that are not there.
async fn lost(db: &mut Databases, found: &mut Findings) -> sqlx::Result<()> {
    let mut rows = sqlx::query(
        "select e.subject from event e where e.type = $1 and not exists (select from orders o where o.id = e.subject::uuid)",
    )
    .bind(OrderCreated::TYPE)
    .fetch(&mut db.order);
    while let Some(row) = rows.try_next().await? {
        found.add(Offender::new("order", column::<String>(&row, "subject")?, "was created, and is not there"));
    }
    Ok(())
}
