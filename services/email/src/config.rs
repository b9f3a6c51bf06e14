//! What can be configured, and what the program can be asked to do: `email --help` is the reference.

use std::net::SocketAddr;

use clap::{Args, Subcommand};
use lettre::message::Mailbox;
use messaging::settings::Settings;
use service_kit::config::{self, AuthArgs, DatabaseArgs, LogArgs, Service, ShutdownArgs, TracesArgs};

use crate::mail::harmless;
use crate::transport::target::Target;

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
    #[arg(long, env = "HTTP_ADDR", value_name = "ADDRESS", default_value = "127.0.0.1:8082")]
    pub http_addr: SocketAddr,
}

/// The configuration of the service.
#[derive(Debug, Args)]
pub struct Config {
    /// Where it listens.
    #[command(flatten)]
    pub listen: ListenArgs,
    /// Its database.
    #[command(flatten)]
    pub database: DatabaseArgs,
    /// Where mails go.
    #[command(flatten)]
    pub mail: MailArgs,
    /// Its messaging.
    #[command(flatten)]
    pub messaging: Settings,
    /// Who may call.
    #[command(flatten)]
    pub auth: AuthArgs,
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
    const NAME: &'static str = contracts::event::Service::Email.name();
    const ABOUT: &'static str = "Warren's email service: keeps who gets mail, and hands over each mail once";
    const VERSION: &'static str = env!("CARGO_PKG_VERSION");
}

/// Where mails go, and whom they are from.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Mail")]
pub struct MailArgs {
    /// Where mails go: a mail server, trusted by the system's certificates, or a directory for one .eml file per mail
    #[arg(long, env = "SMTP_URL", value_name = "URL", hide_env_values = true)]
    pub smtp_url: Target,

    /// The sender of all mails: shop@example.com, or My Shop <shop@example.com>
    #[arg(long, env = "EMAIL_FROM", value_name = "MAILBOX", value_parser = mailbox)]
    pub email_from: Mailbox,

    /// Who gets the low-stock mails; there are none when unset
    #[arg(long, env = "EMAIL_OPS", value_name = "MAILBOX", value_parser = mailbox)]
    pub email_ops: Option<Mailbox>,
}

impl MailArgs {
    /// What the sender calls itself: the name in `EMAIL_FROM`, or its domain.
    pub fn shop(&self) -> &str {
        self.email_from.name.as_deref().unwrap_or_else(|| self.email_from.email.domain())
    }
}

fn mailbox(text: &str) -> Result<Mailbox, &'static str> {
    const EXPECTED: &str = "expected an address such as shop@example.com, or My Shop <shop@example.com>";
    if harmless(text) != text {
        return Err(EXPECTED);
    }
    text.parse().map_err(|_| EXPECTED)
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;
    use std::ffi::OsString;

    use service_kit::config::{Stop, try_parse_from};

    use super::*;

    const VALID: [(&str, &str); 5] = [
        ("DATABASE_URL", "postgres://u:hunter2@h/d"),
        ("AMQP_URL", "amqp://u:hunter2@h"),
        ("AUTH_DISABLED", "true"),
        ("SMTP_URL", "smtp://u:hunter2@mail.example.com"),
        ("EMAIL_FROM", "My Shop <shop@example.com>"),
    ];

    fn read(args: &[&str], changes: &[(&str, &str)]) -> Result<Invocation, Stop> {
        let env: HashMap<&str, OsString> = VALID.iter().chain(changes).map(|(k, v)| (*k, v.into())).collect();
        let args = std::iter::once("email").chain(args.iter().copied()).map(OsString::from);
        try_parse_from(args, |name| env.get(name).cloned())
    }

    fn config(changes: &[(&str, &str)]) -> Config {
        match read(&[], changes) {
            Ok(Invocation::Serve(config)) => *config,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_task_needs_its_own_variables_alone() {
        let without_mail = [("SMTP_URL", ""), ("EMAIL_FROM", ""), ("AMQP_URL", "")];
        assert!(matches!(read(&["migrate"], &without_mail), Ok(Invocation::Run(Task::Migrate { .. }))));
        let without_any = [("DATABASE_URL", ""), ("SMTP_URL", ""), ("EMAIL_FROM", ""), ("AMQP_URL", "")];
        assert!(matches!(read(&["healthcheck"], &without_any), Ok(Invocation::Run(Task::Healthcheck { .. }))));
        assert!(matches!(read(&["migrate"], &without_any), Err(Stop::Wrong(_))));
    }

    #[test]
    fn the_sender_has_a_name() {
        assert_eq!(config(&[]).mail.shop(), "My Shop");
        assert_eq!(config(&[("EMAIL_FROM", "shop@example.com")]).mail.shop(), "example.com");
        assert_eq!(config(&[]).mail.email_ops, None);
    }

    #[test]
    fn what_is_wrong_is_one_line_without_secrets() {
        for (name, value) in [
            ("SMTP_URL", ""),
            ("SMTP_URL", "mail.example.com:25:hunter2"),
            ("EMAIL_FROM", ""),
            ("EMAIL_FROM", "nobody"),
            ("EMAIL_FROM", "a@example.com\r\nBcc: b@example.com"),
            ("EMAIL_OPS", "ops at example.com"),
        ] {
            match read(&[], &[(name, value)]) {
                Err(Stop::Wrong(line)) => {
                    assert!(line.starts_with(name), "{line}");
                    assert!(!line.contains("hunter2") && line.lines().count() == 1, "{line}");
                }
                other => panic!("{name}={value:?}: {other:?}"),
            }
        }
    }

    #[test]
    fn debug_shows_no_secret() {
        assert!(!format!("{:?}", config(&[])).contains("hunter2"));
    }
}
