//! Groups of variables that services flatten into their configuration (`#[command(flatten)]`).

use std::path::PathBuf;
use std::time::Duration;

use super::Secret;
use crate::http::auth::Authenticator;
use crate::telemetry::Format;
use crate::traces::{Collector, CollectorHeaders};

/// An HS256 key shorter than the hash is a warning: RFC 7518, section 3.2, asks for 256 bits.
const HS256_MIN_BYTES: usize = 32;

/// The database.
#[derive(Clone, Debug, clap::Args)]
pub struct DatabaseArgs {
    /// The service's own PostgreSQL database: postgres://USER:PASSWORD@HOST:PORT/DATABASE
    #[arg(long, env = "DATABASE_URL", hide_env_values = true)]
    pub database_url: Secret,

    /// How many connections the service holds at most
    // Twelve kept PostgreSQL busy without queueing inside it on small machines; a transaction
    // here is short, so more connections add contention before they add throughput.
    #[arg(long, env = "DATABASE_MAX_CONNECTIONS", default_value_t = 12,
          value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub database_max_connections: u32,
}

/// Who may call. Exactly one of the key file, the secret, and disabled.
#[derive(Clone, Debug, clap::Args)]
pub struct AuthArgs {
    /// File with the public keys (JWKS, RFC 7517) that verify bearer tokens
    #[arg(long, env = "AUTH_JWKS_FILE")]
    pub auth_jwks_file: Option<PathBuf>,

    /// Secret that verifies bearer tokens signed with HS256, taken as raw bytes
    #[arg(long, env = "AUTH_HS256_SECRET", hide_env_values = true)]
    pub auth_hs256_secret: Option<Secret>,

    /// true: no tokens, every caller may do everything (development only)
    #[arg(long, env = "AUTH_DISABLED", default_value_t = false, value_name = "BOOL",
          action = clap::ArgAction::Set, num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub auth_disabled: bool,

    /// The `iss` that tokens must have; unchecked when unset
    #[arg(long, env = "AUTH_ISSUER")]
    pub auth_issuer: Option<String>,

    /// The `aud` that tokens must have; unchecked when unset
    #[arg(long, env = "AUTH_AUDIENCE")]
    pub auth_audience: Option<String>,
}

impl AuthArgs {
    /// The authenticator that these describe; warns in the log when there is none.
    ///
    /// The error is a line for the operator, meant for [`super::or_exit`]: none or several of the three are set, or the key file is unusable.
    pub fn authenticator(&self) -> Result<Authenticator, String> {
        let issuer = self.auth_issuer.as_deref();
        let audience = self.auth_audience.as_deref();
        match (&self.auth_jwks_file, &self.auth_hs256_secret, self.auth_disabled) {
            (Some(path), None, false) => {
                let shown = path.display();
                let keys = std::fs::read(path).map_err(|error| format!("AUTH_JWKS_FILE: cannot read {shown}: {error}"))?;
                Authenticator::jwks(&keys, issuer, audience).map_err(|error| format!("AUTH_JWKS_FILE: {shown}: {error}"))
            }
            (None, Some(secret), false) => {
                let secret = secret.expose().as_bytes();
                if secret.len() < HS256_MIN_BYTES {
                    tracing::warn!("AUTH_HS256_SECRET is shorter than {HS256_MIN_BYTES} bytes: it can be guessed");
                }
                Ok(Authenticator::hs256(secret, issuer, audience))
            }
            (None, None, true) => {
                tracing::warn!("AUTH_DISABLED=true: every caller may do everything");
                Ok(Authenticator::disabled())
            }
            (None, None, false) => Err("no way to verify callers: set AUTH_JWKS_FILE or AUTH_HS256_SECRET (or, for development, AUTH_DISABLED=true)".to_owned()),
            _ => Err("AUTH_JWKS_FILE, AUTH_HS256_SECRET and AUTH_DISABLED=true exclude each other: set exactly one".to_owned()),
        }
    }
}

/// The log.
#[derive(Clone, Debug, clap::Args)]
pub struct LogArgs {
    /// How log lines look: pretty or json; pretty on a terminal, else json, when unset (level by RUST_LOG)
    #[arg(long, env = "LOG_FORMAT", value_enum)]
    pub log_format: Option<Format>,
}

/// Traces.
#[derive(Clone, Debug, clap::Args)]
pub struct TracesArgs {
    /// Where traces go: the base address of an OTLP/HTTP collector, http://HOST:4318; nowhere when unset (also
    /// OTEL_EXPORTER_OTLP_TIMEOUT, OTEL_RESOURCE_ATTRIBUTES)
    #[arg(long, env = "OTEL_EXPORTER_OTLP_ENDPOINT", value_name = "URL", hide_env_values = true)]
    pub otel_exporter_otlp_endpoint: Option<Collector>,

    /// Headers for the collector, such as a vendor's key: name=value,name=value
    #[arg(long, env = "OTEL_EXPORTER_OTLP_HEADERS", value_name = "LIST", hide_env_values = true)]
    pub otel_exporter_otlp_headers: Option<CollectorHeaders>,

    /// What this service is called in traces; as it is called anyway when unset
    #[arg(long, env = "OTEL_SERVICE_NAME", value_name = "NAME")]
    pub otel_service_name: Option<String>,

    /// Which traces are recorded; the parentbased ones follow a caller that has decided
    #[arg(
        long,
        env = "OTEL_TRACES_SAMPLER",
        value_name = "SAMPLER",
        value_enum,
        default_value = "parentbased_always_on"
    )]
    pub otel_traces_sampler: SamplerName,

    /// The share of traces that those samplers record that are named after a ratio: 0 to 1
    #[arg(long, env = "OTEL_TRACES_SAMPLER_ARG", value_name = "RATIO", default_value_t = 1.0, value_parser = ratio)]
    pub otel_traces_sampler_arg: f64,
}

/// The samplers of OpenTelemetry's specification, by their names there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
#[value(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the specification describes them, and their names do")]
pub enum SamplerName {
    AlwaysOn,
    AlwaysOff,
    Traceidratio,
    ParentbasedAlwaysOn,
    ParentbasedAlwaysOff,
    ParentbasedTraceidratio,
}

fn ratio(text: &str) -> Result<f64, String> {
    let ratio = text.parse().ok().filter(|ratio| (0.0..=1.0).contains(ratio));
    ratio.ok_or_else(|| "expected a number from 0 to 1".to_owned())
}

/// The stop.
#[derive(Clone, Debug, clap::Args)]
pub struct ShutdownArgs {
    /// How long a stop may finish what is under way
    #[arg(long, env = "SHUTDOWN_TIMEOUT", default_value = "30s", value_parser = super::duration)]
    pub shutdown_timeout: Duration,
}
