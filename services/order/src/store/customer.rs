//! The customers.

use chrono::{DateTime, Utc};
use contracts::values::CustomerId;
use messaging::tx::Head;
use sqlx::PgConnection;
use uuid::Uuid;

/// A customer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Customer {
    /// Which.
    pub id: CustomerId,
    /// How to address them.
    pub name: String,
    /// Where mails go.
    pub email: String,
    /// The sequence of the last event.
    pub version: i64,
    /// When they registered.
    pub created_at: DateTime<Utc>,
    /// When the last event happened.
    pub updated_at: DateTime<Utc>,
}

impl Customer {
    /// What the next event follows.
    pub fn head(&self) -> Head {
        Head { sequence: self.version, time: self.updated_at }
    }
}

/// The name of the constraint that an address taken by somebody else violates.
pub const EMAIL_TAKEN: &str = "customer_email";

/// Adds a customer.
///
/// # Errors
/// A violation of [`EMAIL_TAKEN`] when the address belongs to somebody.
pub async fn insert(conn: &mut PgConnection, customer: &Customer) -> sqlx::Result<()> {
    sqlx::query!(
        "insert into customer (id, name, email, version, created_at, updated_at) values ($1, $2, $3, $4, $5, $6)",
        customer.id.0,
        customer.name,
        customer.email,
        customer.version,
        customer.created_at,
        customer.updated_at,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Stores a changed customer.
///
/// # Errors
/// As [`insert`].
pub async fn update(conn: &mut PgConnection, customer: &Customer) -> sqlx::Result<()> {
    sqlx::query!(
        "update customer set name = $2, email = $3, version = $4, updated_at = $5 where id = $1",
        customer.id.0,
        customer.name,
        customer.email,
        customer.version,
        customer.updated_at,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// One customer.
///
/// # Errors
/// When the database refuses.
pub async fn find(conn: &mut PgConnection, id: CustomerId) -> sqlx::Result<Option<Customer>> {
    sqlx::query_as!(
        Customer,
        r#"select id as "id: Uuid", name, email, version, created_at, updated_at from customer where id = $1"#,
        id.0,
    )
    .fetch_optional(conn)
    .await
}

/// One customer, locked: not so that orders, which refer to it, would have to wait.
///
/// # Errors
/// When the database refuses.
pub async fn lock(conn: &mut PgConnection, id: CustomerId) -> sqlx::Result<Option<Customer>> {
    sqlx::query_as!(
        Customer,
        r#"select id as "id: Uuid", name, email, version, created_at, updated_at from customer where id = $1 for no key update"#,
        id.0,
    )
    .fetch_optional(conn)
    .await
}
