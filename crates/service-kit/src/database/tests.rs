use std::borrow::Cow;

use clap::Parser;

use super::*;
use crate::test_database::TestDatabase;

#[derive(Parser)]
struct Config {
    #[command(flatten)]
    database: DatabaseArgs,
}

/// A pool as services have it, with so many connections.
fn service_pool(url: &str, connections: u32) -> PgPool {
    let args = ["test", "--database-url", url, "--database-max-connections", &connections.to_string()];
    pool(&Config::parse_from(args).database, "test").expect("a good URL")
}

async fn code_of(pool: &PgPool, statement: &'static str) -> (Option<String>, Fault) {
    let error = sqlx::raw_sql(statement).execute(pool).await.expect_err(statement);
    let code = error.as_database_error().and_then(|error| error.code()).map(Cow::into_owned);
    (code, classify(&error))
}

#[tokio::test]
async fn connections_have_the_services_limits() {
    let database = TestDatabase::create().await;
    let pool = service_pool(&database.url, 2);
    for (setting, value) in [
        ("statement_timeout", "15s"),
        ("lock_timeout", "5s"),
        ("idle_in_transaction_session_timeout", "10s"),
        ("application_name", "test"),
    ] {
        let found: String =
            sqlx::query_scalar("select current_setting($1)").bind(setting).fetch_one(&pool).await.expect(setting);
        assert_eq!(found, value, "{setting}");
    }
}

#[tokio::test]
async fn a_begin_that_was_dropped_leaves_nobody_in_its_transaction() {
    let database = TestDatabase::create().await;
    let pool = service_pool(&database.url, 1);
    sqlx::raw_sql("create table t (n int)").execute(&pool).await.expect("a table");
    let mut connection = pool.acquire().await.expect("a connection");
    // One poll sends it; then its caller goes away. The pause is the server's, so that the answer cannot be there already.
    let mut begin = Box::pin(connection.begin_with("begin; select pg_sleep(0.1)"));
    assert!(futures_util::poll!(begin.as_mut()).is_pending());
    drop(begin);
    drop(connection);
    sqlx::raw_sql("insert into t values (1)").execute(&pool).await.expect("inserted");
    pool.close().await;
    let kept: i64 = sqlx::query_scalar("select count(*) from t").fetch_one(&database.pool).await.expect("a count");
    assert_eq!(kept, 1, "the insert joined a transaction that nobody commits");
}

#[tokio::test]
async fn errors_are_sorted_by_what_to_do() {
    let database = TestDatabase::create().await;
    for (statement, code, fault) in [
        ("do $$ begin raise sqlstate '40001'; end $$", "40001", Fault::Transient),
        ("do $$ begin raise sqlstate '40P01'; end $$", "40P01", Fault::Transient),
        ("do $$ begin raise sqlstate '55P03'; end $$", "55P03", Fault::Transient),
        ("do $$ begin raise sqlstate '53100'; end $$", "53100", Fault::Outage),
        ("do $$ begin raise sqlstate '57P01'; end $$", "57P01", Fault::Outage),
        ("do $$ begin raise sqlstate '08006'; end $$", "08006", Fault::Outage),
        ("do $$ begin raise sqlstate '25006'; end $$", "25006", Fault::Outage),
        ("do $$ begin raise sqlstate '57014'; end $$", "57014", Fault::Outage),
        ("do $$ begin raise sqlstate '25P03'; end $$", "25P03", Fault::Outage),
        ("select 1/0", "22012", Fault::Permanent),
        ("select * from nowhere", "42P01", Fault::Permanent),
    ] {
        assert_eq!(code_of(&database.pool, statement).await, (Some(code.to_owned()), fault));
    }
    assert_eq!(classify(&sqlx::Error::PoolTimedOut), Fault::Outage);
    assert_eq!(classify(&sqlx::Error::RowNotFound), Fault::Permanent);
    let refused =
        PgConnection::connect("postgres://127.0.0.1:1/nowhere").await.map(|_| ()).expect_err("nobody listens");
    assert_eq!(classify(&refused), Fault::Outage);
    let unknown: PgConnectOptions = database.url.parse().expect("a URL");
    let unknown = unknown.database("no_such_database").connect().await.map(|_| ()).expect_err("no such database");
    assert_eq!(classify(&unknown), Fault::Outage);
}

#[tokio::test]
async fn a_killed_session_is_an_outage_and_the_next_one_works() {
    let database = TestDatabase::create().await;
    let pool = service_pool(&database.url, 1);
    let error = sqlx::query("select pg_terminate_backend(pg_backend_pid())").execute(&pool).await.expect_err("killed");
    assert_eq!(classify(&error), Fault::Outage, "{error}");
    sqlx::query("select 1").execute(&pool).await.expect("a new connection");
}

#[test]
fn a_malformed_url_is_named_without_being_shown() {
    let error = connect_options("postgres://u:hunter2@:x/", "test").expect_err("malformed");
    assert!(error.starts_with("DATABASE_URL is wrong") && !error.contains("hunter2"));
}
