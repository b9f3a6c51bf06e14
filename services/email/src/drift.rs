//! Whether each order has at most one mail of a kind, and each mail that is not sent is still to be sent: some mails a
//! minute, all of them in turn.

use service_kit::drift::{Book, Drift, Look};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::store::books::{self, Looked};

/// How many mails of the whole are looked at at once.
const IN_TURN: i64 = 200;

/// How many that were wrong are looked at again.
const AGAIN: usize = 50;

/// The walk through the mails.
#[derive(Debug)]
pub struct Books {
    /// Of several mails about the same, all but the first are wrong.
    once: Book,
    to_be_sent: Book,
    after: Uuid,
}

impl Books {
    /// Begins at the oldest.
    pub fn new(drift: &Drift) -> Self {
        Self { once: drift.book("mails-once"), to_be_sent: drift.book("mails-to-be-sent"), after: Uuid::nil() }
    }

    /// How many mails are known to be one too many, and how many nobody will send.
    pub fn wrong(&self) -> (i64, i64) {
        (self.once.count(), self.to_be_sent.count())
    }
}

impl Look for Books {
    async fn look(&mut self, conn: &mut PgConnection) -> sqlx::Result<()> {
        let again = [self.once.wrong(AGAIN), self.to_be_sent.wrong(AGAIN)].concat();
        let again: Vec<Uuid> = again.iter().filter_map(|id| id.parse().ok()).collect();
        let mails = books::look(conn, self.after, IN_TURN, &again).await?;
        let is_next = |mail: &&Looked| mail.id > self.after && !again.contains(&mail.id);
        self.after = mails.iter().filter(is_next).map(|mail| mail.id).max().unwrap_or(Uuid::nil());
        for mail in mails {
            let id = mail.id.to_string();
            self.once.note(&id, mail.is_second.then(|| format!("not the first {} of its order", mail.template)));
            self.to_be_sent.note(&id, mail.is_forgotten.then(|| "queued, and nobody will send it".to_owned()));
        }
        Ok(())
    }
}
