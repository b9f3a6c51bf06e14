//! What the senders do: claim mails, record what became of them, and find the claims of senders that are no more.

use std::collections::HashSet;
use std::time::Duration;

use contracts::values::OrderId;
use sqlx::PgConnection;
use uuid::Uuid;

/// The first half of the advisory locks on which senders show that they live: "mail". The second is the sender's number.
const SENDER_LOCK: i32 = 0x6d61_696c;

/// A mail that a sender holds, with everything that it needs.
#[derive(Debug, Clone)]
pub struct Claimed {
    /// Which mail.
    pub id: Uuid,
    /// The name of its template.
    pub template: String,
    /// The order that it is about.
    pub order_id: Option<OrderId>,
    /// The customer whom it is for; `None` for the operators.
    pub customer_id: Option<Uuid>,
    /// The same for all that one request set off.
    pub correlation_id: String,
    /// The trace that it belongs to, if one was recorded.
    pub traceparent: Option<String>,
    /// The same at every sending.
    pub message_id: String,
    /// See [`crate::mail::Content::from_json`].
    pub data: String,
    /// How often it was handed over before.
    pub attempts: i16,
    /// Whether the answer to the last handing over was lost.
    pub in_doubt: bool,
    /// How to address the recipient, as known now.
    pub name: Option<String>,
    /// Where it goes, as known now.
    pub email: Option<String>,
}

/// What became of a claimed mail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settled {
    /// Which mail.
    pub id: Uuid,
    /// Its status from now on.
    pub status: &'static str,
    /// How often it was handed over by now.
    pub attempts: i16,
    /// Where it went.
    pub recipient: Option<String>,
    /// Why it is not sent.
    pub error: Option<String>,
    /// The page as it was handed over.
    pub html: Option<String>,
    /// When it is due again; `None` when it is done with.
    pub again: Option<Duration>,
}

/// A mail whose sender stopped.
#[derive(Debug, Clone)]
pub struct LeftBehind {
    /// The name of its template.
    pub template: String,
    /// The order that it is about.
    pub order_id: Option<Uuid>,
    /// The same for all that one request set off.
    pub correlation_id: String,
}

/// A new sender's number.
///
/// # Errors
/// When the database cannot be asked.
pub async fn next_sender(conn: &mut PgConnection) -> sqlx::Result<i32> {
    sqlx::query_scalar!(r#"select nextval('sender_number')::integer as "number!""#).fetch_one(conn).await
}

/// Makes `conn` the session of a sender, if no other session is it: as long as it lasts, the sender lives.
///
/// The server notices within seconds when the sender's machine is gone. The planner is told what it cannot know: that
/// these statements find few rows among many, whenever they were planned.
///
/// # Errors
/// When the database cannot be asked.
pub async fn become_sender(conn: &mut PgConnection, sender: i32) -> sqlx::Result<bool> {
    sqlx::query!(
        "select set_config(name, value, false)
         from (values ('tcp_keepalives_idle', '5'), ('tcp_keepalives_interval', '2'), ('tcp_keepalives_count', '3'),
                      ('plan_cache_mode', 'force_generic_plan'), ('enable_seqscan', 'off'), ('enable_hashjoin', 'off'),
                      ('enable_mergejoin', 'off')) as setting (name, value)"
    )
    .fetch_all(&mut *conn)
    .await?;
    sqlx::query_scalar!(r#"select pg_try_advisory_lock($1, $2) as "locked!""#, SENDER_LOCK, sender)
        .fetch_one(conn)
        .await
}

/// Claims up to `limit` of the mails that are due, the longest due first.
///
/// # Errors
/// When the database cannot be asked.
pub async fn claim(conn: &mut PgConnection, sender: i32, limit: usize) -> sqlx::Result<Vec<Claimed>> {
    let rows = sqlx::query!(
        r#"with due as (
               select mail_id from delivery
               where waits_for is null and due_at <= now() and sender is null
               order by due_at limit $2 for update skip locked
           ),
           claimed as (
               update delivery set sender = $1, claimed_at = now() from due where delivery.mail_id = due.mail_id
               returning delivery.mail_id
           )
           select mail.id, template, order_id, mail.customer_id, correlation_id, traceparent, message_id,
                  data::text as "data!", attempts,
                  status = 'in-doubt' as "in_doubt!", name as "name?", email as "email?"
           from claimed join mail on mail.id = claimed.mail_id left join recipient using (customer_id)"#,
        sender,
        i64::try_from(limit).unwrap_or(i64::MAX),
    )
    .fetch_all(conn)
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| Claimed {
            id: row.id,
            template: row.template,
            order_id: row.order_id.map(OrderId),
            customer_id: row.customer_id,
            correlation_id: row.correlation_id,
            traceparent: row.traceparent,
            message_id: row.message_id,
            data: row.data,
            attempts: row.attempts,
            in_doubt: row.in_doubt,
            name: row.name,
            email: row.email,
        })
        .collect())
}

/// Records what became of mails, and returns those that it could be recorded of: not one that was taken over from this
/// sender and is being sent by another.
///
/// # Errors
/// When the database cannot be asked. A repetition does no harm.
pub async fn settle(conn: &mut PgConnection, sender: i32, results: &[Settled]) -> sqlx::Result<HashSet<Uuid>> {
    let ids: Vec<Uuid> = results.iter().map(|result| result.id).collect();
    let statuses: Vec<&str> = results.iter().map(|result| result.status).collect();
    let attempts: Vec<i16> = results.iter().map(|result| result.attempts).collect();
    let recipients: Vec<Option<&str>> = results.iter().map(|result| result.recipient.as_deref()).collect();
    let errors: Vec<Option<&str>> = results.iter().map(|result| result.error.as_deref()).collect();
    let pages: Vec<Option<&str>> = results.iter().map(|result| result.html.as_deref()).collect();
    let again: Vec<Option<f64>> = results.iter().map(|result| result.again.map(|wait| wait.as_secs_f64())).collect();
    let settled = sqlx::query_scalar!(
        "with result as (
             select * from unnest($2::uuid[], $3::text[], $4::smallint[], $5::text[], $6::text[], $7::text[], $8::float8[])
                           as r (id, status, attempts, recipient, error, html, again)
         ),
         done as (
             delete from delivery using result
             where mail_id = result.id and again is null and coalesce(sender, $1) = $1
             returning mail_id
         ),
         later as (
             update delivery set sender = null, claimed_at = null, due_at = now() + make_interval(secs => again) from result
             where mail_id = result.id and again is not null and coalesce(sender, $1) = $1
             returning mail_id
         )
         update mail
         set status = result.status, attempts = result.attempts, error = result.error, answered_at = clock_timestamp(),
             recipient = coalesce(result.recipient, mail.recipient), html = coalesce(result.html, mail.html)
         from result
         where mail.id = result.id and result.id in (select mail_id from done union all select mail_id from later)
         returning mail.id",
        sender,
        &ids,
        &statuses as &[&str],
        &attempts,
        &recipients as &[Option<&str>],
        &errors as &[Option<&str>],
        &pages as &[Option<&str>],
        &again as &[Option<f64>],
    )
    .fetch_all(conn)
    .await?;
    Ok(settled.into_iter().collect())
}

/// Gives back mails that were certainly not handed over, due after `wait`.
///
/// # Errors
/// When the database cannot be asked. A repetition does no harm.
pub async fn give_back(conn: &mut PgConnection, sender: i32, mails: &[Uuid], wait: Duration) -> sqlx::Result<()> {
    sqlx::query!(
        "update delivery
         set sender = null, claimed_at = null, due_at = greatest(due_at, now() + make_interval(secs => $3))
         where mail_id = any($2) and sender = $1",
        sender,
        mails,
        wait.as_secs_f64(),
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Gives back what a sender holds without knowing it: all but `held`. It was certainly not handed over.
///
/// # Errors
/// When the database cannot be asked.
pub async fn disown(conn: &mut PgConnection, sender: i32, held: &[Uuid]) -> sqlx::Result<()> {
    sqlx::query!(
        "update delivery set sender = null, claimed_at = null
         where waits_for is null and sender = $1 and mail_id <> all ($2)",
        sender,
        held,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// The senders that hold mails although their session has ended.
///
/// # Errors
/// When the database cannot be asked.
pub async fn absent_senders(conn: &mut PgConnection) -> sqlx::Result<Vec<i32>> {
    sqlx::query_scalar!(
        r#"select distinct sender as "sender!" from delivery
           where waits_for is null and sender is not null and not exists (
               select from pg_locks
               where locktype = 'advisory' and objsubid = 2 and classid = $1::integer::oid and objid = sender::oid
                 and database = (select oid from pg_database where datname = current_database()))"#,
        SENDER_LOCK,
    )
    .fetch_all(conn)
    .await
}

/// Takes from `senders`, and from whoever has held one for longer than `lease`, what they hold. Perhaps it was handed
/// over: it is in doubt, and due at once.
///
/// # Errors
/// When the database cannot be asked.
pub async fn take_over(conn: &mut PgConnection, senders: &[i32], lease: Duration) -> sqlx::Result<Vec<LeftBehind>> {
    sqlx::query_as!(
        LeftBehind,
        "with left_behind as (
             update delivery set sender = null, claimed_at = null, due_at = now()
             where waits_for is null and sender is not null
               and (sender = any($1) or claimed_at < now() - make_interval(secs => $2))
             returning mail_id
         )
         update mail
         set status = 'in-doubt', attempts = attempts + 1, answered_at = clock_timestamp(),
             error = 'its sender stopped before it recorded the answer'
         from left_behind where id = mail_id
         returning template, order_id, correlation_id",
        senders,
        lease.as_secs_f64(),
    )
    .fetch_all(conn)
    .await
}

/// Lets go the mails that wait for a customer who is known. The handlers do that; but where a customer and their order
/// are handled at the same moment by two copies of this service, neither sees the other's row.
///
/// # Errors
/// When the database cannot be asked.
pub async fn release_waiting(conn: &mut PgConnection) -> sqlx::Result<u64> {
    let released = sqlx::query!(
        "update delivery set waits_for = null, due_at = now() from recipient where waits_for = recipient.customer_id"
    )
    .execute(conn)
    .await?;
    Ok(released.rows_affected())
}
