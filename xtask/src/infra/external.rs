//! Servers that somebody else runs, named by `AMQP_URL` and `DATABASE_URL`. They are used, never started or stopped.

use std::env;
use std::process::Command;

use anyhow::{Context, Result};

use super::packages;

/// Given servers.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct External {
    /// The broker.
    pub(super) amqp_url: String,
    /// Any database on the server in which the services' databases are, or will be made.
    pub(super) database_url: String,
    /// The broker's management interface, from `RABBITMQ_MANAGEMENT_URL`.
    pub(super) management_url: Option<String>,
}

impl External {
    /// Whether the caller names servers of his own. One variable alone does not: a shell that has sourced
    /// `.dev/env` has `AMQP_URL`, many a developer's has `DATABASE_URL`.
    pub(super) fn is_given() -> bool {
        variable("AMQP_URL").is_some() && variable("DATABASE_URL").is_some()
    }

    /// Takes the servers that the variables name.
    ///
    /// # Errors
    /// When one is missing.
    pub(super) fn from_env() -> Result<External> {
        Ok(External {
            amqp_url: variable("AMQP_URL").context("--infra external needs AMQP_URL")?,
            database_url: variable("DATABASE_URL").context("--infra external needs DATABASE_URL")?,
            management_url: variable("RABBITMQ_MANAGEMENT_URL"),
        })
    }

    /// The same server, another database.
    pub(super) fn database_url(&self, name: &str) -> String {
        let (head, options) = self.split();
        let options = options.map(|options| format!("?{options}")).unwrap_or_default();
        format!("{head}/{name}{options}")
    }

    /// The database that the given URL names; PostgreSQL's own default is the user's name, ours the one always there.
    pub(super) fn any_database(&self) -> String {
        let url = self.database_url.split('?').next().unwrap_or_default();
        let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
        let name = rest.split_once('/').map(|(_, name)| name).filter(|name| !name.is_empty());
        name.unwrap_or("postgres").to_owned()
    }

    /// The URL up to its host, and its options.
    fn split(&self) -> (&str, Option<&str>) {
        let (url, options) = match self.database_url.split_once('?') {
            Some((url, options)) => (url, Some(options)),
            None => (self.database_url.as_str(), None),
        };
        let host_begins = url.find("://").map_or(0, |at| at + 3);
        let host_ends = url[host_begins..].find('/').map_or(url.len(), |at| host_begins + at);
        (&url[..host_ends], options)
    }

    /// A psql that is connected to one database of the server.
    ///
    /// # Errors
    /// When there is no psql on this machine.
    pub(super) fn psql(&self, database: &str) -> Result<Command> {
        let psql = packages::psql().context("no psql on this machine; install it (Debian: postgresql-client)")?;
        let mut command = Command::new(psql);
        command.arg("--dbname").arg(self.database_url(database));
        Ok(command)
    }
}

fn variable(name: &str) -> Option<String> {
    env::var(name).ok().filter(|value| !value.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn external(database_url: &str) -> External {
        External { amqp_url: "amqp://h".into(), database_url: database_url.into(), management_url: None }
    }

    #[test]
    fn another_database_of_the_same_server() {
        let url = |given: &str| external(given).database_url("order");
        assert_eq!(url("postgres://u:p@h:5432/main?sslmode=require"), "postgres://u:p@h:5432/order?sslmode=require");
        assert_eq!(url("postgres://h"), "postgres://h/order");
        assert_eq!(url("postgres://h/"), "postgres://h/order");
        assert_eq!(url("postgres://h?a=b/c"), "postgres://h/order?a=b/c");
    }

    #[test]
    fn the_database_to_begin_with() {
        assert_eq!(external("postgres://u@h/main?a=b").any_database(), "main");
        assert_eq!(external("postgres://u@h").any_database(), "postgres");
        assert_eq!(external("postgres://u@h/?a=b").any_database(), "postgres");
    }
}
