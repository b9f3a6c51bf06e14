//! Orders, payments and the sandbox provider's own books agree: nobody was charged twice or for nothing, and what is owed
//! goes back.
//!
//! Payments of a provider that has its books elsewhere, and those that a webhook told of, have no row in the sandbox's
//! books, and are compared with their orders alone.

use futures_util::TryStreamExt;
use uuid::Uuid;

use super::pages::Page;
use crate::audit::Rules;
use crate::audit::databases::{Databases, column};
use crate::audit::finding::{Findings, Offender};

/// One snapshot. The provider books a charge before its result is stored here: such a payment is claimed until then.
const PAGE: &str = r#"
    select o.id, array_to_string(array[
        case when o.status = 'confirmed' and p.completed <> 1 then format('confirmed, with %s completed payments', p.completed) end,
        case when o.status = 'confirmed' and not p.has_its_own then format('confirmed by %s, which is not completed', o.payment_id) end,
        case when o.status <> 'confirmed' and p.completed > 0 then format('%s, and %s payments are kept', o.status, p.completed) end,
        case when p.charged > 1 then format('charged %s times by the provider', p.charged) end,
        case when p.for_nothing is not null then format('charged by the provider, and the payment is not completed: %s', p.for_nothing) end,
        case when p.not_back is not null then format('refunded here, and not by the provider: %s', p.not_back) end,
        case when p.given_back is not null then format('refunded by the provider, and kept here: %s', p.given_back) end,
        case when p.other_amount is not null then format('of another amount than the order: %s', p.other_amount) end
        ], '; ') as wrong
    from orders o cross join lateral (
        select count(*) filter (where p.state = 'completed') as completed,
               coalesce(bool_or(p.id = o.payment_id and p.state = 'completed'), false) as has_its_own,
               count(*) filter (where charged and p.state not in ('due', 'claimed', 'refund-due', 'refunding')) as charged,
               string_agg(p.id, ', ') filter (where charged and p.state in ('failed', 'withdrawn')
                                              and l.charged_at < now() - make_interval(secs => $3)) as for_nothing,
               string_agg(p.id, ', ') filter (where charged and p.state = 'refunded') as not_back,
               string_agg(p.id, ', ') filter (where l.refunded_at is not null and p.state = 'completed') as given_back,
               string_agg(p.id, ', ') filter (where p.amount <> o.total_amount or p.currency <> o.total_currency
                                              or l.amount <> p.amount or l.currency <> p.currency) as other_amount
        from payment p left join sandbox_ledger l on l.payment_id = p.id
        cross join lateral (select l.charged_at is not null and l.refunded_at is null as charged) as c
        where p.order_id = o.id
    ) as p
    where o.id > $1 and o.id <= $2
      and ((o.status = 'confirmed') <> (p.completed > 0) or p.completed > 1 or (o.status = 'confirmed' and not p.has_its_own)
           or p.charged > 1 or p.for_nothing is not null or p.not_back is not null or p.given_back is not null
           or p.other_amount is not null)"#;

pub(super) async fn look(db: &mut Databases, rules: &Rules, found: &mut Findings) -> sqlx::Result<()> {
    let mut page = Page::START;
    while let Some(next) = page.next(&mut db.order).await? {
        page = next;
        let query = sqlx::query(PAGE).bind(page.after).bind(page.until).bind(rules.grace.as_secs_f64());
        let mut rows = query.fetch(&mut db.order);
        while let Some(row) = rows.try_next().await? {
            found.add(Offender::new("order", column::<Uuid>(&row, "id")?, column::<String>(&row, "wrong")?));
        }
    }
    let mut strange = sqlx::query(
        "select payment_id from sandbox_ledger l where not exists (select from payment p where p.id = l.payment_id)",
    )
    .fetch(&mut db.order);
    while let Some(row) = strange.try_next().await? {
        let id: String = column(&row, "payment_id")?;
        found.add(Offender::new("payment", id, "is in the provider's books, and nobody asked for it"));
    }
    drop(strange);
    let owed: i64 = sqlx::query_scalar("select count(*) from payment where state in ('refund-due', 'refunding')")
        .fetch_one(&mut db.order)
        .await?;
    found.note_some(u64::try_from(owed).unwrap_or(0), |count| format!("{count} refunds are under way"));
    Ok(())
}
