//! What can be configured about messaging: the same variables in all services.

use std::str::FromStr;
use std::time::Duration;

use clap::{Args, ValueEnum};

use crate::schedule::RetrySchedule;

/// Deliveries that wait unacknowledged in a process: several batches, so that one forms while another commits. Larger
/// values only cost memory and redeliveries; measured with `cargo xtask bench`.
const DEFAULT_PREFETCH: u16 = 1000;

/// Deliveries that share a transaction at most. Beyond this the gain per message is small and a failure costs more.
const DEFAULT_BATCH: u16 = 200;

/// How a service relates to the topology on the broker.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum TopologyMode {
    /// Declares all of it at each connect (development).
    Declare,
    /// Expects it to be there: the broker's user has no right to configure (production).
    Check,
}

/// The broker's addresses: one or more nodes of one cluster.
#[derive(Clone, PartialEq, Eq)]
pub struct AmqpUrls(Vec<String>);

impl AmqpUrls {
    /// The addresses, in the order in which they are tried.
    pub fn all(&self) -> &[String] {
        &self.0
    }
}

impl std::fmt::Debug for AmqpUrls {
    /// Without the addresses: they hold passwords.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "AmqpUrls({} nodes)", self.0.len())
    }
}

impl FromStr for AmqpUrls {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let urls: Vec<String> = text.split(',').map(|url| url.trim().to_owned()).collect();
        for url in &urls {
            let scheme = url.starts_with("amqp://") || url.starts_with("amqps://");
            if !scheme || url.parse::<lapin::uri::AMQPUri>().is_err() {
                return Err(
                    "not amqp://USER:PASSWORD@HOST:PORT/VHOST (or amqps://), several separated by commas".to_owned()
                );
            }
        }
        Ok(Self(urls))
    }
}

/// The settings of a service's messaging.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Messaging")]
pub struct Settings {
    /// RabbitMQ: amqp:// or amqps://, several nodes separated by commas
    #[arg(long, env = "AMQP_URL", value_name = "URL", hide_env_values = true)]
    pub amqp_url: AmqpUrls,

    /// The backoff schedule of failed messages, the same in all services
    #[arg(long, env = "RETRY_DELAYS", value_name = "LIST", default_value = "1s,5s,30s,2m,10m")]
    pub retry_delays: RetrySchedule,

    /// Declare the exchanges and queues at start, or only check that the own queue is there
    #[arg(long, env = "TOPOLOGY", value_name = "MODE", default_value = "declare")]
    pub topology: TopologyMode,

    /// Unpublished events at which new work is answered 503; 0 refuses all
    #[arg(long, env = "OUTBOX_MAX", value_name = "EVENTS", default_value_t = 100_000)]
    pub outbox_max: u64,

    /// How long the inbox remembers events; longer than any replay may take
    #[arg(long, env = "INBOX_RETENTION", value_name = "DURATION", default_value = "30d", value_parser = duration)]
    pub inbox_retention: Duration,

    /// How long published events that are no aggregate's history are kept
    #[arg(long, env = "EVENT_RETENTION", value_name = "DURATION", default_value = "30d", value_parser = duration)]
    pub event_retention: Duration,

    /// Unacknowledged deliveries in this process
    #[arg(long, env = "PREFETCH", value_name = "MESSAGES", default_value_t = DEFAULT_PREFETCH,
          value_parser = clap::value_parser!(u16).range(1..))]
    pub prefetch: u16,

    /// Deliveries that share a transaction, at most
    #[arg(long, env = "CONSUMER_BATCH", value_name = "MESSAGES", default_value_t = DEFAULT_BATCH,
          value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub consumer_batch: u16,

    /// How long deliveries are held while the database is away: less than the broker's consumer_timeout
    #[arg(long, env = "HOLD_LIMIT", value_name = "DURATION", default_value = "20m", value_parser = duration)]
    pub hold_limit: Duration,
}

fn duration(text: &str) -> Result<Duration, String> {
    humantime::parse_duration(text).map_err(|_| "not a duration such as 90s, 15m, 24h or 30d".to_owned())
}
