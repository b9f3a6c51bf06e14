//! Metrics for Prometheus: one registry per process, and what every service measures of itself.

mod format;
mod process;

#[cfg(test)]
mod tests;

pub use format::Format;

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::family::{Family, MetricConstructor};
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

/// Upper bounds in seconds, those of OpenTelemetry's semantic conventions for HTTP.
const REQUEST_SECONDS: [f64; 14] = [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0];
/// A scraper gives up after ten seconds; figures that cannot be had by then stay as they were.
const REFRESH_TIMEOUT: Duration = Duration::from_secs(3);

type Refresh = dyn Fn() -> Pin<Box<dyn Future<Output = ()> + Send>> + Send + Sync;

/// The metrics of the process; clones share them.
#[derive(Clone)]
pub struct Metrics(Arc<Inner>);

struct Inner {
    registry: Mutex<Registry>,
    refreshes: Mutex<Vec<Arc<Refresh>>>,
    requests: Family<RequestLabels, Histogram, RequestHistogram>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RequestLabels {
    method: &'static str,
    route: String,
    status: u16,
}

#[derive(Clone)]
struct RequestHistogram;

impl MetricConstructor<Histogram> for RequestHistogram {
    fn new_metric(&self) -> Histogram {
        Histogram::new(REQUEST_SECONDS)
    }
}

impl Metrics {
    /// With `http_server_request_duration_seconds{method,route,status}` and the process's own figures.
    #[allow(clippy::new_without_default, reason = "a second one by accident would be scraped by nobody")]
    pub fn new() -> Self {
        let mut registry = Registry::default();
        let requests = Family::new_with_constructor(RequestHistogram);
        registry.register(
            "http_server_request_duration_seconds",
            "From the end of a request's head to the start of its answer",
            requests.clone(),
        );
        registry.register_collector(Box::new(process::Process));
        Metrics(Arc::new(Inner { registry: Mutex::new(registry), refreshes: Mutex::default(), requests }))
    }

    /// Registers metrics, and gives back what `register` returns.
    ///
    /// A counter is registered without `_total`, which the exposition adds, and anything else by its whole name.
    pub fn register<T>(&self, register: impl FnOnce(&mut Registry) -> T) -> T {
        register(&mut self.0.registry.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Runs `refresh` before each scrape: for gauges that are queries. All of them together have three seconds.
    pub fn on_scrape<F, Fut>(&self, refresh: F)
    where
        F: Fn() -> Fut + Send + Sync + 'static,
        Fut: Future<Output = ()> + Send + 'static,
    {
        let refresh: Arc<Refresh> = Arc::new(move || Box::pin(refresh()));
        self.0.refreshes.lock().unwrap_or_else(PoisonError::into_inner).push(refresh);
    }

    /// The text exposition in this format.
    pub async fn render(&self, format: Format) -> String {
        let refreshes = self.0.refreshes.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let all = async {
            for refresh in refreshes {
                refresh().await;
            }
        };
        if tokio::time::timeout(REFRESH_TIMEOUT, all).await.is_err() {
            tracing::warn!("metrics that are queries were not refreshed in time");
        }
        let mut text = String::new();
        let registry = self.0.registry.lock().unwrap_or_else(PoisonError::into_inner);
        encode(&mut text, &registry).expect("writing to a string does not fail");
        drop(registry);
        format.of_open_metrics(text)
    }

    pub(crate) fn answered(&self, method: &'static str, route: &str, status: u16, elapsed: Duration) {
        let labels = RequestLabels { method, route: route.to_owned(), status };
        self.0.requests.get_or_create(&labels).observe(elapsed.as_secs_f64());
    }
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Metrics")
    }
}
