//! The description of the interface against the interface.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::shop::{Shop, bearer, send};

async fn status(shop: &Shop, method: &str, url: &str, token: &str) -> u16 {
    send(&shop.router, method, url, &[("authorization", token)], None).await.status().as_u16()
}

#[tokio::test]
async fn the_description_has_the_routes_and_their_scopes() {
    let shop = Shop::open().await;
    let (_, document) = shop.call("GET", "/openapi.json", &[("authorization", "")], None).await;
    assert_eq!(document["openapi"], "3.1.0");
    let paths = document["paths"].as_object().unwrap();
    let mut operation_ids = BTreeSet::new();
    for (path, operations) in paths {
        let id = uuid::Uuid::now_v7().to_string();
        let url = ["{id}", "{order_id}", "{event_id}"].iter().fold(path.clone(), |url, name| url.replace(name, &id));
        for (method, operation) in operations.as_object().unwrap() {
            assert!(operation_ids.insert(operation["operationId"].as_str().unwrap()), "{method} {path}");
            let method = &method.to_uppercase();
            let anonymous = status(&shop, method, &url, "").await;
            let Some(scope) = operation["security"][0]["bearer"][0].as_str() else {
                let signed = operation["security"][0].get("webhookSignature").is_some();
                // without its tasks the service is not ready
                let expected = if signed {
                    401
                } else if path == "/readyz" {
                    503
                } else {
                    200
                };
                assert_eq!(anonymous, expected, "{method} {path}");
                continue;
            };
            assert_eq!(anonymous, 401, "{method} {path}");
            assert_eq!(status(&shop, method, &url, &bearer("emails:read", None)).await, 403, "{method} {path}");
            let permitted = status(&shop, method, &url, &bearer(scope, None)).await;
            assert!(![401, 403, 405].contains(&permitted), "{method} {path}: {permitted}");
            let told = operation["responses"].get(permitted.to_string()).is_some();
            assert!(told, "{method} {path} answers {permitted}, which is not described");
        }
    }
    // its own routes, and those of every service
    let source =
        concat!(include_str!("../../src/http.rs"), include_str!("../../../../crates/service-kit/src/http/finish.rs"));
    let routes: BTreeSet<&str> = source.split(".route(\"").skip(1).filter_map(|rest| rest.split('"').next()).collect();
    assert_eq!(routes, paths.keys().map(String::as_str).collect());
}

#[tokio::test]
async fn what_is_referred_to_is_there() {
    let shop = Shop::open().await;
    let document = shop.get("/openapi.json").await;
    let mut references = Vec::new();
    collect(&document, &mut references);
    assert!(!references.is_empty());
    for reference in references {
        assert!(document.pointer(reference.trim_start_matches('#')).is_some(), "{reference}");
    }
}

fn collect<'a>(value: &'a Value, references: &mut Vec<&'a str>) {
    match value {
        Value::Object(fields) => {
            references.extend(fields.get("$ref").and_then(Value::as_str));
            fields.values().for_each(|value| collect(value, references));
        }
        Value::Array(items) => items.iter().for_each(|value| collect(value, references)),
        _ => {}
    }
}

/// The names of an object's fields, and of the objects in it.
fn shape(value: &Value) -> Value {
    match value {
        Value::Object(fields) => fields.iter().map(|(name, value)| (name.clone(), shape(value))).collect(),
        Value::Array(items) => items.iter().take(1).map(shape).collect(),
        _ => json!(null),
    }
}

#[tokio::test]
async fn its_examples_are_true() {
    let mut shop = Shop::open().await;
    let document = shop.get("/openapi.json").await;
    let example = |name: &str| document["components"]["schemas"][name]["example"].clone();
    let (status, customer) = shop.call("POST", "/v1/customers", &[], Some(example("NewCustomer"))).await;
    assert_eq!(
        (status.as_u16(), shape(&customer)),
        (201, json!({"created_at": null, "email": null, "id": null, "name": null, "order_count": null, "totals": []}))
    );

    let mut order = example("NewOrder");
    for line in order["lines"].as_array().unwrap() {
        shop.product(line["sku"].as_str().unwrap(), 100, true).await;
    }
    order["customer_id"] = customer["id"].clone();
    let (status, order) = shop.call("POST", "/v1/orders", &[], Some(order)).await;
    assert_eq!(status, 201, "{order}");
    let id = order["id"].as_str().unwrap();
    shop.reserved(id.parse().unwrap()).await;
    shop.payments.step().await.unwrap();
    assert_eq!(shape(&shop.get(&format!("/v1/orders/{id}")).await), shape(&example("Order")));
    let event = shop.get(&format!("/v1/orders/{id}/events")).await["items"][1].clone();
    assert_eq!(shape(&event), shape(&example("Event")));
    let customer =
        |customer: Value| (customer["totals"].as_array().map(Vec::len), customer.as_object().map(|c| c.len()));
    assert_eq!(customer(example("Customer")), (Some(1), Some(6)));
    let (status, cancelled) =
        shop.call("POST", &format!("/v1/orders/{id}/cancel"), &[], Some(example("Cancellation"))).await;
    assert_eq!((status.as_u16(), &cancelled["cancel_note"]), (202, &example("Cancellation")["reason"]));
    let (_, nudged) = shop.call("POST", &format!("/v1/ops/orders/{id}/nudge"), &[], None).await;
    assert_eq!(shape(&nudged), shape(&example("Nudged")));
}
