//! The connection pool, migrations, and what a database error means for who met it.

use std::time::Duration;

use sqlx::migrate::{MigrateError, Migrator};
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{ConnectOptions, Connection, PgConnection, PgPool};

use crate::config::DatabaseArgs;

/// A statement of these services takes milliseconds. One that runs this long is stuck and holds locks that others need.
const STATEMENT_TIMEOUT: &str = "15s";
/// Waiting for a lock longer than this is better done by the caller, who can come back.
const LOCK_TIMEOUT: &str = "5s";
/// A transaction in which nothing happens was left behind by a process that stalled.
const IDLE_IN_TRANSACTION_TIMEOUT: &str = "10s";
/// How long to wait for a free connection, or for a new one to open, before the database counts as away.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a connection that comes back to the pool may take to answer.
const RELEASE_TIMEOUT: Duration = Duration::from_secs(5);
/// A connection that was used this recently is taken as alive without asking it, which saves a round trip under load.
const TRUSTED_IDLE: Duration = Duration::from_secs(1);
/// How long a migration waits for locks that running services hold.
const MIGRATION_LOCK_TIMEOUT: &str = "30s";

/// A pool that opens its connections when they are first needed, so that a service can start while its database is away.
///
/// The error is a line for the operator about a malformed `DATABASE_URL`, without the URL.
pub fn pool(args: &DatabaseArgs, service: &str) -> Result<PgPool, String> {
    let options = connect_options(args.database_url.expose(), service)?.options([
        ("statement_timeout", STATEMENT_TIMEOUT),
        ("lock_timeout", LOCK_TIMEOUT),
        ("idle_in_transaction_session_timeout", IDLE_IN_TRANSACTION_TIMEOUT),
        // Prepared statements keep the plan of their first executions. One that was made while a table held a few rows reads
        // all of it, and goes on to when it holds thousands. Every statement on a hot path has its index.
        ("enable_seqscan", "off"),
        // Compiling a plan takes longer than any statement here.
        ("jit", "off"),
    ]);
    let pool = PgPoolOptions::new()
        .max_connections(args.database_max_connections)
        .acquire_timeout(ACQUIRE_TIMEOUT)
        .test_before_acquire(false)
        .before_acquire(|connection, metadata| {
            Box::pin(async move {
                if metadata.idle_for > TRUSTED_IDLE {
                    connection.ping().await?;
                }
                Ok(true)
            })
        })
        .after_release(|connection, _| Box::pin(end_transaction(connection)));
    Ok(pool.connect_lazy_with(options))
}

/// Ends the transaction that a connection may have come back in.
///
/// A `begin()` that is dropped while it waits leaves one open that sqlx 0.9.0 does not know of: the next user's writes would
/// join it and vanish. A `begin` inside of it is only warned about, and the rollback of this one ends that one. The rollback is sent with
/// the ping that the pool adds, so this costs one round trip, after the work.
///
/// A connection that does not answer is closed, so that it does not keep its place in the pool.
async fn end_transaction(connection: &mut PgConnection) -> Result<bool, sqlx::Error> {
    match tokio::time::timeout(RELEASE_TIMEOUT, connection.begin()).await {
        Ok(begun) => begun.map(|_| true),
        Err(_) => Ok(false),
    }
}

/// One connection of its own, for a task that is not serving and may take as long as it needs.
///
/// # Errors
/// A line for the operator: a malformed `DATABASE_URL`, or why the database does not take the connection.
pub async fn connect(args: &DatabaseArgs, application: &str) -> Result<PgConnection, String> {
    let options = connect_options(args.database_url.expose(), application)?;
    options.connect().await.map_err(|error| format!("DATABASE_URL: cannot connect: {error}"))
}

/// Applies the pending migrations over a connection of its own, on which statements may take as long as they need.
/// Copies that migrate at the same time wait for each other.
pub async fn migrate(url: &str, migrator: &Migrator) -> Result<(), MigrateError> {
    let options = connect_options(url, "migrate")
        .map_err(|error| sqlx::Error::Configuration(error.into()))?
        .options([("lock_timeout", MIGRATION_LOCK_TIMEOUT)]);
    let mut connection = options.connect().await?;
    migrator.run(&mut connection).await?;
    connection.close().await?;
    Ok(())
}

fn connect_options(url: &str, application: &str) -> Result<PgConnectOptions, String> {
    let wrong = || "DATABASE_URL is wrong: expected postgres://USER:PASSWORD@HOST:PORT/DATABASE".to_owned();
    // the parser takes any scheme
    let ours = url.starts_with("postgres://") || url.starts_with("postgresql://");
    let options = url.parse::<PgConnectOptions>().ok().filter(|_| ours).ok_or_else(wrong)?;
    Ok(options.application_name(application))
}

/// What a database error means for who met it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The transaction lost against another (serialization failure, deadlock, lock timeout): repeat it as a whole.
    Transient,
    /// The database is away, restarting, full or out of connections: wait until it is back. Nobody's message is to blame.
    Outage,
    /// Repeating it as it is will not help.
    Permanent,
}

/// Sorts an error by its SQLSTATE (PostgreSQL, appendix A), or by its nature where it has none.
pub fn classify(error: &sqlx::Error) -> Fault {
    match error {
        sqlx::Error::Database(error) => error.code().map_or(Fault::Permanent, |code| of_sqlstate(&code)),
        sqlx::Error::Io(_)
        | sqlx::Error::Tls(_)
        // a connection that was cut in the middle of an answer
        | sqlx::Error::Protocol(_)
        | sqlx::Error::PoolTimedOut
        | sqlx::Error::PoolClosed
        | sqlx::Error::WorkerCrashed => Fault::Outage,
        _ => Fault::Permanent,
    }
}

fn of_sqlstate(code: &str) -> Fault {
    match code {
        // serialization_failure, deadlock_detected, lock_not_available
        "40001" | "40P01" | "55P03" => Fault::Transient,
        // The statement reached a standby: a failover is under way. Or this process was asleep in a transaction.
        "25006" | "25P03" => Fault::Outage,
        // The database does not exist (yet).
        "3D000" => Fault::Outage,
        _ => match code.get(..2) {
            // connection exception, invalid authorization, insufficient resources, operator intervention (the server going
            // down or coming up, or a statement that took too long), system error
            Some("08" | "28" | "53" | "57" | "58") => Fault::Outage,
            _ => Fault::Permanent,
        },
    }
}

#[cfg(test)]
mod tests;
