//! Watches the database: whether it answers, and whether its schema fits.

use std::collections::HashMap;
use std::time::Duration;

use sqlx::migrate::Migrator;
use sqlx::{ConnectOptions, Connection, PgConnection, PgPool};
use tokio_util::sync::CancellationToken;

use super::{Check, Health};

/// Often enough for orchestrators, which ask every few seconds.
const INTERVAL: Duration = Duration::from_secs(1);

/// How long the service's statements wait for a lock that somebody holds. A service sees its own sessions' waits, whatever
/// its role may see of others.
const LOCK_WAIT: &str = "
    select coalesce(extract(epoch from max(clock_timestamp() - query_start)), 0)::float8 from pg_stat_activity
    where datname = current_database() and usename = current_user and wait_event_type = 'Lock'";

/// A database that does not answer for this long counts as away.
const TIMEOUT: Duration = Duration::from_secs(3);

/// Keeps the checks `database` and `migrations` until `stop`.
///
/// Probes each second, over a connection of its own to the pool's database: a pool whose connections are all busy is no
/// reason to be taken out of service. That the database went away, or has come back, is one log line each.
pub async fn watch_database(
    pool: PgPool,
    migrator: &'static Migrator,
    service: &str,
    health: Health,
    stop: CancellationToken,
) {
    let mut watch = Watch { pool, migrator, service: service.to_owned(), connection: None, found: None };
    let mut ticks = tokio::time::interval(INTERVAL);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = ticks.tick() => {}
        }
        tokio::select! {
            () = stop.cancelled() => return,
            () = watch.step(&health) => {}
        }
    }
}

struct Watch {
    pool: PgPool,
    migrator: &'static Migrator,
    service: String,
    connection: Option<PgConnection>,
    /// What the last probe found; `None` before the first.
    found: Option<Finding>,
}

#[derive(PartialEq, Eq)]
enum Finding {
    Fits {
        /// Migrations that a newer release has applied: its roll-out has begun.
        newer: usize,
    },
    Wrong(String),
}

impl Watch {
    async fn step(&mut self, health: &Health) {
        let applied = match tokio::time::timeout(TIMEOUT, self.look()).await {
            Ok(Ok((applied, lock_wait))) => {
                health.0.lock_wait.set(lock_wait);
                Ok(applied)
            }
            Ok(Err(error)) => Err(brief(&error)),
            Err(_) => Err(format!("no answer within {} seconds", TIMEOUT.as_secs())),
        };
        let finding = match applied {
            Ok(applied) => {
                let compared = compare(self.migrator, applied.as_ref(), &self.service);
                health.ok(Check::Database);
                health.set(Check::Migrations, compared.clone().map(drop));
                match compared {
                    Ok(newer) => Finding::Fits { newer },
                    Err(reason) => Finding::Wrong(format!("the database does not fit: {reason}")),
                }
            }
            Err(reason) => {
                // A new connection next time: this one may be in the middle of something.
                self.connection = None;
                health.0.lock_wait.set(0.0);
                health.fail(Check::Migrations, "unknown: the database is away");
                health.fail(Check::Database, &*reason);
                Finding::Wrong(format!("waiting for the database: {reason}"))
            }
        };
        self.say(finding);
    }

    /// The migrations, and for how long a statement waits for a lock.
    async fn look(&mut self) -> Result<(Option<HashMap<i64, Vec<u8>>>, f64), sqlx::Error> {
        let applied = self.applied().await?;
        let Some(connection) = self.connection.as_mut() else { return Ok((applied, 0.0)) };
        let lock_wait: f64 = sqlx::query_scalar(LOCK_WAIT).fetch_one(connection).await?;
        Ok((applied, lock_wait))
    }

    /// Versions and checksums of the applied migrations; `None` when there never was one.
    async fn applied(&mut self) -> Result<Option<HashMap<i64, Vec<u8>>>, sqlx::Error> {
        if self.connection.is_none() {
            self.connection = Some(self.pool.connect_options().connect().await?);
        }
        let connection = self.connection.as_mut().expect("just opened");
        connection.ping().await?;
        // Not checked when compiled: the table belongs to sqlx, and may be absent.
        let rows =
            sqlx::query_as("select version, checksum from _sqlx_migrations where success").fetch_all(connection).await;
        match rows {
            Ok(rows) => Ok(Some(rows.into_iter().collect())),
            Err(error) if is_undefined_table(&error) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Logs what changed since the last probe.
    fn say(&mut self, finding: Finding) {
        if self.found.as_ref() != Some(&finding) {
            match &finding {
                Finding::Wrong(line) => tracing::warn!("{line}"),
                Finding::Fits { newer: 0 } if self.found.is_none() => {}
                Finding::Fits { newer: 0 } => tracing::info!("the database is ready"),
                Finding::Fits { newer } => {
                    tracing::info!(newer, "the database is ready, with migrations of a newer release");
                }
            }
        }
        self.found = Some(finding);
    }
}

/// How many migrations were applied beyond those of `migrator`, or in words why the schema is not the one that it makes.
///
/// Newer ones are as they should be while a newer release rolls out: a schema stays compatible with the release before.
fn compare(migrator: &Migrator, applied: Option<&HashMap<i64, Vec<u8>>>, service: &str) -> Result<usize, String> {
    let Some(applied) = applied else {
        return Err(format!("not migrated: run `{service} migrate`"));
    };
    let expected = migrator.iter().filter(|migration| !migration.migration_type.is_down_migration());
    let pending = expected.clone().filter(|migration| !applied.contains_key(&migration.version)).count();
    if pending > 0 {
        return Err(format!("{pending} pending: run `{service} migrate`"));
    }
    match expected.clone().find(|migration| applied[&migration.version] != *migration.checksum) {
        Some(changed) => Err(format!("{} was changed after it had been applied", changed.version)),
        None => Ok(applied.len() - expected.count()),
    }
}

fn is_undefined_table(error: &sqlx::Error) -> bool {
    error.as_database_error().and_then(|error| error.code()).is_some_and(|code| code == "42P01")
}

/// The error's text on one line.
fn brief(error: &sqlx::Error) -> String {
    error.to_string().lines().next().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests;
