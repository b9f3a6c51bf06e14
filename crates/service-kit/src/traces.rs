//! Traces: spans over OTLP/HTTP to a collector, if one is named.
//!
//! A collector that is slow or away harms nobody: spans wait in a bounded queue for a thread of their own, and what does
//! not fit or cannot be delivered is dropped, counted, and told of once.

mod queue;

use std::collections::HashMap;
use std::fmt;
use std::str::FromStr;
use std::sync::OnceLock;
use std::time::Duration;

use axum::http::{HeaderName, HeaderValue, Uri};
use opentelemetry::global::{self, BoxedTracer};
use opentelemetry_otlp::{SpanExporter, WithExportConfig, WithHttpConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{Sampler, SdkTracerProvider};
use uuid::Uuid;

use crate::config::{SamplerName, TracesArgs};
use crate::metrics::Metrics;
use queue::Queue;

/// Where the OTLP specification wants traces, beneath the collector's base address.
const PATH: &str = "/v1/traces";

/// How long a stop waits for the last spans. It comes after everything else has stopped, and must not delay the end.
const FLUSH: Duration = Duration::from_secs(3);

static TRACER: OnceLock<BoxedTracer> = OnceLock::new();

/// Who makes spans, when they are recorded at all.
pub(crate) fn tracer() -> Option<&'static BoxedTracer> {
    TRACER.get()
}

/// The base address of a collector.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Collector(String);

impl FromStr for Collector {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let uri = text.parse::<Uri>().ok();
        let fits = uri.is_some_and(|uri| {
            matches!(uri.scheme_str(), Some("http" | "https")) && uri.host().is_some() && uri.query().is_none()
        });
        match fits {
            true => Ok(Self(text.trim_end_matches('/').to_owned())),
            false => Err(format!(
                "expected the base address of an OTLP/HTTP collector, such as http://localhost:4318 ({PATH} is appended)"
            )),
        }
    }
}

/// Headers of the requests to a collector. Not shown: one of them may be a key.
#[derive(Clone, PartialEq, Eq)]
pub struct CollectorHeaders(HashMap<String, String>);

impl FromStr for CollectorHeaders {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let header = |pair: &str| {
            let (name, value) = pair.split_once('=')?;
            let (name, value) = (name.trim(), value.trim());
            let fits = HeaderName::try_from(name).is_ok() && HeaderValue::try_from(value).is_ok() && !value.is_empty();
            fits.then(|| (name.to_owned(), value.to_owned()))
        };
        let headers: Option<HashMap<_, _>> = text.split(',').map(header).collect();
        headers.map(Self).ok_or_else(|| "expected headers as name=value,name=value".to_owned())
    }
}

impl fmt::Debug for CollectorHeaders {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} headers", self.0.len())
    }
}

/// The recording of this process.
#[derive(Debug)]
pub struct Traces(Option<SdkTracerProvider>);

impl Traces {
    /// Records from here on, if a collector is named. Call once, after logging has begun and before anything is served.
    ///
    /// # Errors
    /// A line for the operator, meant for [`crate::config::or_exit`].
    pub fn start(args: &TracesArgs, service: &'static str, metrics: &Metrics) -> Result<Self, String> {
        let dropped = metrics.register(queue::Dropped::register);
        let Some(Collector(base)) = &args.otel_exporter_otlp_endpoint else { return Ok(Self(None)) };
        // The exporter's client asks for the process's provider, also for http.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let exporter = SpanExporter::builder().with_http().with_endpoint(format!("{base}{PATH}"));
        let headers = args.otel_exporter_otlp_headers.as_ref().map(|headers| headers.0.clone()).unwrap_or_default();
        let exporter = exporter.with_headers(headers).build();
        let exporter = exporter.map_err(|error| format!("OTEL_EXPORTER_OTLP_ENDPOINT: {error}"))?;
        let name = args.otel_service_name.clone().unwrap_or_else(|| service.to_owned());
        let version = opentelemetry::KeyValue::new("service.version", env!("CARGO_PKG_VERSION"));
        // copies of a service differ in nothing else
        let instance = opentelemetry::KeyValue::new("service.instance.id", Uuid::new_v4().to_string());
        let resource = Resource::builder().with_attributes([version, instance]).with_service_name(name).build();
        let provider = SdkTracerProvider::builder()
            .with_resource(resource)
            .with_sampler(sampler(args))
            .with_span_processor(Queue::start(exporter, dropped))
            .build();
        global::set_tracer_provider(provider.clone());
        TRACER.get_or_init(|| global::tracer("http"));
        // without whatever there is of a user and a password
        tracing::info!(collector = base.rsplit('@').next(), "recording traces");
        Ok(Self(Some(provider)))
    }

    /// Whether anything is recorded.
    pub fn are_on(&self) -> bool {
        self.0.is_some()
    }

    /// Delivers what is still here, for a few seconds at most. Call last.
    pub async fn finish(self) {
        let Some(provider) = self.0 else { return };
        let flushed = tokio::task::spawn_blocking(move || provider.shutdown_with_timeout(FLUSH));
        if !matches!(flushed.await, Ok(Ok(()))) {
            tracing::warn!("the last spans could not be delivered in time");
        }
    }
}

/// Which traces are recorded. Whoever calls and has decided about his trace is followed, unless the name says otherwise.
fn sampler(args: &TracesArgs) -> Sampler {
    let ratio = || Sampler::TraceIdRatioBased(args.otel_traces_sampler_arg);
    match args.otel_traces_sampler {
        SamplerName::AlwaysOn => Sampler::AlwaysOn,
        SamplerName::AlwaysOff => Sampler::AlwaysOff,
        SamplerName::Traceidratio => ratio(),
        SamplerName::ParentbasedAlwaysOn => Sampler::ParentBased(Box::new(Sampler::AlwaysOn)),
        SamplerName::ParentbasedAlwaysOff => Sampler::ParentBased(Box::new(Sampler::AlwaysOff)),
        SamplerName::ParentbasedTraceidratio => Sampler::ParentBased(Box::new(ratio())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_collector_is_named_by_its_base() {
        for good in ["http://localhost:4318", "http://localhost:4318/", "https://otlp.example/tenant"] {
            assert_eq!(good.parse(), Ok(Collector(good.trim_end_matches('/').to_owned())));
        }
        for bad in ["localhost:4318", "grpc://localhost:4317", "http://", "nonsense", "http://h/?key=1"] {
            assert!(bad.parse::<Collector>().is_err(), "{bad}");
        }
    }
}
