//! The three databases, opened for reading and nothing else. This folder is the one place of the command line that sees a
//! database, and the one program that sees all three.
//!
//! Its queries are checked when they run and not when they are compiled: the data for that belongs to one database per
//! crate, and here are three.

use anyhow::Context;
use contracts::event::Service;
use sqlx::postgres::{PgConnectOptions, PgRow};
use sqlx::{ConnectOptions, Connection, PgConnection, Row};
use uuid::Uuid;

use crate::failure::Usage;

/// What a session is set to. Nothing can be written. Every statement is a transaction of its own, so an audit that takes
/// minutes holds back no vacuum. A check that goes through everything sorts and hashes more than usual.
const SESSION: [(&str, &str); 3] = [("default_transaction_read_only", "on"), ("work_mem", "64MB"), ("jit", "off")];

/// The largest id: the end of the last page.
pub(super) const LAST: Uuid = Uuid::max();

/// A connection to each.
#[derive(Debug)]
pub(super) struct Databases {
    pub(super) order: PgConnection,
    pub(super) inventory: PgConnection,
    pub(super) email: PgConnection,
}

impl Databases {
    /// Opens them; `urls` are those of order, inventory and email.
    ///
    /// # Errors
    /// [`Usage`] for what is no address; else when one cannot be reached.
    pub(super) async fn open(urls: &[String; 3]) -> anyhow::Result<Self> {
        let [order, inventory, email] = urls;
        Ok(Self {
            order: open(Service::Order, order).await?,
            inventory: open(Service::Inventory, inventory).await?,
            email: open(Service::Email, email).await?,
        })
    }

    /// The one of a service.
    pub(super) fn of(&mut self, service: Service) -> &mut PgConnection {
        match service {
            Service::Order => &mut self.order,
            Service::Inventory => &mut self.inventory,
            Service::Email => &mut self.email,
        }
    }

    /// Says goodbye.
    pub(super) async fn close(self) {
        let _ = tokio::join!(self.order.close(), self.inventory.close(), self.email.close());
    }
}

async fn open(service: Service, url: &str) -> anyhow::Result<PgConnection> {
    let name = service.name().to_uppercase();
    // not with the parser's own words: they could repeat the password
    let options: PgConnectOptions = url.parse().map_err(|_| {
        Usage(format!("{name}_DATABASE_URL: not an address such as postgres://USER:PASSWORD@HOST/DATABASE"))
    })?;
    let options = options.application_name("warren audit").options(SESSION).disable_statement_logging();
    options.connect().await.with_context(|| format!("cannot read the database of {service} ({name}_DATABASE_URL)"))
}

/// A column of a row; the query and the type stand next to each other, so a mismatch is a mistake of this program.
///
/// # Errors
/// When there is no such column, or it is of another type.
pub(super) fn column<'r, T>(row: &'r PgRow, name: &str) -> sqlx::Result<T>
where
    T: sqlx::Decode<'r, sqlx::Postgres> + sqlx::Type<sqlx::Postgres>,
{
    row.try_get(name)
}
