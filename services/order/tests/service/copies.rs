//! Idempotency keys under concurrency, in one copy of the service and across two.

use std::collections::{HashMap, HashSet};

use axum::http::StatusCode;
use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::shop::{Shop, send};

fn wish(customer: &str, lines: Value) -> Option<Value> {
    Some(json!({"customer_id": customer, "lines": lines, "payment_method": "sandbox:ok"}))
}

#[tokio::test]
async fn fifty_equal_requests_with_one_key_are_one_order() {
    let shop = Shop::open().await;
    let customer = shop.customer("a@example.com").await;
    let body = wish(&customer, json!([{"sku": "tea", "quantity": 1}]));
    let headers = [("idempotency-key", "key-1")];
    let calls = (0..50).map(|_| shop.call("POST", "/v1/orders", &headers, body.clone()));
    let mut ids = HashSet::new();
    for (status, answer) in join_all(calls).await {
        match status.as_u16() {
            201 => drop(ids.insert(answer["id"].as_str().unwrap().to_owned())),
            409 => assert_eq!(answer["type"], "/problems/idempotency-key-in-use"),
            other => panic!("{other}: {answer}"),
        }
    }
    assert_eq!(ids.len(), 1);
    let (status, replayed, answer) = shop.call_raw("POST", "/v1/orders", &headers, body).await;
    assert_eq!((status, replayed["idempotent-replayed"].to_str().unwrap()), (StatusCode::CREATED, "true"));
    assert!(ids.contains(answer["id"].as_str().unwrap()));
    let other = wish(&customer, json!([{"sku": "tea", "quantity": 2}]));
    let (status, answer) = shop.call("POST", "/v1/orders", &headers, other).await;
    assert_eq!((status.as_u16(), &answer["type"]), (422, &json!("/problems/idempotency-key-reused")));
    let orders: i64 = sqlx::query_scalar("select count(*) from orders").fetch_one(shop.pool()).await.unwrap();
    assert_eq!(orders, 1);
}

#[tokio::test]
async fn two_copies_share_their_keys() {
    let shop = Shop::open().await;
    let customer = shop.customer("a@example.com").await;
    let body = wish(&customer, json!([{"sku": "tea", "quantity": 1}]));
    let copies = [shop.router.clone(), shop.copy()];
    let keys: Vec<String> = (0..40).map(|n| format!("key-{n}")).collect();
    let mut ids = HashMap::<&str, HashSet<String>>::new();
    let mut first = 0;
    for round in 0..2 {
        let calls = keys.iter().flat_map(|key| copies.iter().map(move |copy| (key, copy))).map(|(key, copy)| {
            let body = body.clone();
            async move {
                let response = send(copy, "POST", "/v1/orders", &[("idempotency-key", key)], body).await;
                let (parts, body) = response.into_parts();
                let body = axum::body::to_bytes(body, usize::MAX).await.unwrap();
                (key.as_str(), parts, serde_json::from_slice::<Value>(&body).unwrap())
            }
        });
        for (key, parts, answer) in join_all(calls).await {
            match parts.status {
                StatusCode::CREATED => {
                    first += usize::from(!parts.headers.contains_key("idempotent-replayed"));
                    ids.entry(key).or_default().insert(answer["id"].as_str().unwrap().to_owned());
                }
                StatusCode::CONFLICT if round == 0 => {
                    assert_eq!(answer["type"], "/problems/idempotency-key-in-use");
                }
                other => panic!("{other}: {answer}"),
            }
        }
    }
    assert_eq!((ids.len(), first), (40, 40));
    assert!(ids.values().all(|ids| ids.len() == 1), "one key, one order: {ids:?}");
    assert_eq!(shop.count("select count(*) from orders").await, 40);
}
