//! The relay: the follower that publishes the log. One per service leads at a time; the others stand by.
//!
//! It publishes windows of events with confirms and moves its checkpoint when all of a page are confirmed. A full queue
//! keeps the checkpoint and opens the breaker; an event that no queue takes is set aside with the later ones of its
//! subject; an answer that does not come means to publish again, which the inboxes take.
//!
//! A stop lets the window that is on its way finish, so it repeats nothing as a rule.

mod window;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use sqlx::postgres::PgConnectOptions;
use sqlx::{ConnectOptions, Connection, PgConnection, Row};
use tokio::sync::watch;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use crate::connection::Link;
use crate::event_log::LoggedEvent;
use crate::failpoint;
use crate::follower::{self, Checkpoint, FollowError};
use crate::metrics::Metrics;
use crate::runtime::Report;
use crate::set_aside::SetAside;
use crate::tx::Database;
use window::Window;

/// The relay's name among the followers.
pub const NAME: &str = "relay";

/// The advisory lock that the leading relay holds for its session. One database is one service, so one number will do.
const LEADERSHIP: i64 = 0x7761_7272_656e;

/// How often one that stands by tries to lead, and the wait after a failure.
const STANDBY: Duration = Duration::from_millis(500);

/// The wait between two looks at the log when no commit of this process wakes it: a few milliseconds while other copies
/// are busy, then ever longer.
const POLL: (Duration, Duration) = (Duration::from_millis(5), Duration::from_millis(200));

/// How long an answer of the database may take on the relay's connection: a page is read in milliseconds. A peer that is
/// gone without a word would else be waited for until the kernel gives up, while another copy has long been leading.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);

/// Publishes one service's log.
pub(crate) struct Relay {
    pub(crate) database: Database,
    pub(crate) publishing: Arc<Link>,
    pub(crate) metrics: Metrics,
    pub(crate) report: Report,
    /// Whether the topology is there, as far as this process sees to it.
    pub(crate) topology: watch::Receiver<bool>,
    pub(crate) shutdown: CancellationToken,
}

/// Why a relay stops leading.
enum Stop {
    Shutdown,
    Database(sqlx::Error),
    /// The broker cannot be reached from here; perhaps another copy can.
    NoBroker,
    /// Nothing that waiting would mend.
    Fatal(String),
}

impl From<sqlx::Error> for Stop {
    fn from(error: sqlx::Error) -> Self {
        Stop::Database(error)
    }
}

impl Relay {
    /// Leads or stands by until shutdown.
    pub(crate) async fn run(self) {
        let mut complained = false;
        while !self.shutdown.is_cancelled() {
            match self.take_part(&mut complained).await {
                Err(Stop::Shutdown) | Ok(()) => {}
                Err(Stop::NoBroker) => info!("relay gives up its lead: no connection to the broker"),
                Err(Stop::Database(error)) => {
                    (self.report)("relay", Err("database is away".to_owned()));
                    if !complained {
                        warn!(%error, "relay has no database; waiting for it");
                        complained = true;
                    }
                }
                Err(Stop::Fatal(reason)) => {
                    error!(reason, "relay cannot go on");
                    (self.report)("relay", Err(reason));
                    return;
                }
            }
            self.shutdown.run_until_cancelled(tokio::time::sleep(STANDBY)).await;
        }
    }

    /// Opens the relay's own connection, waits for leadership on it, and leads.
    async fn take_part(&self, complained: &mut bool) -> Result<(), Stop> {
        let options = self.database.pool().connect_options();
        let mut conn = within(options.connect()).await?;
        within(require_direct(&mut conn, &options)).await?;
        within(session_settings(&mut conn)).await?;
        (self.report)("relay", Ok(()));
        loop {
            // who cannot publish does not lead: another copy may
            self.shutdown.run_until_cancelled(self.broker()).await.ok_or(Stop::Shutdown)?;
            if within(try_lock(&mut conn)).await? {
                break;
            }
            self.shutdown.run_until_cancelled(tokio::time::sleep(STANDBY)).await.ok_or(Stop::Shutdown)?;
        }
        info!("relay leads");
        *complained = false;
        let result = self.lead(&mut conn).await;
        // frees the lock at once; a session that just vanishes holds it until the server notices
        let _ = timeout(ANSWER_TIMEOUT, conn.close()).await;
        result
    }

    async fn lead(&self, conn: &mut PgConnection) -> Result<(), Stop> {
        let mut checkpoint = within(async {
            follower::load(conn, NAME, self.database.service().name()).await.map_err(|error| match error {
                FollowError::Database(error) => Stop::Database(error),
                FollowError::OtherServer(_) => Stop::Fatal(error.to_string()),
            })
        })
        .await?;
        let mut window = Window::new(self);
        let mut aside = within(SetAside::load(conn)).await?;
        let mut poll = POLL.1;
        while !self.shutdown.is_cancelled() {
            if aside.is_due() {
                let due = within(aside.due(conn)).await?;
                let returned = window.publish(&due).await?;
                let returned: BTreeSet<i64> = returned.iter().map(|event| event.position).collect();
                let published = due.into_iter().filter(|event| !returned.contains(&event.position)).collect();
                within(aside.published(conn, published)).await?;
            }
            let page = within(follower::read(conn, &checkpoint)).await?;
            if page.events.is_empty() {
                let ends_a_window = checkpoint.is_within_a_window();
                checkpoint = page.after;
                if ends_a_window {
                    within(follower::save(conn, NAME, &checkpoint)).await?;
                }
                self.rest(&mut poll).await;
                continue;
            }
            poll = POLL.0;
            let (blocked, free): (Vec<_>, Vec<_>) =
                page.events.into_iter().partition(|event| aside.holds(&event.subject));
            let returned = window.publish(&free).await?;
            failpoint::reach("after-publish");
            checkpoint = page.after;
            within(advance(conn, &checkpoint, &mut aside, [blocked, returned].concat())).await?;
        }
        Err(Stop::Shutdown)
    }

    /// Until there is a connection to the broker, and the topology is there.
    async fn broker(&self) {
        let mut topology = self.topology.clone();
        // an error would mean that nobody sees to it any more: the process stops
        if topology.wait_for(|declared| *declared).await.is_err() {
            std::future::pending::<()>().await;
        }
        self.publishing.session().await;
    }

    /// Until a commit of this process, or a while. A commit since the last rest ends it at once, so none is overslept.
    async fn rest(&self, poll: &mut Duration) {
        tokio::select! {
            () = self.shutdown.cancelled() => {}
            () = self.database.outbox().committed() => {}
            () = tokio::time::sleep(*poll) => *poll = (*poll * 2).min(POLL.1),
        }
    }
}

/// An answer of the database, in time. The connection is good for nothing afterwards if there was none.
async fn within<T, E: Into<Stop>>(answer: impl Future<Output = Result<T, E>>) -> Result<T, Stop> {
    match timeout(ANSWER_TIMEOUT, answer).await {
        Ok(answered) => answered.map_err(Into::into),
        Err(_) => Err(Stop::Database(std::io::Error::from(std::io::ErrorKind::TimedOut).into())),
    }
}

async fn try_lock(conn: &mut PgConnection) -> sqlx::Result<bool> {
    sqlx::query_scalar!(r#"select pg_try_advisory_lock($1) as "locked!""#, LEADERSHIP).fetch_one(conn).await
}

/// Moves the checkpoint, and sets events aside with it: of what was read, nothing is forgotten or set aside twice.
async fn advance(
    conn: &mut PgConnection,
    checkpoint: &Checkpoint,
    aside: &mut SetAside,
    events: Vec<LoggedEvent>,
) -> sqlx::Result<()> {
    if events.is_empty() {
        return follower::save(conn, NAME, checkpoint).await;
    }
    let mut tx = conn.begin().await?;
    aside.add(&mut tx, &events).await?;
    follower::save(&mut tx, NAME, checkpoint).await?;
    tx.commit().await
}

/// Refuses a transaction pooler. It gives each transaction whichever server session is free, so a lock that lives as long
/// as its session would be nobody's. Seen by holding the session that was free a moment ago.
async fn require_direct(conn: &mut PgConnection, options: &PgConnectOptions) -> Result<(), Stop> {
    let before = backend(conn).await?;
    let mut other = options.connect().await?;
    let mut held = other.begin().await?;
    backend(&mut held).await?;
    let after = backend(conn).await?;
    held.rollback().await?;
    other.close().await?;
    if before == after {
        Ok(())
    } else {
        Err(Stop::Fatal(
            "DATABASE_URL leads to a transaction pooler; the relay's lock needs a session of its own".to_owned(),
        ))
    }
}

/// In the simple protocol: older poolers understand no prepared statements.
async fn backend(conn: &mut PgConnection) -> sqlx::Result<i32> {
    sqlx::raw_sql("select pg_backend_pid()").fetch_one(conn).await?.try_get(0)
}

/// What the leader's session needs: the log by its indexes; a dead peer noticed in seconds, so that another copy can lead;
/// and no wait for the disk when the checkpoint moves, since one that is lost only means to publish again.
async fn session_settings(conn: &mut PgConnection) -> sqlx::Result<()> {
    follower::prepare(conn, false).await?;
    sqlx::query!(
        "select set_config(name, value, false)
         from (values ('tcp_keepalives_idle', '5'), ('tcp_keepalives_interval', '2'), ('tcp_keepalives_count', '3'),
                      ('synchronous_commit', 'off'), ('application_name', 'warren relay')) as setting (name, value)"
    )
    .fetch_all(conn)
    .await?;
    Ok(())
}
