//! A service's database, seen with a superuser's eyes.

use sqlx::postgres::{PgConnectOptions, PgConnection, PgRow};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, Executor, Row as _};

use crate::environment::environment;

/// A database of one service in one test.
#[derive(Debug, Clone)]
pub struct Database {
    name: String,
    options: PgConnectOptions,
}

impl Database {
    /// Makes an empty one.
    ///
    /// # Panics
    /// When the server is away, or there is one of that name.
    pub async fn create(name: &str) -> Self {
        let database = Self { name: name.to_owned(), options: server_options().database(name) };
        let mut admin = connect(&server_options()).await;
        run(&mut admin, &format!("create database \"{name}\"")).await;
        database
    }

    /// Deletes it, whoever is connected.
    pub async fn delete(&self) {
        let mut admin = connect(&server_options()).await;
        run(&mut admin, &format!("drop database if exists \"{}\" with (force)", self.name)).await;
    }

    /// Ends all sessions in it and lets nobody in: it is away for its service, and the server is there for the others.
    pub async fn take_away(&self) {
        let mut admin = connect(&server_options()).await;
        run(&mut admin, &format!("alter database \"{}\" with allow_connections false", self.name)).await;
        let end = format!("select pg_terminate_backend(pid) from pg_stat_activity where datname = '{}'", self.name);
        run(&mut admin, &end).await;
    }

    /// Lets everybody in again, after [`take_away`](Self::take_away).
    pub async fn bring_back(&self) {
        let mut admin = connect(&server_options()).await;
        run(&mut admin, &format!("alter database \"{}\" with allow_connections true", self.name)).await;
    }

    /// Its URL, with the server at `address` (`host:port`) where that is given.
    pub fn url(&self, address: Option<&str>) -> String {
        let mut options = self.options.clone();
        if let Some((host, port)) = address.and_then(|address| address.rsplit_once(':')) {
            options = options.host(host).port(port.parse().expect("a port"));
        }
        options.to_url_lossy().to_string()
    }

    /// Connects to it.
    ///
    /// # Panics
    /// When the server is away.
    pub async fn connect(&self) -> PgConnection {
        connect(&self.options).await
    }

    /// Runs statements without parameters.
    ///
    /// # Panics
    /// When one fails.
    pub async fn execute(&self, sql: &str) {
        run(&mut self.connect().await, sql).await;
    }

    /// The rows of a query without parameters.
    ///
    /// # Panics
    /// When it fails.
    pub async fn rows(&self, sql: &str) -> Vec<PgRow> {
        let mut connection = self.connect().await;
        let rows = sqlx::query(AssertSqlSafe(sql)).fetch_all(&mut connection).await;
        let _ = connection.close().await;
        rows.unwrap_or_else(|error| panic!("{sql}: {error}"))
    }

    /// How many deadlocks the server has ended in it. A crash of the server forgets them.
    ///
    /// # Panics
    /// When the server is away.
    pub async fn deadlocks(&self) -> i64 {
        self.rows("select deadlocks from pg_stat_database where datname = current_database()").await[0].get(0)
    }

    /// How many events the service has published or will publish.
    pub async fn event_count(&self) -> i64 {
        let mut connection = self.connect().await;
        let count = sqlx::query_scalar("select count(*) from event").fetch_one(&mut connection).await;
        let _ = connection.close().await;
        count.expect("the messaging tables are there")
    }
}

/// Where the server is: `host:port`.
pub fn server_address() -> String {
    let options = server_options();
    format!("{}:{}", options.get_host(), options.get_port())
}

/// Runs a statement on the server, if it answers.
pub(crate) async fn attempt(sql: &'static str) -> bool {
    let Ok(mut connection) = server_options().disable_statement_logging().connect().await else { return false };
    connection.execute(sql).await.is_ok()
}

fn server_options() -> PgConnectOptions {
    let url = &environment().database_url;
    url.parse().unwrap_or_else(|error| panic!("DATABASE_URL is no PostgreSQL URL: {error}"))
}

async fn connect(options: &PgConnectOptions) -> PgConnection {
    let connected = options.clone().disable_statement_logging().connect().await;
    connected.unwrap_or_else(|error| panic!("DATABASE_URL: cannot connect: {error}"))
}

async fn run(connection: &mut PgConnection, sql: &str) {
    let ran = connection.execute(sqlx::raw_sql(AssertSqlSafe(sql))).await;
    ran.unwrap_or_else(|error| panic!("{sql}: {error}"));
}
