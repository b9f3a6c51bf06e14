//! What the tests stand on.

pub(crate) mod broker;
pub(crate) mod events;
pub(crate) mod logs;
pub(crate) mod node;
pub(crate) mod tap;
pub(crate) mod work;

use std::time::{Duration, Instant};

use sqlx::migrate::Migrator;
use sqlx::{AssertSqlSafe, Connection, PgConnection, PgPool};

/// The tables of the messaging crate, which every service has.
pub(crate) static MIGRATOR: Migrator = sqlx::migrate!("../../migrations/order");

/// How long anything may take. Generous: it is only reached by a test that fails.
pub(crate) const SOON: Duration = Duration::from_secs(30);

/// Asks again and again until the answer is yes.
///
/// # Panics
/// With the last answer, when it is still no after `deadline`.
pub(crate) async fn eventually<T>(deadline: Duration, mut answer: impl AsyncFnMut() -> Result<T, String>) -> T {
    let until = Instant::now() + deadline;
    loop {
        match answer().await {
            Ok(yes) => return yes,
            Err(no) if Instant::now() > until => panic!("still not after {} s: {no}", deadline.as_secs()),
            Err(_) => tokio::time::sleep(Duration::from_millis(15)).await,
        }
    }
}

/// Yes when `value` is `expected`.
pub(crate) fn is<T: PartialEq + std::fmt::Debug>(value: T, expected: T) -> Result<(), String> {
    if value == expected { Ok(()) } else { Err(format!("{value:?} is not {expected:?}")) }
}

/// The name of the database behind a pool.
pub(crate) async fn name_of(pool: &PgPool) -> String {
    sqlx::query_scalar("select current_database()").fetch_one(pool).await.expect("the name")
}

/// Runs SQL as the administrator of the server, outside of the test's database.
pub(crate) async fn administer(sql: String) {
    let url = std::env::var("DATABASE_URL").expect("set DATABASE_URL");
    let mut admin = PgConnection::connect(&url).await.expect("the server of DATABASE_URL answers");
    sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut admin).await.expect("the user of DATABASE_URL may do that");
}

/// Takes a database away from everybody, as an outage would, until [`bring_back`].
pub(crate) async fn take_away(database: &str) {
    administer(format!("alter database {database} allow_connections false")).await;
    administer(format!("select pg_terminate_backend(pid) from pg_stat_activity where datname = '{database}'")).await;
}

/// Ends [`take_away`].
pub(crate) async fn bring_back(database: &str) {
    administer(format!("alter database {database} allow_connections true")).await;
}
