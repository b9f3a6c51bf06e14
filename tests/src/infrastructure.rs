//! The servers themselves, for tests that take them away from everybody.

use std::process::{Command, Stdio};

use tokio::sync::{Mutex, MutexGuard};

use crate::environment::required;

/// A server that all tests share.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Server {
    /// RabbitMQ.
    Broker,
    /// PostgreSQL.
    Database,
}

/// Held by a test that needs the servers to itself: two that stop the broker would meet.
pub async fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::const_new(());
    ALONE.lock().await
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

    /// Stops it in order and starts it again.
    pub async fn restart(self) {
        self.act("restart").await;
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
