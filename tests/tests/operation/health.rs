//! Health, metrics and documentation: what machines and newcomers ask first.

use end_to_end::service::SERVICES;
use end_to_end::shop::text;
use end_to_end::system::System;
use end_to_end::waiting::{PATIENCE, check, eventually};
use serde_json::{Value, json};

/// The metrics that services tell of themselves, with those that must have them after an order.
const METRICS: [(&str, &[&str]); 16] = [
    ("warren_messages_processed_total", &SERVICES),
    ("warren_message_processing_seconds", &SERVICES),
    ("warren_message_age_seconds", &SERVICES),
    ("warren_queue_messages", &SERVICES),
    ("warren_queue_consumers", &SERVICES),
    ("warren_dead_letters", &SERVICES),
    ("warren_retries_total", &SERVICES),
    ("warren_outbox_pending", &SERVICES),
    ("warren_outbox_oldest_seconds", &SERVICES),
    ("warren_publish_confirm_seconds", &["order", "inventory"]),
    ("warren_breaker_state", &["order"]),
    ("warren_orders", &["order"]),
    ("warren_orders_stuck", &["order"]),
    ("warren_order_completion_seconds", &["order"]),
    ("warren_mails_total", &["email"]),
    ("http_server_request_duration_seconds", &SERVICES),
];

#[tokio::test]
async fn health_and_documentation_need_no_token() {
    let system = System::start().await;
    for name in SERVICES {
        let api = system.service(name).api().without_token();
        assert_eq!(api.get("/livez").await.status, 200);
        let ready = api.get("/readyz").await.expect(200);
        let checks = json!({"broker": "ok", "database": "ok", "migrations": "ok", "consumer": "ok", "relay": "ok"});
        assert_eq!((&ready["status"], &ready["checks"]), (&json!("ok"), &checks), "{name}");
        let breakers = match name {
            "order" => json!({"publish": "closed", "payment-provider": "closed"}),
            "email" => json!({"publish": "closed", "smtp": "closed"}),
            _ => json!({"publish": "closed"}),
        };
        // That of the relay is there once it leads.
        eventually(&format!("{name} shows its breakers"), PATIENCE, async || {
            let ready = api.get("/readyz").await.expect(200);
            check(ready["breakers"] == breakers, || ready.to_string())
        })
        .await;
        assert_eq!(api.get("/readyz?role=http").await.expect(200)["breakers"], json!(null), "{name}");
        documentation(name, &api).await;
    }
    system.finish().await;
}

async fn documentation(name: &str, api: &end_to_end::http::Api) {
    let document = api.get("/openapi.json").await.expect(200);
    assert!(text(&document, "openapi").starts_with("3.1"), "{name}");
    let paths = document["paths"].as_object().expect("paths").clone();
    let expected: &[(&str, &str)] = match name {
        "order" => &[
            ("/v1/customers", "post"),
            ("/v1/customers/{id}", "patch"),
            ("/v1/orders", "get"),
            ("/v1/orders/{id}/cancel", "post"),
            ("/v1/orders/{id}/stream", "get"),
            ("/v1/reports/daily-sales", "get"),
            ("/v1/payments/webhook", "post"),
            ("/v1/ops/orders/{id}/nudge", "post"),
        ],
        "inventory" => &[
            ("/v1/products/{sku}", "put"),
            ("/v1/products", "get"),
            ("/v1/products/{sku}/stock", "post"),
            ("/v1/products/{sku}/movements", "get"),
            ("/v1/reservations/{order_id}", "get"),
        ],
        _ => &[("/v1/emails", "get"), ("/v1/emails/{id}/preview", "get")],
    };
    let common = [("/v1/ops/trace/{order_id}", "get"), ("/v1/ops/inbox/{event_id}", "get"), ("/v1/ops/stuck", "get")];
    for (path, method) in expected.iter().chain(&common) {
        let described =
            paths.iter().any(|(known, operations)| same_path(known, path) && operations[*method].is_object());
        assert!(described, "{name} does not describe {method} {path}: {:?}", paths.keys().collect::<Vec<_>>());
    }
    assert_eq!(dangling(&document, &document), Vec::<String>::new(), "{name}: references to nothing");
    let page = api.get("/docs").await;
    assert_eq!(page.status, 200, "{page}");
    assert!(page.header("content-type").is_some_and(|kind| kind.starts_with("text/html")));
    for loaded in ["src=\"http", "src='http", "href=\"http", "src=\"//", "@import", "url(http"] {
        // A link that a reader may follow is none that the page needs.
        let needed = page
            .body
            .match_indices(loaded)
            .any(|(at, _)| !page.body[..at].rsplit('<').next().unwrap_or_default().starts_with("a "));
        assert!(!needed, "the page of {name} does not work offline: {loaded}");
    }
}

/// Whether two paths are the same but for the names of their parameters.
fn same_path(left: &str, right: &str) -> bool {
    let parts = |path: &str| {
        path.split('/').map(|part| if part.starts_with('{') { "{}" } else { part }.to_owned()).collect::<Vec<_>>()
    };
    parts(left) == parts(right)
}

/// References of an OpenAPI document that lead nowhere.
fn dangling(value: &Value, document: &Value) -> Vec<String> {
    match value {
        Value::Object(fields) => fields
            .iter()
            .flat_map(|(name, value)| match (name.as_str(), value.as_str()) {
                ("$ref", Some(to))
                    if to.strip_prefix('#').is_none_or(|pointer| document.pointer(pointer).is_none()) =>
                {
                    vec![to.to_owned()]
                }
                _ => dangling(value, document),
            })
            .collect(),
        Value::Array(items) => items.iter().flat_map(|value| dangling(value, document)).collect(),
        _ => Vec::new(),
    }
}

#[tokio::test]
async fn services_tell_of_themselves() {
    let system = System::start().await;
    system.sell("tea", 100, 10).await;
    let customer = system.customer().await;
    let order = system.place(&customer, &[("tea", 1)]).await;
    system.settled(text(&order, "id")).await;
    system.mails_told(&format!("order_id={}", text(&order, "id")), 1).await;
    for name in SERVICES {
        // The broker is asked for its counts every few seconds.
        eventually(&format!("{name} tells all of its metrics"), PATIENCE, async || {
            let told = system.service(name).api().without_token().get("/metrics").await.body;
            let its_own = METRICS.iter().filter(|(_, services)| services.contains(&name));
            let missing: Vec<&str> =
                its_own.map(|(metric, _)| *metric).filter(|metric| !is_declared(&told, metric)).collect();
            check(missing.is_empty(), || format!("{missing:?} are missing"))
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

/// Every metric that an alert or a dashboard asks for is one that some service tells.
async fn alerts_speak_of_what_there_is(system: &System) {
    let mut told = String::new();
    for name in SERVICES {
        told += &system.service(name).api().without_token().get("/metrics").await.body;
    }
    let deploy = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy");
    for file in ["prometheus/alerts.yml", "grafana/warren.json"] {
        let text = std::fs::read_to_string(deploy.join(file)).expect("the file");
        let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
        let asked = words.filter(|word| word.starts_with("warren_") || word.starts_with("http_server"));
        let unknown: Vec<&str> = asked
            .filter(|word| {
                let family = ["_bucket", "_count", "_sum"].iter().find_map(|part| word.strip_suffix(part));
                !is_declared(&told, family.unwrap_or(word))
            })
            .collect();
        assert!(unknown.is_empty(), "{file} asks for metrics that nobody tells: {unknown:?}");
    }
}

/// Whether a metric is told of, as a sample or by its type: one that has no samples yet is there all the same.
fn is_declared(metrics: &str, name: &str) -> bool {
    let family = name.trim_end_matches("_total");
    metrics.contains(&format!("# TYPE {name} ")) || metrics.contains(&format!("# TYPE {family} "))
}
