//! The servers themselves, for tests that take them away from everybody.

use std::process::{Command, Stdio};
use std::time::Duration;

use tokio::sync::{RwLock, RwLockReadGuard, RwLockWriteGuard};

use crate::environment::required;
use crate::waiting::{check, eventually};

/// How long PostgreSQL may take to end at once.
const ENDING: Duration = Duration::from_secs(20);

/// A server that all tests share.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Server {
    /// RabbitMQ.
    Broker,
    /// PostgreSQL.
    Database,
}

/// Who has the servers: one test alone, or any number beside each other.
static SERVERS: RwLock<()> = RwLock::const_new(());

/// Held by a test that needs the servers to itself: two that stop the broker would meet.
pub async fn alone() -> RwLockWriteGuard<'static, ()> {
    SERVERS.write().await
}

/// Held by a test of the same program that harms nothing but its own system.
pub async fn beside_others() -> RwLockReadGuard<'static, ()> {
    SERVERS.read().await
}

/// A server that was taken away. It is started again at the latest when this is dropped, also by a test that fails.
#[derive(Debug)]
pub struct Outage(Option<Server>);

impl Server {
    /// Stops it in order.
    pub async fn stop(self) -> Outage {
        self.act("stop").await;
        Outage(Some(self))
    }

    /// Ends it as a crash would.
    pub async fn kill(self) -> Outage {
        self.act("kill").await;
        Outage(Some(self))
    }

    /// Has PostgreSQL end at once, without a checkpoint (`pg_ctl stop -m immediate`, which is SIGQUIT).
    ///
    /// # Panics
    /// When this is the broker, or it does not end.
    pub async fn quit(self) -> Outage {
        assert_eq!(self, Server::Database, "the broker knows no such stop");
        // The server's programs run in its data folder. It takes the session along with it, answered or not.
        let sql = "copy (select 1) to program 'kill -QUIT $(head -n 1 postmaster.pid)'";
        crate::database::attempt(sql).await;
        eventually("PostgreSQL is ending", ENDING, async || {
            check(!crate::database::attempt("select 1").await, || "it answers".to_owned())
        })
        .await;
        // It is not asked a second time by this: an orderly stop of a server that is ending waits for the end.
        self.act("stop").await;
        Outage(Some(self))
    }

    /// Stops it in order and starts it again.
    pub async fn restart(self) {
        self.act("restart").await;
    }

    /// Has the broker run out of memory, so that it blocks whoever publishes.
    pub async fn alarm(self) {
        self.act("alarm").await;
    }

    /// Ends the alarm.
    pub async fn calm(self) {
        self.act("calm").await;
    }

    /// Has the broker wait for acknowledgements for ten seconds only, on channels that are opened from now on.
    pub async fn impatient(self) {
        self.act("impatient").await;
    }

    /// Gives the broker its usual patience.
    pub async fn patient(self) {
        self.act("patient").await;
    }

    async fn act(self, action: &'static str) {
        let done = tokio::task::spawn_blocking(move || self.control(action)).await;
        done.expect("the control script runs to its end").unwrap_or_else(|error| panic!("{error}"));
    }

    /// Calls the script of `INFRA_CTL`.
    fn control(self, action: &str) -> Result<(), String> {
        let name = match self {
            Server::Broker => "broker",
            Server::Database => "database",
        };
        let script = required("INFRA_CTL");
        // Nothing is captured by pipes: the server that a start leaves running would hold them open.
        let status = Command::new(&script).args([name, action]).stdin(Stdio::null()).status();
        match status {
            Ok(status) if status.success() => Ok(()),
            Ok(status) => Err(format!("`{script} {name} {action}` failed: {status}")),
            Err(error) => Err(format!("`{script}` (INFRA_CTL) cannot be run: {error}")),
        }
    }
}

impl Outage {
    /// Starts the server again; returns when it can be used.
    pub async fn end(mut self) {
        if let Some(server) = self.0.take() {
            server.act("start").await;
        }
    }
}

impl Drop for Outage {
    fn drop(&mut self) {
        if let Some(Err(error)) = self.0.take().map(|server| server.control("start")) {
            eprintln!("{error}");
        }
    }
}
