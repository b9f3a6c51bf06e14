//! The sender's own connection to the database. While it lasts, the sender lives: everybody can see that by the advisory
//! lock on its number, and nothing is claimed over any other connection.

use std::time::Duration;

use sqlx::{PgConnection, PgPool};
use tokio::time::timeout;
use uuid::Uuid;

use crate::store::delivery;

/// How long opening may take; a server that is away without a word is found out in this way.
const OPEN_TIMEOUT: Duration = Duration::from_secs(5);

/// A sender's session.
#[derive(Debug)]
pub(super) struct Session {
    /// The connection.
    pub(super) conn: PgConnection,
    /// The sender's number.
    pub(super) sender: i32,
}

impl Session {
    /// Opens a session for a new sender, or again for one that was `known`.
    ///
    /// Of what the database thinks a known sender holds, all but `held` is given back: its claim was committed, but the
    /// answer was lost with the session before.
    ///
    /// # Errors
    /// When the database cannot be asked, or still holds on to the session before.
    pub(super) async fn open(pool: &PgPool, known: Option<i32>, held: &[Uuid]) -> sqlx::Result<Self> {
        let opened = timeout(OPEN_TIMEOUT, async {
            let mut conn = pool.acquire().await?.detach();
            let sender = match known {
                Some(sender) => sender,
                None => delivery::next_sender(&mut conn).await?,
            };
            if !delivery::become_sender(&mut conn, sender).await? {
                return Err(sqlx::Error::Protocol("the sender's session before this one has not ended yet".to_owned()));
            }
            if known.is_some() {
                delivery::disown(&mut conn, sender, held).await?;
            }
            Ok(Self { conn, sender })
        });
        opened.await.unwrap_or(Err(sqlx::Error::PoolTimedOut))
    }
}
