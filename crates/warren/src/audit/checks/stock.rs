//! Nothing was ever oversold, at any moment of the ledger, and the ledger adds up to the stock.

use futures_util::TryStreamExt;

use crate::audit::databases::{Databases, column};
use crate::audit::finding::{Findings, Offender};

pub(super) async fn look(db: &mut Databases, found: &mut Findings) -> sqlx::Result<()> {
    let mut rows = sqlx::query(
        "with moment as (
             select sku, position, on_hand_delta, reserved_delta,
                    sum(on_hand_delta) over ledger as on_hand, sum(reserved_delta) over ledger as reserved
             from movement window ledger as (partition by sku order by position)
         ),
         ledger as (
             select sku, sum(on_hand_delta)::bigint as on_hand, sum(reserved_delta)::bigint as reserved,
                    min(position) filter (where reserved < 0 or on_hand < reserved) as oversold
             from moment group by sku
         )
         select sku, p.on_hand, p.reserved, coalesce(l.on_hand, 0) as moved_on_hand,
                coalesce(l.reserved, 0) as moved_reserved, l.oversold, p.sku is null as gone
         from product p full join ledger l using (sku)
         where p.sku is null or p.reserved < 0 or p.on_hand < p.reserved or l.oversold is not null
            or p.on_hand <> coalesce(l.on_hand, 0) or p.reserved <> coalesce(l.reserved, 0)",
    )
    .fetch(&mut db.inventory);
    while let Some(row) = rows.try_next().await? {
        let (moved_on_hand, moved_reserved): (i64, i64) =
            (column(&row, "moved_on_hand")?, column(&row, "moved_reserved")?);
        let stock = column::<Option<i64>>(&row, "on_hand")?.zip(column::<Option<i64>>(&row, "reserved")?);
        let mut wrong = Vec::new();
        match stock {
            None => wrong.push("has movements, and is no product".to_owned()),
            Some((on_hand, reserved)) => {
                if reserved < 0 || on_hand < reserved {
                    wrong.push(format!("{reserved} reserved of {on_hand} on hand"));
                }
                if (on_hand, reserved) != (moved_on_hand, moved_reserved) {
                    wrong.push(format!(
                        "{on_hand} on hand and {reserved} reserved, and by the ledger {moved_on_hand} and {moved_reserved}"
                    ));
                }
            }
        }
        if let Some(position) = column::<Option<i64>>(&row, "oversold")? {
            wrong.push(format!("oversold at position {position} of the ledger"));
        }
        found.add(Offender::new("sku", column::<String>(&row, "sku")?, wrong.join("; ")));
    }
    Ok(())
}
