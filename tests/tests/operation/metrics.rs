//! What the services tell Prometheus: every promised metric, with the promised labels, whose values nobody outside can multiply.

use std::collections::BTreeSet;

use end_to_end::broker::Message;
use end_to_end::service::SERVICES;
use end_to_end::shop::text;
use end_to_end::system::System;
use end_to_end::waiting::{PATIENCE, check, eventually};
use reqwest::Method;
use serde_json::json;
use uuid::Uuid;

/// A metric: its name, its labels, and which services have samples of it once an order has gone its way.
type Promise = (&'static str, &'static [&'static str], &'static [&'static str]);

/// The metrics that are promised, those of histograms by the samples that count.
const PROMISES: [Promise; 20] = [
    ("warren_messages_processed_total", &["queue", "event", "outcome"], &SERVICES),
    ("warren_message_processing_seconds_count", &[], &SERVICES),
    ("warren_message_age_seconds_count", &[], &SERVICES),
    ("warren_queue_messages", &["queue", "state"], &SERVICES),
    ("warren_queue_consumers", &["queue"], &SERVICES),
    ("warren_outbox_pending", &[], &SERVICES),
    ("warren_outbox_oldest_seconds", &[], &SERVICES),
    ("warren_publish_confirm_seconds_count", &[], &SERVICES),
    ("warren_breaker_state", &["name"], &SERVICES),
    ("warren_retries_total", &["queue"], &SERVICES),
    ("warren_dead_letters", &["queue"], &SERVICES),
    ("warren_orders", &["status"], &["order"]),
    ("warren_orders_stuck", &[], &["order"]),
    ("warren_order_completion_seconds_count", &[], &["order"]),
    ("warren_mails_total", &["template", "outcome"], &["email"]),
    ("http_server_request_duration_seconds_count", &["method", "route", "status"], &SERVICES),
    ("process_cpu_seconds_total", &[], &SERVICES),
    ("process_resident_memory_bytes", &[], &SERVICES),
    ("process_open_fds", &[], &SERVICES),
    ("process_start_time_seconds", &[], &SERVICES),
];

/// A line of the exposition.
#[derive(Debug)]
struct Sample {
    name: String,
    labels: Vec<(String, String)>,
    value: f64,
}

impl Sample {
    fn read(line: &str) -> Self {
        let (what, value) = line.rsplit_once(' ').unwrap_or_else(|| panic!("no sample: {line}"));
        let (name, labels) = what.split_once('{').unwrap_or((what, ""));
        let labels = labels.trim_end_matches('}').split(',').filter(|label| !label.is_empty());
        let label = |label: &str| {
            let (name, value) = label.split_once('=').unwrap_or_else(|| panic!("no label: {line}"));
            (name.to_owned(), value.trim_matches('"').to_owned())
        };
        let value = value.parse().unwrap_or_else(|_| panic!("no number: {line}"));
        Self { name: name.to_owned(), labels: labels.map(label).collect(), value }
    }

    /// The labels but the bound of a bucket, which belongs to histograms as such.
    fn label_names(&self) -> BTreeSet<&str> {
        self.labels.iter().map(|(name, _)| name.as_str()).filter(|name| *name != "le").collect()
    }
}

async fn samples(system: &System, service: &str) -> Vec<Sample> {
    let told = system.service(service).api().without_token().get("/metrics").await.body;
    told.lines().filter(|line| !line.starts_with('#')).map(Sample::read).collect()
}

async fn an_order_has_gone_its_way(system: &System) {
    system.sell("tea", 100, 10).await;
    let customer = system.customer().await;
    let order = system.place(&customer, &[("tea", 1)]).await;
    system.settled(text(&order, "id")).await;
    system.mails_told(&format!("order_id={}", text(&order, "id")), 1).await;
}

#[tokio::test]
async fn every_service_tells_what_is_promised() {
    let system = System::start().await;
    an_order_has_gone_its_way(&system).await;
    for service in SERVICES {
        // The broker is asked for its counts every few seconds.
        eventually(&format!("{service} tells all that is promised"), PATIENCE, async || {
            let told = samples(&system, service).await;
            for (name, labels, _) in PROMISES.iter().filter(|(_, _, services)| services.contains(&service)) {
                let of = told.iter().filter(|sample| sample.name == *name);
                let labels: BTreeSet<&str> = labels.iter().copied().collect();
                let wrong: Vec<&Sample> = of.clone().filter(|sample| sample.label_names() != labels).collect();
                assert!(wrong.is_empty(), "{service}: other labels than {labels:?}: {wrong:?}");
                check(of.count() > 0, || format!("no {name}"))?;
            }
            Ok::<_, String>(())
        })
        .await;
    }
    alerts_speak_of_what_there_is(&system).await;
    for (service, metric, labels, at_least) in [
        (
            "inventory",
            "warren_messages_processed_total",
            &[("queue", "inventory"), ("event", "order.created"), ("outcome", "done")][..],
            1.0,
        ),
        ("order", "warren_orders", &[("status", "confirmed")], 1.0),
        ("order", "warren_outbox_pending", &[], 0.0),
        ("order", "warren_queue_consumers", &[("queue", "order")], 1.0),
        ("inventory", "warren_queue_messages", &[("queue", "inventory"), ("state", "ready")], 0.0),
        ("inventory", "warren_queue_messages", &[("queue", "inventory.retry.100ms"), ("state", "ready")], 0.0),
        ("email", "warren_dead_letters", &[("queue", "email")], 0.0),
        ("order", "warren_order_completion_seconds_count", &[], 1.0),
        ("email", "warren_mails_total", &[("template", "order-confirmed"), ("outcome", "sent")], 1.0),
        ("order", "http_server_request_duration_seconds_count", &[], 1.0),
    ] {
        eventually(&format!("{service} counts {metric} {labels:?}"), PATIENCE, async || {
            let value = system.service(service).metric(metric, labels).await?;
            check(value.is_some_and(|value| value >= at_least), || format!("{value:?}"))
        })
        .await;
    }
    system.finish().await;
}

/// Every metric that an alert or a dashboard asks for is one that some service tells, once all parts of it have begun:
/// a read model has no figure before its first look at the log.
async fn alerts_speak_of_what_there_is(system: &System) {
    let deploy = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy");
    for file in ["prometheus/alerts.yml", "grafana/dashboards/warren.json"] {
        let text = std::fs::read_to_string(deploy.join(file)).expect("the file");
        let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
        let ours = ["warren_", "http_server", "process_"];
        let asked: BTreeSet<&str> = words.filter(|word| ours.iter().any(|start| word.starts_with(start))).collect();
        assert!(!asked.is_empty(), "{file} asks for nothing");
        eventually(&format!("all that {file} asks for is told"), PATIENCE, async || {
            let mut told = String::new();
            for name in SERVICES {
                told += &system.service(name).api().without_token().get("/metrics").await.body;
            }
            let is_told = |word: &str| {
                let family = ["_bucket", "_count", "_sum"].iter().find_map(|part| word.strip_suffix(part));
                is_declared(&told, family.unwrap_or(word))
            };
            let unknown: Vec<&&str> = asked.iter().filter(|word| !is_told(word)).collect();
            check(unknown.is_empty(), || format!("nobody tells {unknown:?}"))
        })
        .await;
    }
}

/// Whether a metric is told of, as a sample or by its type: one that has no samples yet is there all the same.
fn is_declared(metrics: &str, name: &str) -> bool {
    let family = name.trim_end_matches("_total");
    metrics.contains(&format!("# TYPE {name} ")) || metrics.contains(&format!("# TYPE {family} "))
}

/// How often strangers try each thing: a label that takes it over would have as many values.
const TRIES: usize = 20;

#[tokio::test]
async fn nobody_outside_can_multiply_time_series() {
    let system = System::start().await;
    an_order_has_gone_its_way(&system).await;
    for service in SERVICES {
        let api = system.service(service).api();
        for number in 0..TRIES {
            for path in
                [format!("/v1/orders/{}", Uuid::now_v7()), format!("/made-up/{number}"), format!("/v1?x={number}")]
            {
                api.get(&path).await;
            }
            let method = Method::from_bytes(format!("BREW{number}").as_bytes()).expect("a method");
            api.call(method, "/v1/orders").send().await;
            api.without_token().call(Method::GET, "/livez").header("x-request-id", &format!("r{number}")).send().await;
        }
    }
    let made_up: Vec<Message> = (0..TRIES).map(|number| made_up(&format!("made.up.{number}"))).collect();
    system.broker.put("inventory", &made_up).await;
    eventually("they are dead letters", PATIENCE, async || {
        let waiting = system.broker.waiting("inventory.dead").await;
        check(waiting == u32::try_from(TRIES).ok(), || format!("{waiting:?} of {TRIES}"))
    })
    .await;
    for service in SERVICES {
        for sample in samples(&system, service).await {
            let strange = sample.labels.iter().find(|(name, value)| !is_known(name, value));
            assert!(strange.is_none(), "{service}: {strange:?} in {sample:?}");
            assert!(sample.value.is_finite(), "{service}: {sample:?}");
        }
    }
    system.take_dead("inventory").await;
    system.finish().await;
}

fn made_up(event_type: &str) -> Message {
    let event = json!({"specversion": "1.0", "id": Uuid::now_v7(), "source": "/warren/order", "type": event_type,
        "dataschema": format!("urn:warren:{event_type}:1"), "subject": event_type, "sequence": "1",
        "time": "2026-01-15T10:30:00Z", "correlationid": "c", "data": {}});
    Message { body: event.to_string().into_bytes(), ..Message::default() }
}

/// Whether a label's value is one of a set that is known beforehand.
fn is_known(label: &str, value: &str) -> bool {
    let one_of = |values: &[&str]| values.contains(&value);
    match label {
        "queue" => one_of(&SERVICES) || SERVICES.iter().any(|service| value.starts_with(&format!("{service}."))),
        "event" => {
            let (source, rest) = value.split_once('.').unwrap_or((value, ""));
            value == "unknown"
                || (["order", "inventory", "customer", "product", "payment"].contains(&source) && !rest.contains('.'))
        }
        "waits_for" => one_of(&["inventory", "payment", "refund", "relay", "queue"]),
        "error" => value.chars().all(|c| c.is_ascii_lowercase() || c == '-'),
        "outcome" => one_of(&["done", "duplicate", "retry", "dead", "sent", "in-doubt", "failed"]),
        "state" => value == "ready",
        "name" => one_of(&["publish", "payment-provider", "smtp"]),
        "status" => one_of(&["pending", "reserved", "confirmed", "cancelled"]) || value.parse::<u16>().is_ok(),
        "template" => one_of(&["welcome", "order-confirmed", "order-cancelled", "low-stock"]),
        "method" => one_of(&["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "_OTHER"]),
        // `{id}` for whatever stands there
        "route" => value == "none" || (value.starts_with('/') && !value.contains("made-up") && !value.contains("-7")),
        // migrations make tables, and nobody else
        "table" => value.chars().all(|c| c.is_ascii_lowercase() || c == '_'),
        "projection" | "check" => value.chars().all(|c| c.is_ascii_lowercase() || matches!(c, '-' | '.')),
        "le" => value == "+Inf" || value.parse::<f64>().is_ok(),
        _ => false,
    }
}
