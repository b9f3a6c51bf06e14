//! Health and documentation: what machines and newcomers ask first.

use end_to_end::service::SERVICES;
use end_to_end::shop::text;
use end_to_end::system::System;
use end_to_end::waiting::{PATIENCE, check, eventually};
use serde_json::{Value, json};

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
