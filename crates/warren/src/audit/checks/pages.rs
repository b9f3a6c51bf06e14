//! Walking through the orders in pages, so that neither this program nor a server holds all of them at once.

use sqlx::PgConnection;
use uuid::Uuid;

use crate::audit::databases::LAST;

/// The orders of a page: their events and payments are looked up one by one, in some tens of milliseconds.
const PAGE: i64 = 5000;

/// A page: the orders after `after`, up to and with `until`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Page {
    pub(super) after: Uuid,
    pub(super) until: Uuid,
}

impl Page {
    /// The one before the first.
    pub(super) const START: Page = Page { after: Uuid::nil(), until: Uuid::nil() };

    /// The next page; none after the last, which ends with the largest id there can be.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub(super) async fn next(self, order: &mut PgConnection) -> sqlx::Result<Option<Page>> {
        if self.until == LAST {
            return Ok(None);
        }
        let until: Option<Uuid> =
            sqlx::query_scalar("select id from orders where id > $1 order by id offset $2 limit 1")
                .bind(self.until)
                .bind(PAGE - 1)
                .fetch_optional(order)
                .await?;
        Ok(Some(Page { after: self.until, until: until.unwrap_or(LAST) }))
    }
}
