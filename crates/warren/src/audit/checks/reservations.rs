//! For each reservation and product the ledger has moved what the reservation's state says, and nothing for orders without.

use futures_util::TryStreamExt;
use uuid::Uuid;

use crate::audit::databases::{Databases, column};
use crate::audit::finding::{Findings, Offender};

pub(super) async fn look(db: &mut Databases, found: &mut Findings) -> sqlx::Result<()> {
    // held: one movement; committed or released: two; returned: three
    let mut rows = sqlx::query(
        "with moved as (
             select order_id, sku, sum(on_hand_delta)::bigint as on_hand, sum(reserved_delta)::bigint as reserved,
                    count(*) as movements
             from movement where order_id is not null group by order_id, sku
         ),
         line as (
             select r.order_id, l->>'sku' as sku, sum((l->>'quantity')::bigint)::bigint as quantity, r.state
             from reservation r, json_array_elements(r.lines) as l where r.state <> 'rejected'
             group by r.order_id, l->>'sku'
         ),
         expected as (
             select order_id, sku, state,
                    case state when 'committed' then -quantity else 0 end as on_hand,
                    case state when 'held' then quantity else 0 end as reserved,
                    case state when 'held' then 1 when 'returned' then 3 else 2 end as movements
             from line
         )
         select order_id, sku, e.state, coalesce(m.on_hand, 0) as on_hand, coalesce(m.reserved, 0) as reserved,
                coalesce(m.movements, 0) as movements
         from expected e full join moved m using (order_id, sku)
         where (e.on_hand, e.reserved, e.movements) is distinct from (m.on_hand, m.reserved, m.movements)",
    )
    .fetch(&mut db.inventory);
    while let Some(row) = rows.try_next().await? {
        let sku: String = column(&row, "sku")?;
        let state = column::<Option<String>>(&row, "state")?.unwrap_or_else(|| "not reserved".to_owned());
        let (on_hand, reserved): (i64, i64) = (column(&row, "on_hand")?, column(&row, "reserved")?);
        let movements: i64 = column(&row, "movements")?;
        let detail = format!(
            "{sku} is {state}, and {movements} movements changed on hand by {on_hand} and reserved by {reserved}"
        );
        found.add(Offender::new("order", column::<Uuid>(&row, "order_id")?, detail));
    }
    Ok(())
}
