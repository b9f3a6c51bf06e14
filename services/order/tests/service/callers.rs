//! What a customer's own token may do, and what others may not.

use axum::http::StatusCode;
use serde_json::{Value, json};

use crate::shop::{Shop, bearer, own_token};

#[tokio::test]
async fn a_customer_s_own_token_is_for_its_own_things() {
    let shop = Shop::open().await;
    let (one, two) = (shop.customer("a@example.com").await, shop.customer("b@example.com").await);
    let (own, others) = (shop.place(&one, "sandbox:manual").await, shop.place(&two, "sandbox:manual").await);
    let token = own_token(&one);
    let call = async |method: &str, path: &str, body: Option<Value>| {
        let (status, body) = shop.call(method, path, &[("authorization", &token)], body).await;
        (status.as_u16(), body)
    };
    let order = |customer: &str| {
        Some(json!({"customer_id": customer, "lines": [{"sku": "tea", "quantity": 1}], "payment_method": "sandbox:ok"}))
    };
    for (method, path, body, expected) in [
        ("GET", format!("/v1/customers/{one}"), None, 200),
        ("GET", format!("/v1/customers/{two}"), None, 404),
        ("PATCH", format!("/v1/customers/{one}"), Some(json!({"name": "Ada L."})), 200),
        ("PATCH", format!("/v1/customers/{two}"), Some(json!({"name": "Eve"})), 404),
        ("POST", "/v1/customers".to_owned(), Some(json!({"name": "Eve", "email": "e@example.com"})), 403),
        ("POST", "/v1/orders".to_owned(), order(&one), 201),
        ("POST", "/v1/orders".to_owned(), order(&two), 404),
        ("GET", format!("/v1/orders/{own}"), None, 200),
        ("GET", format!("/v1/orders/{others}"), None, 404),
        ("GET", format!("/v1/orders/{others}?version=1"), None, 404),
        ("GET", format!("/v1/orders/{own}/events"), None, 200),
        ("GET", format!("/v1/orders/{others}/events"), None, 404),
        ("GET", format!("/v1/orders/{others}/stream"), None, 404),
        ("POST", format!("/v1/orders/{others}/cancel"), None, 404),
        ("POST", format!("/v1/orders/{own}/cancel"), None, 202),
        ("GET", "/v1/reports/daily-sales?from=2026-01-01&to=2026-01-01".to_owned(), None, 403),
        ("GET", format!("/v1/ops/trace/{own}"), None, 403),
        ("GET", format!("/v1/ops/inbox/{own}"), None, 403),
        ("GET", "/v1/ops/stuck".to_owned(), None, 403),
        ("POST", format!("/v1/ops/orders/{own}/nudge"), None, 403),
    ] {
        let (status, body) = call(method, &path, body).await;
        assert_eq!(status, expected, "{method} {path}: {body}");
    }
    let (_, customer) = shop.call("GET", &format!("/v1/customers/{two}"), &[], None).await;
    assert_eq!(customer["name"], "Ada", "the other one is as it was");

    let count =
        async |query: &str| call("GET", &format!("/v1/orders{query}"), None).await.1["items"].as_array().unwrap().len();
    assert_eq!((count("").await, count(&format!("?customer_id={one}")).await), (2, 2));
    assert_eq!(count(&format!("?customer_id={two}")).await, 0, "filtered to its own");
}

#[tokio::test]
async fn keys_of_different_callers_do_not_meet() {
    let shop = Shop::open().await;
    let one = shop.customer("a@example.com").await;
    let body =
        Some(json!({"customer_id": one, "lines": [{"sku": "tea", "quantity": 1}], "payment_method": "sandbox:ok"}));
    let own = own_token(&one);
    let mut ids = Vec::new();
    for headers in [vec![("idempotency-key", "k")], vec![("idempotency-key", "k"), ("authorization", own.as_str())]] {
        let (status, order) = shop.call("POST", "/v1/orders", &headers, body.clone()).await;
        assert_eq!(status, StatusCode::CREATED);
        ids.push(order["id"].clone());
    }
    assert_ne!(ids[0], ids[1]);
}

#[tokio::test]
async fn who_may_not_is_told_before_anything_else() {
    let shop = Shop::open().await;
    for (token, expected, kind) in [
        (String::new(), 401, "unauthorized"),
        ("Bearer nonsense".to_owned(), 401, "unauthorized"),
        (bearer("orders:read", None), 403, "forbidden"),
    ] {
        let headers = [("authorization", token.as_str())];
        let (status, headers, problem) = shop.call_raw("POST", "/v1/orders?x=1", &headers, Some(json!(7))).await;
        assert_eq!((status.as_u16(), &problem["type"]), (expected, &json!(format!("/problems/{kind}"))));
        assert!(headers.contains_key("www-authenticate"));
    }
}

/// An error is not kept, and neither is the lock of its key for a moment longer than the answer takes.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_is_refused_may_ask_again_at_once_under_the_same_key() {
    let shop = Shop::open().await;
    let customer = shop.customer("a@example.com").await;
    let order = |sku: &str| json!({"customer_id": customer, "lines": [{"sku": sku, "quantity": 1}], "payment_method": "sandbox:ok"});
    let somebody = |address: String| json!({"name": "Eve", "email": address});
    for n in 0..100 {
        let key = [("idempotency-key", &*format!("key-{n}"))];
        for (path, wrong, refused, right) in [
            ("/v1/orders", order("nothing"), 422, order("tea")),
            ("/v1/customers", somebody("a@example.com".into()), 409, somebody(format!("{n}@example.com"))),
        ] {
            let (status, problem) = shop.call("POST", path, &key, Some(wrong)).await;
            assert_eq!(status.as_u16(), refused, "{problem}");
            let (status, answer) = shop.call("POST", path, &key, Some(right)).await;
            assert_eq!(status, StatusCode::CREATED, "{path} for the {n}th time: {answer}");
        }
    }
}
