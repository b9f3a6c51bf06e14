//! Whether the process is well: `/livez`, `/readyz`, and the checks behind them.

mod watch;

#[cfg(test)]
mod tests;

pub use watch::watch_database;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;
use serde::Serialize;

/// A named check of `/readyz`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Check {
    /// The connection to the message broker.
    Broker,
    /// The database answers.
    Database,
    /// The database's schema is the one that this binary was built for.
    Migrations,
    /// Messages are consumed.
    Consumer,
    /// Events are published.
    Relay,
}

impl Check {
    const ALL: [Check; 5] = [Check::Broker, Check::Database, Check::Migrations, Check::Consumer, Check::Relay];

    /// The name in `/readyz`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Check::Broker => "broker",
            Check::Database => "database",
            Check::Migrations => "migrations",
            Check::Consumer => "consumer",
            Check::Relay => "relay",
        }
    }
}

/// Whose readiness is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// All checks.
    All,
    /// What answering HTTP needs: orders are taken while the broker is away.
    Http,
}

impl Role {
    fn asks_for(self, check: Check) -> bool {
        self == Role::All || matches!(check, Check::Database | Check::Migrations)
    }
}

/// The state of the checks; clones share it.
#[derive(Clone)]
pub struct Health(Arc<Inner>);

struct Inner {
    checks: Mutex<[Result<(), String>; Check::ALL.len()]>,
    breakers: OnceLock<Box<dyn Fn() -> Breakers + Send + Sync>>,
    lock_wait: Gauge<f64, AtomicU64>,
}

/// Circuit breakers by name, each with its state in a word.
pub type Breakers = BTreeMap<&'static str, &'static str>;

impl Health {
    /// All checks say `starting`.
    #[allow(clippy::new_without_default, reason = "a second one by accident would report for ever that it starts")]
    pub fn new() -> Self {
        let checks = Mutex::new(Check::ALL.map(|_| Err("starting".to_owned())));
        Health(Arc::new(Inner { checks, breakers: OnceLock::new(), lock_wait: Gauge::default() }))
    }

    /// Registers `warren_database_lock_wait_seconds`, which [`watch_database`] keeps.
    pub(crate) fn register(&self, registry: &mut Registry) {
        let help =
            "How long the statement of this service has waited that has waited longest for a lock in its database";
        registry.register("warren_database_lock_wait_seconds", help, self.0.lock_wait.clone());
    }

    /// Shows these circuit breakers beside the checks; once.
    pub fn show_breakers(&self, breakers: impl Fn() -> Breakers + Send + Sync + 'static) {
        // A second call changes nothing: there is one place that knows all of them.
        let _ = self.0.breakers.set(Box::new(breakers));
    }

    /// The check is fine.
    pub fn ok(&self, check: Check) {
        self.set(check, Ok(()));
    }

    /// The check is not fine. `reason` is for operators: a few words, nothing secret or personal.
    pub fn fail(&self, check: Check, reason: impl Into<String>) {
        self.set(check, Err(reason.into()));
    }

    /// [`ok`](Self::ok) or [`fail`](Self::fail).
    pub fn set(&self, check: Check, state: Result<(), String>) {
        self.0.checks.lock().unwrap_or_else(PoisonError::into_inner)[check as usize] = state;
    }

    /// A function that sets checks by their names, for those who do not know this type. Names of no check are ignored.
    pub fn reporter(&self) -> Arc<dyn Fn(&'static str, Result<(), String>) + Send + Sync> {
        let health = self.clone();
        Arc::new(move |name, state| {
            if let Some(check) = Check::ALL.into_iter().find(|check| check.as_str() == name) {
                health.set(check, state);
            }
        })
    }

    /// What is wrong with the check, or `None`.
    pub fn reason(&self, check: Check) -> Option<String> {
        self.0.checks.lock().unwrap_or_else(PoisonError::into_inner)[check as usize].clone().err()
    }

    pub(crate) fn report(&self, role: Role) -> Report {
        let checks = Check::ALL.into_iter().filter(|check| role.asks_for(*check));
        let checks =
            checks.map(|check| (check.as_str(), self.reason(check).unwrap_or_else(|| OK.to_owned()))).collect();
        // A breaker that is open is not the process's fault, and no reason to take it out of service.
        let breakers = self.0.breakers.get().filter(|_| role == Role::All).map(|breakers| breakers());
        Report { breakers, ..Report::new(checks) }
    }
}

impl fmt::Debug for Health {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Health").field(&self.0.checks).finish()
    }
}

const OK: &str = "ok";

/// The body of `/readyz`.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    status: &'static str,
    checks: BTreeMap<&'static str, String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    breakers: Option<Breakers>,
}

impl Report {
    fn new(checks: BTreeMap<&'static str, String>) -> Self {
        let ok = checks.values().all(|state| state == OK);
        Report { status: if ok { OK } else { "unavailable" }, checks, breakers: None }
    }

    pub(crate) fn is_ok(&self) -> bool {
        self.status == OK
    }
}
