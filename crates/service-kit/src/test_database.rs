//! A database of its own for each test, on the server that `DATABASE_URL` names. Without one the test fails: it is never skipped.

use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, PgConnection, PgPool};

pub(crate) struct TestDatabase {
    pub(crate) pool: PgPool,
    pub(crate) url: String,
    name: String,
    server: String,
}

fn server() -> String {
    std::env::var("DATABASE_URL")
        .expect("DATABASE_URL must name a PostgreSQL server on which tests may create databases")
}

/// The server itself.
pub(crate) async fn admin() -> PgPool {
    PgPoolOptions::new().max_connections(1).connect(&server()).await.expect("the server that DATABASE_URL names")
}

impl TestDatabase {
    pub(crate) async fn create() -> Self {
        let server = server();
        let name = format!("test_service_kit_{}", uuid::Uuid::now_v7().simple());
        let create = AssertSqlSafe(format!("create database {name}"));
        sqlx::raw_sql(create).execute(&admin().await).await.expect("a new database");
        let options: PgConnectOptions = server.parse::<PgConnectOptions>().expect("a URL").database(&name);
        let url = options.to_url_lossy().to_string();
        let pool = PgPoolOptions::new().max_connections(8).connect_lazy_with(options);
        TestDatabase { pool, url, name, server }
    }
}

/// Drops the database, also when the test failed. On a thread and runtime of its own, since the test's may be gone.
impl Drop for TestDatabase {
    fn drop(&mut self) {
        let (name, server) = (self.name.clone(), self.server.clone());
        let drop = async move {
            let mut admin = PgConnection::connect(&server).await?;
            let statement = AssertSqlSafe(format!("drop database if exists {name} with (force)"));
            sqlx::raw_sql(statement).execute(&mut admin).await
        };
        let dropped = std::thread::spawn(|| {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            runtime.block_on(drop).map_err(std::io::Error::other)
        });
        if !matches!(dropped.join(), Ok(Ok(_))) {
            eprintln!("the test database {} was left behind", self.name);
        }
    }
}
