//! Watching orders live: one tail of the log per process, running while somebody watches, fanned out by order.
//!
//! A watcher first subscribes, then reads the history, then drops what overlaps. So it misses nothing: what was committed
//! before its reading is in the history, and what was committed after comes by the tail, which ran before.
//!
//! While the database is away the tail waits where it is, and its watchers with it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use messaging::event_log::LoggedEvent;
use messaging::fault::in_time;
use messaging::follower::{self, Checkpoint, Page};
use sqlx::PgPool;
use tokio::sync::{Notify, mpsc, watch};
use tokio_util::sync::CancellationToken;
use tracing::warn;

/// Events that wait for one watcher. One that is further behind is cut off, and resumes from the history.
const BACKLOG: usize = 64;

/// The wait between two looks at the log while somebody watches.
const POLL: Duration = Duration::from_millis(50);

#[derive(Debug, Default)]
struct Watchers {
    by_subject: HashMap<String, Vec<mpsc::Sender<Arc<LoggedEvent>>>>,
    /// The process stops: nobody is told anything any more.
    closed: bool,
}

/// The tail of the log; a clone is the same tail.
#[derive(Debug, Clone)]
pub struct Live {
    watchers: Arc<Mutex<Watchers>>,
    wanted: Arc<Notify>,
    running: watch::Sender<bool>,
}

impl Default for Live {
    fn default() -> Self {
        Self { watchers: Arc::default(), wanted: Arc::default(), running: watch::Sender::new(false) }
    }
}

impl Live {
    fn watchers(&self) -> MutexGuard<'_, Watchers> {
        self.watchers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The events of `subject` from now on: when this returns, the tail is running. It ends when the process stops, and for
    /// a watcher that does not keep up. `None` where the tail cannot run.
    pub async fn watch(&self, subject: &str) -> Option<mpsc::Receiver<Arc<LoggedEvent>>> {
        let (sender, mut receiver) = mpsc::channel(BACKLOG);
        {
            let mut watchers = self.watchers();
            if watchers.closed {
                return None;
            }
            watchers.by_subject.entry(subject.to_owned()).or_default().push(sender);
        }
        self.wanted.notify_one();
        let mut running = self.running.subscribe();
        tokio::select! {
            biased;
            // Where it runs it goes on running: it ends only when nobody watches, and we do.
            _ = running.wait_for(|running| *running) => Some(receiver),
            // It was dismissed before it ran.
            None = receiver.recv() => None,
        }
    }

    /// Follows the log until shutdown, while somebody watches.
    pub async fn run(self, pool: PgPool, shutdown: CancellationToken) {
        while shutdown.run_until_cancelled(self.wanted.notified()).await.is_some() {
            shutdown.run_until_cancelled(self.follow(&pool)).await;
        }
        self.dismiss(true);
    }

    async fn follow(&self, pool: &PgPool) {
        let mut checkpoint = match here(pool).await {
            Ok(checkpoint) => checkpoint,
            Err(error) => {
                warn!(%error, "live streams cannot begin");
                return self.dismiss(false);
            }
        };
        self.running.send_replace(true);
        let mut complained = false;
        while self.is_watched() {
            match in_time(read(pool, &checkpoint)).await {
                Ok(page) => {
                    complained = false;
                    checkpoint = page.after.clone();
                    let more = page.is_full();
                    self.tell(page.events);
                    if more {
                        continue;
                    }
                }
                Err(error) => {
                    if !std::mem::replace(&mut complained, true) {
                        warn!(%error, "live streams wait for the log");
                    }
                }
            }
            tokio::time::sleep(POLL).await;
        }
    }

    fn tell(&self, events: Vec<LoggedEvent>) {
        let mut watchers = self.watchers();
        for event in events {
            if let Some(of_subject) = watchers.by_subject.get_mut(&event.subject) {
                let event = Arc::new(event);
                of_subject.retain(|watcher| watcher.try_send(Arc::clone(&event)).is_ok());
            }
        }
    }

    /// Forgets watchers that have gone. Once nobody watches, the tail does not count as running any more, which is said
    /// before anybody else can begin to.
    fn is_watched(&self) -> bool {
        let mut watchers = self.watchers();
        watchers.by_subject.retain(|_, of_subject| {
            of_subject.retain(|watcher| !watcher.is_closed());
            !of_subject.is_empty()
        });
        let watched = !watchers.by_subject.is_empty();
        self.running.send_replace(watched);
        watched
    }

    fn dismiss(&self, for_good: bool) {
        let mut watchers = self.watchers();
        watchers.by_subject.clear();
        watchers.closed |= for_good;
    }
}

async fn here(pool: &PgPool) -> sqlx::Result<Checkpoint> {
    follower::here(&mut *pool.acquire().await?).await
}

async fn read(pool: &PgPool, checkpoint: &Checkpoint) -> sqlx::Result<Page> {
    let mut tx = pool.begin().await?;
    follower::prepare(&mut tx, true).await?;
    let page = follower::read(&mut tx, checkpoint).await?;
    tx.commit().await?;
    Ok(page)
}
