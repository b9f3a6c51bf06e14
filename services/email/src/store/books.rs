//! Whether mails are as they should be.

use sqlx::PgConnection;
use uuid::Uuid;

/// A mail that was looked at.
#[derive(Debug, Clone)]
pub struct Looked {
    /// Which.
    pub id: Uuid,
    /// The name of its template.
    pub template: String,
    /// Whether its order has an earlier one of that template.
    pub is_second: bool,
    /// Whether it is queued and nobody will send it.
    pub is_forgotten: bool,
}

/// Looks at the mails after an id, at most `limit`, and at those with these ids.
///
/// # Errors
/// When the database cannot be asked.
pub async fn look(conn: &mut PgConnection, after: Uuid, limit: i64, more: &[Uuid]) -> sqlx::Result<Vec<Looked>> {
    sqlx::query_as!(
        Looked,
        r#"select m.id, m.template,
                  exists (select from mail o
                          where o.order_id = m.order_id and o.template = m.template and o.id < m.id) as "is_second!",
                  m.status = 'queued'
                  and not exists (select from delivery d where d.mail_id = m.id) as "is_forgotten!"
           from mail m
           where m.id in (select id from mail where id > $1 order by id limit $2) or m.id = any($3) order by m.id"#,
        after,
        limit,
        more,
    )
    .fetch_all(conn)
    .await
}
