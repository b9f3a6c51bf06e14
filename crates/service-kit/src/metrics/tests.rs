use std::sync::atomic::AtomicU64;

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;

use super::*;

#[tokio::test]
async fn names_come_out_as_prometheus_knows_them() {
    let metrics = Metrics::new();
    let counter = metrics.register(|registry| {
        let counter = Counter::<u64>::default();
        registry.register("things", "Things", counter.clone());
        counter
    });
    counter.inc();
    metrics.answered("GET", "/v1/orders/{id}", 200, Duration::from_millis(6));
    let text = metrics.render(Format::OpenMetrics).await;
    for line in [
        "things_total 1",
        "http_server_request_duration_seconds_bucket{le=\"0.01\",method=\"GET\",route=\"/v1/orders/{id}\",status=\"200\"} 1",
        "http_server_request_duration_seconds_count{method=\"GET\",route=\"/v1/orders/{id}\",status=\"200\"} 1",
    ] {
        assert!(text.lines().any(|found| found == line), "{line} is missing in\n{text}");
    }
    for name in
        ["process_cpu_seconds_total", "process_resident_memory_bytes", "process_start_time_seconds", "process_open_fds"]
    {
        let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')).expect(name);
        assert!(value.parse::<f64>().expect("a number") > 0.0 || name == "process_cpu_seconds_total", "{name} {value}");
    }
    assert!(text.contains("\n# TYPE things counter\n") && text.ends_with("# EOF\n"));
    let plain = metrics.render(Format::Prometheus).await;
    assert!(plain.contains("\n# HELP things_total Things.\n# TYPE things_total counter\nthings_total 1\n"), "{plain}");
    assert!(!plain.contains("# EOF"));
}

#[tokio::test(start_paused = true)]
async fn queries_run_at_each_scrape_and_cannot_block_it() {
    let metrics = Metrics::new();
    let gauge = Gauge::<f64, AtomicU64>::default();
    metrics.register(|registry| registry.register("waiting", "Waiting", gauge.clone()));
    metrics.on_scrape(move || {
        let gauge = gauge.clone();
        async move {
            gauge.set(gauge.get() + 1.0);
        }
    });
    assert!(metrics.render(Format::Prometheus).await.contains("\nwaiting 1.0\n"));
    metrics.on_scrape(std::future::pending);
    assert!(metrics.render(Format::Prometheus).await.contains("\nwaiting 2.0\n"));
}
