//! A RabbitMQ and a PostgreSQL to work with: private ones in containers or from the system's packages, or given ones.
//!
//! Private servers listen on 127.0.0.1 alone, on ports of their own, with data, names and passwords of their own;
//! whatever else runs on the machine is never touched. [`Infra::choose`] is the way in; [`private`] is what the
//! two private ways have in common, [`docker`] and [`native`] are what differs, [`external`] only hands through what
//! it was given, and [`control`] lets tests stop and start the servers.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Result, bail};
use clap::ValueEnum;

use crate::interrupt::Interrupted;
use crate::process;
use external::External;
use private::{Life, Private};
use provider::Way;

pub(crate) mod control;
mod docker;
mod external;
mod native;
mod packages;
pub(crate) mod private;
mod provider;

/// What a person may ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Choice {
    /// External when both variables are set, else docker when an engine can be used, else native.
    Auto,
    /// Containers of the images rabbitmq:4-management and postgres:17.
    Docker,
    /// Private instances of the programs in Debian's or Ubuntu's packages.
    Native,
    /// The instances named by `AMQP_URL` and `DATABASE_URL`.
    External,
}

/// One of the two servers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Server {
    /// RabbitMQ.
    Broker,
    /// PostgreSQL.
    Database,
}

impl Server {
    /// Both, in the order in which they are started.
    pub(crate) const ALL: [Server; 2] = [Server::Database, Server::Broker];

    /// The name of the product.
    pub(crate) fn product(self) -> &'static str {
        match self {
            Server::Broker => "RabbitMQ",
            Server::Database => "PostgreSQL",
        }
    }
}

/// A broker and a database.
pub(crate) enum Infra {
    /// Ours: started here, stopped here.
    Private(Private),
    /// Somebody else's.
    External(External),
}

impl Infra {
    /// Chooses how the servers of a run are provided, and gets their programs. Nothing is started yet.
    ///
    /// # Errors
    /// When what was asked for cannot be had.
    pub(crate) fn choose(dir: &Path, choice: Choice, life: Life, servers: &[Server]) -> Result<Infra> {
        let recorded = Private::with_data(dir)?;
        let way = match choice {
            Choice::Auto => way_by_itself(recorded.as_ref().map(Private::way), servers)?,
            Choice::Docker => Some(Way::Docker),
            Choice::Native => Some(Way::Native),
            Choice::External => None,
        };
        let Some(way) = way else { return Ok(Infra::External(External::from_env()?)) };
        if let Some(other) = recorded.as_ref().map(Private::way).filter(|other| *other != way) {
            let (dir, other, way) = (dir.display(), other.name(), way.name());
            bail!("{dir} holds data of --infra {other}; add --fresh to delete it and go on with {way}");
        }
        way.provider().prepare(servers)?;
        Ok(Infra::Private(match recorded {
            Some(recorded) => recorded,
            None => Private::new(dir, way, life)?,
        }))
    }

    /// Starts servers of our own, with the data that the run's folder holds, and waits until they can be used.
    ///
    /// # Errors
    /// When one does not start.
    pub(crate) fn start(&mut self, servers: &[Server]) -> Result<()> {
        match self {
            Infra::Private(private) => private.start_all(servers),
            Infra::External(_) => Ok(()),
        }
    }

    /// How these servers are provided, in the words of `--infra` and `TEST_INFRA`.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Infra::Private(private) => private.way().name(),
            Infra::External(_) => "external",
        }
    }

    /// An administrator's URL of the broker.
    pub(crate) fn amqp_url(&self) -> String {
        match self {
            Infra::Private(private) => private.amqp_url(),
            Infra::External(external) => external.amqp_url.clone(),
        }
    }

    /// A superuser's (of external servers: the given user's) URL of one database.
    pub(crate) fn database_url(&self, name: &str) -> String {
        match self {
            Infra::Private(private) => private.database_url(name),
            Infra::External(external) => external.database_url(name),
        }
    }

    /// A superuser's URL of a database that is always there.
    pub(crate) fn any_database_url(&self) -> String {
        match self {
            Infra::Private(private) => private.database_url("postgres"),
            Infra::External(external) => external.database_url.clone(),
        }
    }

    /// The broker's management interface, with the administrator's name and password, if it has one.
    pub(crate) fn management_url(&self) -> Option<String> {
        match self {
            Infra::Private(private) => Some(private.management_url()),
            Infra::External(external) => external.management_url.clone(),
        }
    }

    /// Where the servers listen, as `host:port`: broker, database.
    pub(crate) fn addresses(&self) -> (String, String) {
        (host_and_port(&self.amqp_url(), 5672), host_and_port(&self.any_database_url(), 5432))
    }

    /// Runs SQL in a database and returns the rows as text.
    ///
    /// # Errors
    /// At the first statement that fails, with PostgreSQL's words.
    pub(crate) fn sql(&self, database: &str, sql: &str) -> Result<String> {
        let mut psql: Command = match self {
            Infra::Private(private) => private.psql(database),
            Infra::External(external) => external.psql(database)?,
        };
        psql.args(["--no-psqlrc", "--quiet", "--tuples-only", "--no-align", "--set=ON_ERROR_STOP=1", "--file=-"]);
        process::output(&mut psql, Some(sql))
    }

    /// Makes an empty database, unless it is there.
    ///
    /// # Errors
    /// When the user may not.
    pub(crate) fn create_database(&self, name: &str) -> Result<()> {
        let anywhere = self.any_database();
        let found = self.sql(&anywhere, &format!("select 1 from pg_database where datname = '{name}'"))?;
        if found.trim().is_empty() {
            self.sql(&anywhere, &format!("create database \"{name}\""))?;
        }
        Ok(())
    }

    /// Deletes a database with all that is in it.
    ///
    /// # Errors
    /// When the user may not.
    pub(crate) fn drop_database(&self, name: &str) -> Result<()> {
        self.sql(&self.any_database(), &format!("drop database if exists \"{name}\" with (force)")).map(drop)
    }

    fn any_database(&self) -> String {
        match self {
            Infra::Private(_) => "postgres".to_owned(),
            Infra::External(external) => external.any_database(),
        }
    }
}

/// PostgreSQL's `pgbench`, if it is on this machine.
pub(crate) fn pgbench() -> Option<PathBuf> {
    packages::pgbench()
}

/// What `auto` means here and now; none is external. Data that is there decides over what could be had, so that
/// starting Docker one day does not make yesterday's orders vanish.
fn way_by_itself(recorded: Option<Way>, servers: &[Server]) -> Result<Option<Way>> {
    if External::is_given() {
        return Ok(None);
    }
    if recorded.is_some() {
        return Ok(recorded);
    }
    match docker::prepare(servers) {
        Ok(()) => Ok(Some(Way::Docker)),
        Err(error) if error.is::<Interrupted>() => Err(error),
        Err(error) => {
            process::say(&format!("no Docker ({error:#}): taking the system's packages"));
            Ok(Some(Way::Native))
        }
    }
}

/// `host:port` of a URL; of the first, where several are separated by commas.
fn host_and_port(url: &str, default_port: u16) -> String {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let authority = rest.split(['/', '?', ',']).next().unwrap_or_default();
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    let has_port = host.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok());
    if has_port { host.to_owned() } else { format!("{host}:{default_port}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn host_and_port_of_a_url() {
        assert_eq!(host_and_port("amqp://a:b@h:1/v", 5672), "h:1");
        assert_eq!(host_and_port("amqps://h", 5671), "h:5671");
        assert_eq!(host_and_port("amqp://a@h1:1,amqp://a@h2:2", 5672), "h1:1");
        assert_eq!(host_and_port("postgres://u:p@[::1]:5432/db?a=b", 1), "[::1]:5432");
        assert_eq!(host_and_port("postgres://u:p@[::1]/db", 5432), "[::1]:5432");
    }
}
