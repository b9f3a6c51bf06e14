//! What is shown: the log of mails, a mail's page, and what operators ask for.

use chrono::{DateTime, Utc};
use sqlx::{FromRow, PgConnection, Postgres, QueryBuilder};
use uuid::Uuid;

/// A mail in the log.
#[derive(Debug, Clone, FromRow)]
pub struct Logged {
    /// Which mail; sorts by when it was queued.
    pub id: Uuid,
    /// The name of its template.
    pub template: String,
    /// The order that it is about.
    pub order_id: Option<Uuid>,
    /// The customer whom it is for; `None` for the operators.
    pub customer_id: Option<Uuid>,
    /// Where it went, or would go now; `None` where that is not known, or not known here.
    pub recipient: Option<String>,
    /// `queued`, `in-doubt`, `sent` or `failed`.
    pub status: String,
    /// How often it was handed over.
    pub attempts: i16,
    /// Its `Message-ID`.
    pub message_id: String,
    /// Why it is not sent.
    pub error: Option<String>,
    /// When it was queued.
    pub created_at: DateTime<Utc>,
    /// When the last answer, or its loss, was recorded.
    pub answered_at: Option<DateTime<Utc>>,
}

/// Which mails to list; all where nothing is named.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// Those about this order.
    pub order_id: Option<Uuid>,
    /// Those for this customer.
    pub customer_id: Option<Uuid>,
    /// Those of this status.
    pub status: Option<&'static str>,
    /// Those queued before this one.
    pub before: Option<Uuid>,
}

/// Lists mails, newest first.
///
/// The statement is put together from what is asked for: a single one for all filters would have one plan for all.
///
/// # Errors
/// When the database cannot be asked.
pub async fn list(conn: &mut PgConnection, filter: &Filter, limit: i64) -> sqlx::Result<Vec<Logged>> {
    let mut query = QueryBuilder::<Postgres>::new(
        "select id, template, order_id, mail.customer_id, coalesce(recipient, email) as recipient, status, attempts,
                message_id, error, created_at, answered_at
         from mail left join recipient using (customer_id) where true",
    );
    if let Some(order_id) = filter.order_id {
        query.push(" and order_id = ").push_bind(order_id);
    }
    if let Some(customer_id) = filter.customer_id {
        query.push(" and mail.customer_id = ").push_bind(customer_id);
    }
    if let Some(before) = filter.before {
        query.push(" and id < ").push_bind(before);
    }
    if let Some(status) = filter.status {
        query.push(" and status = ").push_bind(status);
        // What is rare has an index, which is found by what else is true of it.
        query.push(match status {
            "queued" => " and id in (select mail_id from delivery)",
            "sent" => "",
            _ => " and error is not null",
        });
    }
    query.push(" order by id desc limit ").push_bind(limit);
    query.build_query_as().fetch_all(conn).await
}

/// What is needed to show a mail's page.
#[derive(Debug, Clone)]
pub struct Page {
    /// The name of its template.
    pub template: String,
    /// The order that it is about.
    pub order_id: Option<Uuid>,
    /// See [`crate::mail::Content::from_json`].
    pub data: String,
    /// How its recipient is addressed, as known now.
    pub name: Option<String>,
    /// The page as it was handed over.
    pub html: Option<String>,
}

/// A mail's page, or what it is made of.
///
/// # Errors
/// When the database cannot be asked.
pub async fn page(conn: &mut PgConnection, id: Uuid) -> sqlx::Result<Option<Page>> {
    sqlx::query_as!(
        Page,
        r#"select template, order_id, data::text as "data!", name as "name?", html
           from mail left join recipient using (customer_id) where id = $1"#,
        id,
    )
    .fetch_optional(conn)
    .await
}

/// A mail as a step of an order.
#[derive(Debug, Clone)]
pub struct Step {
    /// The event that set it off.
    pub event_id: Uuid,
    /// The name of its template.
    pub template: String,
    /// See [`Logged::status`].
    pub status: String,
    /// How often it was handed over.
    pub attempts: i16,
    /// Why it is not sent.
    pub error: Option<String>,
    /// When it was queued.
    pub created_at: DateTime<Utc>,
    /// When the last answer, or its loss, was recorded.
    pub answered_at: Option<DateTime<Utc>>,
}

/// The mails about an order, oldest first.
///
/// # Errors
/// When the database cannot be asked.
pub async fn steps(conn: &mut PgConnection, order_id: Uuid) -> sqlx::Result<Vec<Step>> {
    sqlx::query_as!(
        Step,
        "select event_id, template, status, attempts, error, created_at, answered_at
         from mail where order_id = $1 order by id",
        order_id,
    )
    .fetch_all(conn)
    .await
}

/// A mail about an order that should be gone by now.
#[derive(Debug, Clone)]
pub struct Stuck {
    /// Which order.
    pub order_id: Uuid,
    /// When the mail was queued.
    pub since: DateTime<Utc>,
    /// The name of its template.
    pub template: String,
    /// Whether its recipient is not known.
    pub waits_for_recipient: bool,
    /// How often it was handed over.
    pub attempts: i16,
    /// The last answer.
    pub error: Option<String>,
}

/// The mails about orders that were queued before `before` and are still not gone, the oldest first, at most 200.
///
/// # Errors
/// When the database cannot be asked.
pub async fn stuck(conn: &mut PgConnection, before: DateTime<Utc>) -> sqlx::Result<Vec<Stuck>> {
    sqlx::query_as!(
        Stuck,
        r#"select order_id as "order_id!", created_at as since, template, waits_for is not null as "waits_for_recipient!",
                  attempts, error
           from delivery join mail on id = mail_id
           where order_id is not null and created_at < $1
           order by id limit 200"#,
        before,
    )
    .fetch_all(conn)
    .await
}
