//! [`Tx`]: a PostgreSQL transaction that one can publish from.
//!
//! Who holds a `&mut PgConnection` can read and write rows; who holds a `&mut Tx` can also publish; who holds a `Tx` can
//! also commit. Nobody can publish outside of a transaction, so a change and its events are stored together or not at all.

use std::fmt;
use std::ops::{Deref, DerefMut};
use std::sync::Arc;

use chrono::{DateTime, Utc};
use contracts::event::{Event, MAX_EVENT_BYTES, Service};
use contracts::values::EventId;
use sqlx::{PgConnection, PgPool, Postgres, Transaction};
use tokio::sync::Notify;

use crate::context::Context;
use crate::event_log::{self, LoggedEvent};
use crate::failpoint;
use crate::outbox::Outbox;
use crate::trace::Created;

/// What an event's envelope weighs beside its data, at most: room for the longest texts that it may hold.
const ENVELOPE_OVERHEAD: usize = 4 * 1024;

/// A service's database: where its rows, its events and its inbox are.
#[derive(Debug, Clone)]
pub struct Database {
    pool: PgPool,
    service: Service,
    outbox: Arc<Outbox>,
}

impl Database {
    /// The database of `service`; `outbox_max` is the number of unpublished events at which [`Outbox::admit`] refuses.
    pub fn new(pool: PgPool, service: Service, outbox_max: u64) -> Self {
        Self { pool, service, outbox: Arc::new(Outbox::new(outbox_max)) }
    }

    /// Begins a transaction; `context` is what its events inherit.
    ///
    /// # Errors
    /// When the database is away or no connection is free in time.
    pub async fn begin(&self, context: Context) -> sqlx::Result<Tx> {
        let inner = self.pool.begin().await?;
        Ok(Tx {
            inner,
            outbox: Arc::clone(&self.outbox),
            context,
            now: None,
            events: Vec::new(),
            created: Created::default(),
            wake: Vec::new(),
            on_commit: Actions::default(),
        })
    }

    /// The connections, for reading.
    pub fn pool(&self) -> &PgPool {
        &self.pool
    }

    /// Whose database it is.
    pub fn service(&self) -> Service {
        self.service
    }

    /// What waits to be published.
    pub fn outbox(&self) -> &Arc<Outbox> {
        &self.outbox
    }
}

/// The last event of a subject: what the next one follows.
///
/// Whoever publishes holds it in the aggregate's row (`version`, `updated_at`), under the row's lock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head {
    /// Its sequence; 0 before the first event.
    pub sequence: i64,
    /// Its time; the epoch before the first event.
    pub time: DateTime<Utc>,
}

impl Head {
    /// Before the first event of a subject.
    pub const NONE: Head = Head { sequence: 0, time: DateTime::UNIX_EPOCH };

    /// The head of the event after this one when the clock shows `now`: time never runs backwards within a subject.
    #[must_use]
    pub fn next(self, now: DateTime<Utc>) -> Head {
        Head { sequence: self.sequence + 1, time: now.max(self.time) }
    }
}

/// An event that cannot be stored.
#[derive(Debug, thiserror::Error)]
pub enum PublishError {
    /// The clock could not be read.
    #[error(transparent)]
    Database(#[from] sqlx::Error),
    /// Larger than [`MAX_EVENT_BYTES`].
    #[error("{0} is larger than 256 KiB")]
    TooLarge(&'static str),
    /// Its data cannot be written as JSON.
    #[error("{0} cannot be written as JSON")]
    NotJson(&'static str),
}

/// A transaction that one can publish from. Dropped without [`Tx::commit`] or [`Tx::end`], it never happened.
#[derive(Debug)]
pub struct Tx {
    inner: Transaction<'static, Postgres>,
    outbox: Arc<Outbox>,
    context: Context,
    now: Option<DateTime<Utc>>,
    events: Vec<LoggedEvent>,
    created: Created,
    wake: Vec<Arc<Notify>>,
    on_commit: Actions,
}

/// What is done once a transaction has committed.
#[derive(Default)]
struct Actions(Vec<Box<dyn FnOnce() + Send>>);

impl fmt::Debug for Actions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} actions", self.0.len())
    }
}

impl Tx {
    /// Publishes `event` when this transaction commits, as the one after `head`, and moves `head` to it.
    ///
    /// The caller holds the lock of the event's subject and stores the new head with it.
    ///
    /// # Errors
    /// [`PublishError`]; the transaction is then good for nothing but being dropped.
    pub async fn publish<E: Event>(&mut self, head: &mut Head, event: &E) -> Result<EventId, PublishError> {
        let data = serde_json::to_string(event).map_err(|_| PublishError::NotJson(E::TYPE))?;
        if data.len() + ENVELOPE_OVERHEAD > MAX_EVENT_BYTES {
            return Err(PublishError::TooLarge(E::TYPE));
        }
        *head = head.next(self.now().await?);
        let id = EventId::new();
        let subject = event.subject();
        let traceparent = self.created.add(&self.context, E::TYPE, id, &subject);
        self.events.push(LoggedEvent {
            position: 0,
            id,
            subject,
            sequence: head.sequence,
            event_type: E::TYPE.to_owned(),
            version: E::VERSION,
            time: head.time,
            correlation_id: self.context.correlation_id.clone(),
            causation_id: self.context.causation_id.clone(),
            traceparent,
            data,
        });
        Ok(id)
    }

    /// The database's clock, read once, when it is first asked for: after the locks are held.
    ///
    /// # Errors
    /// When the database cannot be asked.
    pub async fn now(&mut self) -> sqlx::Result<DateTime<Utc>> {
        if let Some(now) = self.now {
            return Ok(now);
        }
        let now = sqlx::query_scalar!(r#"select clock_timestamp() as "now!""#).fetch_one(&mut *self.inner).await?;
        self.now = Some(now);
        Ok(now)
    }

    /// Takes over a reading of the database's clock that a statement of the caller brought along.
    pub fn set_now(&mut self, now: DateTime<Utc>) {
        self.now = Some(now);
    }

    /// From here on, events are caused by `context`. For those who handle several causes in one transaction.
    pub fn on_behalf_of(&mut self, context: &Context) {
        self.context.clone_from(context);
    }

    /// Wakes a worker of this process once this transaction has committed: there is work for it in the rows.
    pub fn after_commit(&mut self, worker: &Arc<Notify>) {
        if !self.wake.iter().any(|known| Arc::ptr_eq(known, worker)) {
            self.wake.push(Arc::clone(worker));
        }
    }

    /// Does something once this transaction has committed and its answer has come, such as handing a worker of this process
    /// what it finds in the rows otherwise. It must not block.
    pub fn on_commit(&mut self, action: impl FnOnce() + Send + 'static) {
        self.on_commit.0.push(Box::new(action));
    }

    /// Ends a request's transaction with its outcome: commits what led to `Ok`, and undoes what led to `Err` before it
    /// returns that. Who is refused and asks again at once then finds the locks free, such as that of his idempotency key;
    /// a transaction that is dropped is undone some time later.
    ///
    /// # Errors
    /// Those of the outcome, and of [`commit`](Self::commit).
    pub async fn end<T, E: From<sqlx::Error>>(self, outcome: Result<T, E>) -> Result<T, E> {
        match outcome {
            Ok(done) => {
                self.commit().await?;
                Ok(done)
            }
            Err(refused) => {
                // whoever cannot be told that it is over will notice
                let _ = self.inner.rollback().await;
                Err(refused)
            }
        }
    }

    /// Stores everything: rows, events, inbox. On `Ok` it is durable, and the relay has been woken.
    ///
    /// # Errors
    /// When the database refuses or is lost. A commit whose answer was lost may have happened.
    pub async fn commit(mut self) -> sqlx::Result<()> {
        let count = self.events.len();
        if count > 0 {
            let appended = event_log::append(&mut self.inner, std::mem::take(&mut self.events)).await;
            if let Err(error) = appended {
                let _ = self.inner.rollback().await;
                return Err(error);
            }
        }
        failpoint::reach("before-commit");
        self.inner.commit().await?;
        self.created.commit();
        failpoint::reach("after-commit");
        if count > 0 {
            self.outbox.appended(count);
        }
        for worker in self.wake {
            worker.notify_one();
        }
        for action in self.on_commit.0 {
            action();
        }
        Ok(())
    }
}

impl Deref for Tx {
    type Target = PgConnection;
    fn deref(&self) -> &PgConnection {
        &self.inner
    }
}

impl DerefMut for Tx {
    fn deref_mut(&mut self) -> &mut PgConnection {
        &mut self.inner
    }
}
