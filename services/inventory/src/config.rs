//! What can be configured, and what the program can be asked to do.

use std::net::SocketAddr;
use std::time::Duration;

use clap::{Args, Subcommand};
use messaging::settings::Settings;
use service_kit::config::{self, AuthArgs, DatabaseArgs, LogArgs, Service, ShutdownArgs, TracesArgs, duration};

/// What the program was asked to do.
pub type Invocation = config::Invocation<Config, Task>;

/// What the program can do beside serving. Each needs only its own variables.
#[derive(Debug, Subcommand)]
pub enum Task {
    /// Bring the database's schema up to date, then end
    Migrate {
        /// The database.
        #[command(flatten)]
        database: DatabaseArgs,
    },
    /// Ask the running service whether it is ready for requests; the exit status tells
    Healthcheck {
        /// Where it listens.
        #[command(flatten)]
        listen: ListenArgs,
    },
    /// Work on the log of this service's events
    #[command(subcommand)]
    Events(EventsTask),
}

/// What can be done with the log of events.
#[derive(Debug, Subcommand)]
pub enum EventsTask {
    /// Go on after a dump was restored on another server: translate the followers' checkpoints, then end
    Rebase {
        /// The database.
        #[command(flatten)]
        database: DatabaseArgs,
    },
}

/// Where the service listens.
#[derive(Debug, Clone, Args)]
pub struct ListenArgs {
    /// Address to listen on
    #[arg(long, env = "HTTP_ADDR", value_name = "ADDRESS", default_value = "127.0.0.1:8081")]
    pub http_addr: SocketAddr,
}

/// Warren's inventory: products, stock, reservations
#[derive(Debug, Args)]
pub struct Config {
    /// Where it listens.
    #[command(flatten)]
    pub listen: ListenArgs,
    /// Its database.
    #[command(flatten)]
    pub database: DatabaseArgs,
    /// Its messaging.
    #[command(flatten)]
    pub messaging: Settings,
    /// Who may call.
    #[command(flatten)]
    pub auth: AuthArgs,
    /// How long answers to requests with an Idempotency-Key are kept
    #[arg(long, env = "IDEMPOTENCY_RETENTION", value_name = "DURATION", default_value = "24h", value_parser = duration)]
    pub idempotency_retention: Duration,
    /// Its log.
    #[command(flatten)]
    pub log: LogArgs,
    /// Its traces.
    #[command(flatten)]
    pub traces: TracesArgs,
    /// Its stop.
    #[command(flatten)]
    pub shutdown: ShutdownArgs,
}

impl Service for Config {
    const NAME: &'static str = contracts::event::Service::Inventory.name();
    const ABOUT: &'static str = "Warren's inventory service: products, stock, reservations";
    const VERSION: &'static str = env!("CARGO_PKG_VERSION");
}

#[cfg(test)]
mod tests {
    use std::ffi::OsString;

    use clap::CommandFactory;
    use service_kit::config::{Stop, try_parse_from};

    use super::*;

    fn parse(args: &[&str], env: &[(&str, &str)]) -> Result<Invocation, Stop> {
        let args = std::iter::once("inventory").chain(args.iter().copied()).map(OsString::from);
        try_parse_from(args, |name| env.iter().find(|(known, _)| *known == name).map(|(_, value)| value.into()))
    }

    const DATABASE: (&str, &str) = ("DATABASE_URL", "postgres://u@h/inventory");
    const BROKER: (&str, &str) = ("AMQP_URL", "amqp://guest:guest@h:5672");

    #[test]
    fn serving_needs_the_database_and_the_broker() {
        Invocation::command().debug_assert();
        let Ok(Invocation::Serve(config)) = parse(&[], &[DATABASE, BROKER]) else { panic!("not to be served") };
        assert_eq!(config.listen.http_addr.to_string(), "127.0.0.1:8081");
        assert_eq!(config.idempotency_retention, Duration::from_secs(24 * 3600));
        for (env, missing) in [([DATABASE], "AMQP_URL"), ([BROKER], "DATABASE_URL")] {
            let Err(Stop::Wrong(line)) = parse(&[], &env) else { panic!("served without {missing}") };
            assert!(line.contains(missing), "{line}");
        }
    }

    #[test]
    fn a_task_needs_its_own_variables_alone() {
        assert!(matches!(parse(&["migrate"], &[DATABASE]), Ok(Invocation::Run(Task::Migrate { .. }))));
        assert!(matches!(parse(&["migrate"], &[DATABASE, BROKER]), Ok(Invocation::Run(Task::Migrate { .. }))));
        assert!(matches!(parse(&["migrate"], &[BROKER]), Err(Stop::Wrong(_))));
        let Ok(Invocation::Run(Task::Healthcheck { listen })) = parse(&["healthcheck"], &[("HTTP_ADDR", "0.0.0.0:1")])
        else {
            panic!("no healthcheck")
        };
        assert_eq!(listen.http_addr.port(), 1);
    }

    #[test]
    fn help_lists_every_variable() {
        let Err(Stop::Help(help)) = parse(&["--help"], &[]) else { panic!("no help") };
        for variable in [
            "HTTP_ADDR",
            "DATABASE_URL",
            "AMQP_URL",
            "AUTH_JWKS_FILE",
            "AUTH_HS256_SECRET",
            "AUTH_DISABLED",
            "AUTH_ISSUER",
            "AUTH_AUDIENCE",
            "RETRY_DELAYS",
            "TOPOLOGY",
            "OUTBOX_MAX",
            "INBOX_RETENTION",
            "EVENT_RETENTION",
            "IDEMPOTENCY_RETENTION",
            "DATABASE_MAX_CONNECTIONS",
            "SHUTDOWN_TIMEOUT",
            "PREFETCH",
            "CONSUMER_BATCH",
            "HOLD_LIMIT",
            "LOG_FORMAT",
        ] {
            assert!(help.contains(variable), "{variable} is missing");
        }
    }
}
