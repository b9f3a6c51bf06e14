//! All SQL, one statement per function: here what the handlers write, in [`delivery`] what the senders do, in [`log`] what
//! is shown, in [`books`] whether it is right.

pub mod books;
pub mod delivery;
pub mod log;

use sqlx::PgConnection;
use uuid::Uuid;

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

/// Queues mails, each once per event and template. One whose customer is not known yet waits for them.
///
/// # Errors
/// When the database cannot be asked.
pub async fn queue(conn: &mut PgConnection, mails: Vec<NewMail>) -> sqlx::Result<()> {
    let count = mails.len();
    let (mut ids, mut events, mut templates) =
        (Vec::with_capacity(count), Vec::with_capacity(count), Vec::with_capacity(count));
    let (mut orders, mut customers, mut correlations) =
        (Vec::with_capacity(count), Vec::with_capacity(count), Vec::with_capacity(count));
    let (mut traces, mut message_ids, mut data) =
        (Vec::with_capacity(count), Vec::with_capacity(count), Vec::with_capacity(count));
    for mail in mails {
        ids.push(Uuid::now_v7());
        events.push(mail.event_id);
        templates.push(mail.template);
        orders.push(mail.order_id);
        customers.push(mail.customer_id);
        correlations.push(mail.correlation_id);
        traces.push(mail.traceparent);
        message_ids.push(mail.message_id);
        data.push(mail.data);
    }
    sqlx::query!(
        "with fresh as (
             insert into mail (id, event_id, template, order_id, customer_id, correlation_id, message_id, data, traceparent)
             select id, event_id, template, order_id, customer_id, correlation_id, message_id, data::json, traceparent
             from unnest($1::uuid[], $2::uuid[], $3::text[], $4::uuid[], $5::uuid[], $6::text[], $7::text[], $8::text[],
                         $9::text[])
                  as m (id, event_id, template, order_id, customer_id, correlation_id, message_id, data, traceparent)
             on conflict (event_id, template) do nothing
             returning id, customer_id
         )
         insert into delivery (mail_id, waits_for)
         select fresh.id, case when recipient.customer_id is null then fresh.customer_id end
         from fresh left join recipient using (customer_id)",
        &ids,
        &events,
        &templates as &[&str],
        &orders as &[Option<Uuid>],
        &customers as &[Option<Uuid>],
        &correlations,
        &message_ids,
        &data,
        &traces as &[Option<String>],
    )
    .execute(conn)
    .await?;
    Ok(())
}
