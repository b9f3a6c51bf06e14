use std::borrow::Cow;

use sqlx::AssertSqlSafe;
use sqlx::migrate::{Migration, MigrationType};

use super::*;
use crate::test_database::TestDatabase;

fn migration(version: i64, sql: &'static str) -> Migration {
    Migration::new(version, Cow::Borrowed("a test"), MigrationType::Simple, sqlx::SqlSafeStr::into_sql_str(sql), false)
}

/// Three tables; leaked, as the services' migrators are static.
fn migrator(count: usize) -> &'static Migrator {
    let all = [migration(1, "create table a ()"), migration(2, "create table b ()"), migration(3, "create table c ()")];
    Box::leak(Box::new(Migrator::with_migrations(all[..count].to_vec())))
}

struct Watched {
    watch: Watch,
    health: Health,
}

impl Watched {
    fn new(database: &TestDatabase, migrator: &'static Migrator) -> Self {
        let watch =
            Watch { pool: database.pool.clone(), migrator, service: "order".to_owned(), connection: None, found: None };
        Watched { watch, health: Health::new() }
    }

    async fn step(&mut self) -> (Option<String>, Option<String>) {
        self.watch.step(&self.health).await;
        (self.health.reason(Check::Database), self.health.reason(Check::Migrations))
    }
}

fn said(reason: &str) -> (Option<String>, Option<String>) {
    (None, Some(reason.to_owned()))
}

#[tokio::test]
async fn the_schema_is_compared_in_words() {
    let database = TestDatabase::create().await;
    let mut two = Watched::new(&database, migrator(2));
    assert_eq!(two.step().await, said("not migrated: run `order migrate`"));
    crate::database::migrate(&database.url, migrator(1)).await.expect("migrated");
    assert_eq!(two.step().await, said("1 pending: run `order migrate`"));
    crate::database::migrate(&database.url, migrator(2)).await.expect("migrated");
    assert_eq!(two.step().await, (None, None));
    crate::database::migrate(&database.url, migrator(3)).await.expect("migrated");
    assert_eq!(two.step().await, (None, None), "a newer release has begun to roll out");
    assert!(two.watch.found == Some(Finding::Fits { newer: 1 }));
    let changed = Box::leak(Box::new(Migrator::with_migrations(vec![migration(1, "create table other ()")])));
    assert_eq!(Watched::new(&database, changed).step().await, said("1 was changed after it had been applied"));
}

#[tokio::test]
async fn a_database_that_goes_away_is_seen_and_seen_again() {
    let database = TestDatabase::create().await;
    crate::database::migrate(&database.url, migrator(1)).await.expect("migrated");
    let mut watched = Watched::new(&database, migrator(1));
    assert_eq!(watched.step().await, (None, None));
    let name: String = sqlx::query_scalar("select current_database()").fetch_one(&database.pool).await.expect("a name");
    let admin = crate::test_database::admin().await;
    let rename = |from: &str, to: &str| AssertSqlSafe(format!("alter database {from} rename to {to}"));
    database.pool.close().await;
    sqlx::query("select pg_terminate_backend(pid, 5000) from pg_stat_activity where datname = $1")
        .bind(&name)
        .execute(&admin)
        .await
        .expect("ended");
    sqlx::raw_sql(rename(&name, &format!("{name}_away"))).execute(&admin).await.expect("renamed");
    for _ in 0..2 {
        let (away, unknown) = watched.step().await;
        assert!(away.is_some() && unknown.as_deref() == Some("unknown: the database is away"), "{away:?}");
    }
    sqlx::raw_sql(rename(&format!("{name}_away"), &name)).execute(&admin).await.expect("renamed");
    assert_eq!(watched.step().await, (None, None));
}

#[tokio::test]
async fn a_statement_that_waits_for_a_lock_is_seen_as_long_as_it_waits() {
    let database = TestDatabase::create().await;
    crate::database::migrate(&database.url, migrator(1)).await.expect("migrated");
    let mut watched = Watched::new(&database, migrator(1));
    let lock = || AssertSqlSafe("lock table a in access exclusive mode");
    let mut holder = database.pool.begin().await.expect("a transaction");
    sqlx::query(lock()).execute(&mut *holder).await.expect("locked");
    watched.step().await;
    assert_eq!(watched.health.0.lock_wait.get(), 0.0);

    let pool = database.pool.clone();
    let waiting = tokio::spawn(async move {
        let mut waiter = pool.begin().await?;
        sqlx::query(lock()).execute(&mut *waiter).await?;
        waiter.rollback().await
    });
    let seen = async {
        while watched.health.0.lock_wait.get() == 0.0 {
            watched.step().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), seen).await.expect("it is seen");
    holder.rollback().await.expect("free");
    waiting.await.expect("no panic").expect("it goes on");
    watched.step().await;
    assert_eq!(watched.health.0.lock_wait.get(), 0.0);
}
