//! All SQL, one statement per function: here what the handlers write, in [`delivery`] what the senders do, in [`log`] what
//! is shown, in [`books`] whether it is right.

pub mod books;
pub mod delivery;
pub mod log;

use std::collections::HashMap;

use contracts::values::OrderId;
use sqlx::PgConnection;
use uuid::Uuid;

use delivery::Claimed;

/// A customer as an event described them.
#[derive(Debug, Clone)]
pub struct Recipient {
    /// Who.
    pub customer_id: Uuid,
    /// How to address them.
    pub name: String,
    /// Where their mails go.
    pub email: String,
    /// The event's sequence: what is known from a later one stands.
    pub sequence: i64,
}

/// A mail to be queued.
#[derive(Debug, Clone)]
pub struct NewMail {
    /// The event that sets it off.
    pub event_id: Uuid,
    /// The name of its template.
    pub template: &'static str,
    /// The order that it is about.
    pub order_id: Option<Uuid>,
    /// The customer whom it is for; `None` for the operators.
    pub customer_id: Option<Uuid>,
    /// The same for all that one request set off.
    pub correlation_id: String,
    /// The trace that it belongs to, if one is recorded.
    pub traceparent: Option<String>,
    /// See [`crate::mail::message_id`].
    pub message_id: String,
    /// See [`crate::mail::Content::to_json`].
    pub data: String,
}

/// Takes note of customers, unless something newer is known of them, and lets go the mails that waited for them.
///
/// The rows are locked in the order of the ids.
///
/// # Errors
/// When the database cannot be asked.
pub async fn note_recipients(conn: &mut PgConnection, recipients: Vec<Recipient>) -> sqlx::Result<()> {
    let (mut ids, mut names, mut emails, mut sequences) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for recipient in recipients {
        ids.push(recipient.customer_id);
        names.push(recipient.name);
        emails.push(recipient.email);
        sequences.push(recipient.sequence);
    }
    sqlx::query!(
        "with said as (
             select distinct on (customer_id) customer_id, name, email, sequence
             from unnest($1::uuid[], $2::text[], $3::text[], $4::bigint[]) as s (customer_id, name, email, sequence)
             order by customer_id, sequence desc
         ),
         noted as (
             insert into recipient (customer_id, name, email, sequence)
             select customer_id, name, email, sequence from said
             on conflict (customer_id) do update
             set name = excluded.name, email = excluded.email, sequence = excluded.sequence
             where recipient.sequence < excluded.sequence
         )
         update delivery set waits_for = null, due_at = now() where waits_for = any($1)",
        &ids,
        &names,
        &emails,
        &sequences,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Queues mails, each once per event and template. One whose customer is not known yet waits for them. The others are claimed
/// at once for the sender of that number, if there is one, and returned.
///
/// # Errors
/// When the database cannot be asked.
pub async fn queue(conn: &mut PgConnection, mails: Vec<NewMail>, sender: Option<i32>) -> sqlx::Result<Vec<Claimed>> {
    let ids: Vec<Uuid> = mails.iter().map(|_| Uuid::now_v7()).collect();
    let events: Vec<Uuid> = mails.iter().map(|mail| mail.event_id).collect();
    let templates: Vec<&str> = mails.iter().map(|mail| mail.template).collect();
    let orders: Vec<Option<Uuid>> = mails.iter().map(|mail| mail.order_id).collect();
    let customers: Vec<Option<Uuid>> = mails.iter().map(|mail| mail.customer_id).collect();
    let correlations: Vec<&str> = mails.iter().map(|mail| mail.correlation_id.as_str()).collect();
    let traces: Vec<Option<&str>> = mails.iter().map(|mail| mail.traceparent.as_deref()).collect();
    let message_ids: Vec<&str> = mails.iter().map(|mail| mail.message_id.as_str()).collect();
    let data: Vec<&str> = mails.iter().map(|mail| mail.data.as_str()).collect();
    let claimed = sqlx::query!(
        r#"with fresh as (
             insert into mail (id, event_id, template, order_id, customer_id, correlation_id, message_id, data, traceparent)
             select id, event_id, template, order_id, customer_id, correlation_id, message_id, data::json, traceparent
             from unnest($1::uuid[], $2::uuid[], $3::text[], $4::uuid[], $5::uuid[], $6::text[], $7::text[], $8::text[],
                         $9::text[])
                  as m (id, event_id, template, order_id, customer_id, correlation_id, message_id, data, traceparent)
             on conflict (event_id, template) do nothing
             returning id, customer_id
         ),
         addressed as (
             select id, name, email, case when recipient.customer_id is null then fresh.customer_id end as waits_for
             from fresh left join recipient using (customer_id)
         ),
         queued as (
             insert into delivery (mail_id, waits_for, sender, claimed_at)
             select id, waits_for, case when waits_for is null then $10::integer end,
                    case when waits_for is null and $10 is not null then now() end
             from addressed
         )
         select id as "id!", name as "name?", email as "email?" from addressed where waits_for is null and $10 is not null"#,
        &ids,
        &events,
        &templates as &[&str],
        &orders as &[Option<Uuid>],
        &customers as &[Option<Uuid>],
        &correlations as &[&str],
        &message_ids as &[&str],
        &data as &[&str],
        &traces as &[Option<&str>],
        sender,
    )
    .fetch_all(conn)
    .await?;
    let mut mails: HashMap<Uuid, NewMail> = ids.into_iter().zip(mails).collect();
    let claimed = claimed.into_iter().filter_map(|row| Some((mails.remove(&row.id)?, row.id, row.name, row.email)));
    Ok(claimed.map(|(mail, id, name, email)| mail.claimed(id, name, email)).collect())
}

impl NewMail {
    /// The mail as its sender takes it.
    fn claimed(self, id: Uuid, name: Option<String>, email: Option<String>) -> Claimed {
        Claimed {
            id,
            template: self.template.to_owned(),
            order_id: self.order_id.map(OrderId),
            customer_id: self.customer_id,
            correlation_id: self.correlation_id,
            traceparent: self.traceparent,
            message_id: self.message_id,
            data: self.data,
            attempts: 0,
            in_doubt: false,
            name,
            email,
        }
    }
}
