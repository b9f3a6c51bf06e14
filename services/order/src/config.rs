//! What can be configured, and what the program can be asked to do.

use std::net::SocketAddr;
use std::time::Duration;

use clap::{Args, Subcommand};
use messaging::settings::Settings;
use service_kit::config::{self, AuthArgs, DatabaseArgs, LogArgs, Service, ShutdownArgs, TracesArgs, duration};

use crate::webhook::Secrets;

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
    /// Work on the read models
    #[command(subcommand)]
    Projections(ProjectionsTask),
    /// Work on the histories of orders
    #[command(subcommand)]
    History(HistoryTask),
}

/// What can be done with read models.
#[derive(Debug, Subcommand)]
pub enum ProjectionsTask {
    /// List everybody who follows the log, and how far behind each is
    List {
        /// The database.
        #[command(flatten)]
        database: DatabaseArgs,
    },
    /// Build read models anew from the whole log and put them in the place of those in use, while orders go on
    Rebuild {
        /// Which, by name; all when none is named
        names: Vec<String>,
        /// The database.
        #[command(flatten)]
        database: DatabaseArgs,
    },
    /// Replay the whole log and compare with the read models in use; changes nothing. Exit status 1 when one differs
    Verify {
        /// Which, by name; all when none is named
        names: Vec<String>,
        /// The database.
        #[command(flatten)]
        database: DatabaseArgs,
    },
}

/// What can be done with the histories of orders.
#[derive(Debug, Subcommand)]
pub enum HistoryTask {
    /// Fold the history of every order and compare it with the order; changes nothing. Exit status 1 when one differs
    Verify {
        /// The database.
        #[command(flatten)]
        database: DatabaseArgs,
    },
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
    #[arg(long, env = "HTTP_ADDR", value_name = "ADDRESS", default_value = "127.0.0.1:8080")]
    pub http_addr: SocketAddr,
}

/// Warren's order service: customers, orders, payments
#[derive(Debug, Args)]
pub struct Config {
    /// Where it listens.
    #[command(flatten)]
    pub listen: ListenArgs,
    /// Its database.
    #[command(flatten)]
    pub database: DatabaseArgs,
    /// How long an order waits for its payment
    #[arg(long, env = "PAYMENT_TIMEOUT", value_name = "DURATION", default_value = "15m", value_parser = duration)]
    pub payment_timeout: Duration,
    /// Secret that payment webhooks are signed with, whsec_…; two separated by a space while rotating. Unset: no webhooks
    #[arg(long, env = "PAYMENT_WEBHOOK_SECRET", value_name = "SECRET", hide_env_values = true)]
    pub payment_webhook_secret: Option<Secrets>,
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
    const NAME: &'static str = contracts::event::Service::Order.name();
    const ABOUT: &'static str = "Warren's order service: takes orders, and moves each to confirmed or cancelled";
    const VERSION: &'static str = env!("CARGO_PKG_VERSION");
}

#[cfg(test)]
mod tests {
    use std::ffi::OsString;

    use clap::CommandFactory;
    use service_kit::config::{Stop, try_parse_from};

    use super::*;

    fn parse(args: &[&str], env: &[(&str, &str)]) -> Result<Invocation, Stop> {
        let args = std::iter::once("order").chain(args.iter().copied()).map(OsString::from);
        try_parse_from(args, |name| env.iter().find(|(known, _)| *known == name).map(|(_, value)| value.into()))
    }

    const ENOUGH: [(&str, &str); 2] =
        [("DATABASE_URL", "postgres://u@h/order"), ("AMQP_URL", "amqp://guest:guest@h:5672")];

    #[test]
    fn what_is_not_told_has_its_default() {
        Invocation::command().debug_assert();
        let Ok(Invocation::Serve(config)) = parse(&[], &ENOUGH) else { panic!("not to be served") };
        assert_eq!(config.listen.http_addr.to_string(), "127.0.0.1:8080");
        assert_eq!(config.payment_timeout, Duration::from_mins(15));
        assert_eq!(config.payment_webhook_secret, None);
    }

    #[test]
    fn a_wrong_secret_is_not_shown() {
        for secret in ["whsec_dG9vIHNob3J0", "hunter2"] {
            let env = [&ENOUGH[..], &[("PAYMENT_WEBHOOK_SECRET", secret)]].concat();
            let Err(Stop::Wrong(line)) = parse(&[], &env) else { panic!("taken: {secret}") };
            assert!(line.contains("PAYMENT_WEBHOOK_SECRET") && !line.contains(secret), "{line}");
        }
    }

    #[test]
    fn help_lists_the_variables_of_this_service() {
        let Err(Stop::Help(help)) = parse(&["--help"], &[]) else { panic!("no help") };
        for variable in ["HTTP_ADDR", "DATABASE_URL", "AMQP_URL", "PAYMENT_TIMEOUT", "PAYMENT_WEBHOOK_SECRET"] {
            assert!(help.contains(variable), "{variable} is missing");
        }
    }
}
