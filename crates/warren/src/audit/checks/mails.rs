//! There is one mail for each confirmed and each cancelled order whose event email has had, none for others, and each that
//! is not sent is still to be sent. What is in doubt or failed is told.

use contracts::event::{Event, Service};
use contracts::order::{OrderCancelled, OrderConfirmed};
use futures_util::TryStreamExt;
use sqlx::Row;
use uuid::Uuid;

use super::log::{self, Wanted};
use crate::audit::Rules;
use crate::audit::databases::{Databases, column};
use crate::audit::finding::{Findings, Offender};

/// The templates of the mails about orders, with the events that they are about.
const TEMPLATES: [(&str, &str); 2] =
    [("order-confirmed", OrderConfirmed::TYPE), ("order-cancelled", OrderCancelled::TYPE)];

pub(super) async fn look(db: &mut Databases, rules: &Rules, found: &mut Findings) -> sqlx::Result<()> {
    one_each(db, rules, found).await?;
    for_nothing(db, rules, found).await?;
    never_sent(db, found).await?;
    tell(db, found).await
}

/// Looks for events without a mail, or with several.
async fn one_each(db: &mut Databases, rules: &Rules, found: &mut Findings) -> sqlx::Result<()> {
    let types = TEMPLATES.map(|(_, event)| event);
    let wanted = Wanted { types: &types, grace: rules.grace, retention: rules.inbox_retention };
    let mut position = 0;
    while let Some((mut events, last)) = log::page(db.of(Service::Order), &wanted, position).await? {
        position = last;
        // about an order that `order` does not know nobody is mailed
        events.retain(|event| event.has_customer);
        let template =
            |event: &log::Event| if event.event_type == TEMPLATES[0].1 { TEMPLATES[0].0 } else { TEMPLATES[1].0 };
        let ids: Vec<Uuid> = events.iter().map(|event| event.id).collect();
        let orders: Vec<Uuid> = events.iter().map(|event| event.subject.parse().unwrap_or_default()).collect();
        let templates: Vec<&str> = events.iter().map(template).collect();
        let old: Vec<bool> = events.iter().map(|event| event.old).collect();
        let rows = sqlx::query(
            "select e.order_id, e.template, m.mails
             from unnest($1::uuid[], $2::uuid[], $3::text[], $4::boolean[]) as e (id, order_id, template, old)
             cross join lateral (
                 select count(*) as mails, count(*) filter (where event_id = e.id) as own
                 from mail where order_id = e.order_id and template = e.template
             ) as m
             where (m.mails <> 1 or m.own <> 1) and (e.old or exists (select from inbox i where i.id = e.id))",
        )
        .bind(&ids)
        .bind(&orders)
        .bind(&templates)
        .bind(&old)
        .fetch_all(&mut db.email)
        .await?;
        for row in rows {
            let (mails, template): (i64, String) = (column(&row, "mails")?, column(&row, "template")?);
            let detail = match mails {
                0 => format!("has no mail {template}"),
                1 => format!("has a mail {template}, about another event"),
                _ => format!("has {mails} mails {template}"),
            };
            found.add(Offender::new("order", column::<Uuid>(&row, "order_id")?, detail));
        }
    }
    Ok(())
}

/// Looks for mails about what never happened.
async fn for_nothing(db: &mut Databases, rules: &Rules, found: &mut Findings) -> sqlx::Result<()> {
    let (templates, types) = (TEMPLATES.map(|(template, _)| template), TEMPLATES.map(|(_, event)| event));
    let mut after = Uuid::nil();
    loop {
        let rows = sqlx::query(
            "select m.id, m.event_id, m.order_id, t.event
             from mail m join unnest($2::text[], $3::text[]) as t (template, event) using (template)
             where m.id > $1 and m.order_id is not null and m.created_at < now() - make_interval(secs => $4)
             order by m.id limit 5000",
        )
        .bind(after)
        .bind(&templates[..])
        .bind(&types[..])
        .bind(rules.grace.as_secs_f64())
        .fetch_all(&mut db.email)
        .await?;
        let Some(last) = rows.last() else { return Ok(()) };
        after = last.try_get("id")?;
        let ids = |name| rows.iter().map(|row| row.try_get(name)).collect::<sqlx::Result<Vec<Uuid>>>();
        let events = rows.iter().map(|row| row.try_get("event")).collect::<sqlx::Result<Vec<String>>>()?;
        let wrong = sqlx::query(
            "select m.id, m.order_id, m.type from unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::text[])
                  as m (id, event_id, order_id, type)
             where not exists (select from event e
                               where e.subject = m.order_id::text and e.id = m.event_id and e.type = m.type)",
        )
        .bind(ids("id")?)
        .bind(ids("event_id")?)
        .bind(ids("order_id")?)
        .bind(&events)
        .fetch_all(&mut db.order)
        .await?;
        for row in wrong {
            let (order, event): (Uuid, String) = (column(&row, "order_id")?, column(&row, "type")?);
            let detail = format!("is about order {order}, which has no such {event}");
            found.add(Offender::new("mail", column::<Uuid>(&row, "id")?, detail));
        }
    }
}

/// Looks for mails that nobody will send, and for those that will be sent again although they have ended.
async fn never_sent(db: &mut Databases, found: &mut Findings) -> sqlx::Result<()> {
    let mut rows = sqlx::query(
        "select id, status from mail m
         where status = 'queued' and not exists (select from delivery d where d.mail_id = m.id)
         union all
         select d.mail_id, m.status from delivery d left join mail m on m.id = d.mail_id
         where m.status is null or m.status not in ('queued', 'in-doubt')",
    )
    .fetch(&mut db.email);
    while let Some(row) = rows.try_next().await? {
        let status = column::<Option<String>>(&row, "status")?;
        let detail = match status.as_deref() {
            Some("queued") => "is queued, and nobody will send it".to_owned(),
            Some(status) => format!("is {status}, and will be sent again"),
            None => "is to be sent, and is not there".to_owned(),
        };
        found.add(Offender::new("mail", column::<Uuid>(&row, "id")?, detail));
    }
    Ok(())
}

/// What breaks no promise, and that a person should know.
async fn tell(db: &mut Databases, found: &mut Findings) -> sqlx::Result<()> {
    let rows = sqlx::query(
        "select status, count(*) as mails from mail
         where error is not null and status in ('in-doubt', 'failed') group by status order by status",
    )
    .fetch_all(&mut db.email)
    .await?;
    for row in rows {
        let (status, mails): (String, i64) = (column(&row, "status")?, column(&row, "mails")?);
        found.note(match status.as_str() {
            "failed" => format!("{mails} mails failed for good"),
            _ => format!("{mails} mails are in doubt: the mail server's answer was lost"),
        });
    }
    let waiting: i64 = sqlx::query_scalar("select count(*) from delivery").fetch_one(&mut db.email).await?;
    found.note_some(u64::try_from(waiting).unwrap_or(0), |count| format!("{count} mails are still to be sent"));
    Ok(())
}
