//! `/v1/products`

use axum::http::Method;
use serde_json::{Value, json};

use crate::support::{Call, Shop};

fn tea() -> Value {
    json!({"name": "Tea", "unit_price": {"amount": 499, "currency": "EUR"}, "active": true, "low_stock_threshold": 5})
}

fn with(key: &str, value: Value) -> Value {
    let mut body = tea();
    body[key] = value;
    body
}

#[tokio::test]
async fn put_makes_and_changes_a_product() {
    let shop = Shop::open().await;
    let made = shop.put("/v1/products/tea", tea()).await;
    assert_eq!(
        (made.status.as_u16(), made.header("etag"), made.header("location")),
        (201, "\"1\"", "/v1/products/tea")
    );
    let expected = json!({"sku": "tea", "name": "Tea", "unit_price": {"amount": 499, "currency": "EUR"}, "active": true,
        "low_stock_threshold": 5, "version": 1, "stock": {"on_hand": 0, "reserved": 0, "available": 0}});
    assert_eq!(made.body, expected);

    let got = shop.get("/v1/products/tea").await;
    assert_eq!((got.status.as_u16(), got.header("etag"), &got.body), (200, "\"1\"", &expected));

    let changed = shop.put("/v1/products/tea", with("name", json!("Green tea"))).await;
    assert_eq!((changed.status.as_u16(), changed.header("etag")), (200, "\"2\""));
    assert_eq!(changed.body["name"], "Green tea");
    shop.close().await;
}

#[tokio::test]
async fn others_hear_of_what_they_copy_and_of_nothing_else() {
    let shop = Shop::open().await;
    for (body, status, version, events) in [
        (tea(), 201, 1, 1),
        (tea(), 200, 1, 1),
        (with("low_stock_threshold", json!(7)), 200, 2, 1),
        (with("low_stock_threshold", Value::Null), 200, 3, 1),
        (with("active", json!(false)), 200, 4, 2),
        (with("unit_price", json!({"amount": 499, "currency": "JPY"})), 200, 5, 3),
        (with("unit_price", json!({"amount": 499, "currency": "JPY"})), 200, 5, 3),
    ] {
        let put = shop.put("/v1/products/tea", body).await;
        assert_eq!((put.status.as_u16(), &put.body["version"]), (status, &json!(version)));
        assert_eq!(put.header("etag"), format!("\"{version}\""));
        assert_eq!(shop.types_of("tea").await.len(), events, "version {version}");
    }
    let (name, data) = shop.events_of("tea").await.pop().unwrap();
    let expected =
        json!({"sku": "tea", "name": "Tea", "unit_price": {"amount": 499, "currency": "JPY"}, "active": true});
    assert_eq!((name.as_str(), data), ("product.changed", expected));
    shop.close().await;
}

#[tokio::test]
async fn an_event_names_the_request_that_caused_it() {
    let shop = Shop::open().await;
    let call = Call::new(Method::PUT, "/v1/products/tea").json(tea()).header("x-request-id", "request-7");
    assert_eq!(shop.send(call).await.header("x-request-id"), "request-7");
    let query = "select correlation_id || ' ' || causation_id from event";
    let (context,): (String,) = sqlx::query_as(query).fetch_one(shop.pool()).await.unwrap();
    assert_eq!(context, "request-7 request-7");
    shop.close().await;
}

#[tokio::test]
async fn if_match_guards_a_change() {
    let shop = Shop::open().await;
    let put = |if_match: &str, name: &str| {
        shop.send(
            Call::new(Method::PUT, "/v1/products/tea").json(with("name", json!(name))).header("if-match", if_match),
        )
    };
    put("\"1\"", "Tea").await.is_problem(412, "precondition-failed");
    put("*", "Tea").await.is_problem(412, "precondition-failed");
    shop.put("/v1/products/tea", tea()).await;
    assert_eq!(put("\"1\"", "Green tea").await.status, 200);
    put("\"1\"", "Black tea").await.is_problem(412, "precondition-failed");
    put("W/\"2\"", "Black tea").await.is_problem(412, "precondition-failed");
    put("2", "Black tea").await.is_problem(400, "invalid-header");
    assert_eq!(put("*", "Black tea").await.status, 200);
    // Stock is no part of the version: an order must not stand in the way of a new price.
    shop.post("/v1/products/tea/stock", json!({"delta": 5, "reason": "delivery"})).await;
    assert_eq!(put("\"3\"", "White tea").await.status, 200);
    shop.close().await;
}

#[tokio::test]
async fn a_product_made_twice_at_once_is_made_once() {
    let shop = Shop::open().await;
    let (one, other) = tokio::join!(shop.put("/v1/products/tea", tea()), shop.put("/v1/products/tea", tea()));
    let mut statuses = [one.status.as_u16(), other.status.as_u16()];
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 201]);
    assert_eq!(shop.types_of("tea").await, ["product.changed"]);
    shop.close().await;
}

#[tokio::test]
async fn bodies_are_checked() {
    let shop = Shop::open().await;
    for (body, pointer) in [
        (json!([]), ""),
        (with("name", json!("")), "/name"),
        (with("name", json!("x".repeat(201))), "/name"),
        (with("name", json!("a\nb")), "/name"),
        (with("name", json!("a\u{0}b")), "/name"),
        (with("name", json!(7)), "/name"),
        (with("unit_price", json!(499)), "/unit_price"),
        (with("unit_price", json!({"amount": -1, "currency": "EUR"})), "/unit_price/amount"),
        (with("unit_price", json!({"amount": 4.99, "currency": "EUR"})), "/unit_price/amount"),
        (with("unit_price", json!({"amount": 499, "currency": "XX"})), "/unit_price/currency"),
        (with("unit_price", json!({"amount": 499, "currency": "EUR", "vat": 7})), "/unit_price/vat"),
        (with("active", json!("yes")), "/active"),
        (with("low_stock_threshold", json!(-1)), "/low_stock_threshold"),
        (with("version", json!(1)), "/version"),
    ] {
        let answer = shop.put("/v1/products/tea", body.clone()).await;
        answer.is_problem(422, "invalid-body");
        assert_eq!(answer.pointers(), [pointer], "{body}");
    }
    let mut body = tea();
    body.as_object_mut().unwrap().remove("active");
    shop.put("/v1/products/tea", body).await.is_problem(422, "invalid-body");
    shop.get("/v1/products/tea").await.is_problem(404, "not-found");
    let free = with("unit_price", json!({"amount": 0, "currency": "EUR"}));
    assert_eq!(shop.put("/v1/products/tea", free).await.status, 201);
    shop.close().await;
}

#[tokio::test]
async fn skus_and_queries_are_checked() {
    let shop = Shop::open().await;
    let long = "x".repeat(65);
    for sku in ["a%20b", "%C3%A4", long.as_str()] {
        shop.put(&format!("/v1/products/{sku}"), tea()).await.is_problem(400, "invalid-path");
        shop.get(&format!("/v1/products/{sku}")).await.is_problem(400, "invalid-path");
    }
    shop.get("/v1/products/tea?full=1").await.is_problem(400, "invalid-query");
    shop.get("/v1/products?active=true").await.is_problem(400, "invalid-query");
    for limit in ["0", "201", "x"] {
        shop.get(&format!("/v1/products?limit={limit}")).await.is_problem(400, "invalid-query");
    }
    shop.get("/v1/products?cursor=x").await.is_problem(400, "invalid-cursor");
    shop.send(Call::new(Method::DELETE, "/v1/products/tea")).await.is_problem(405, "method-not-allowed");
    shop.close().await;
}

#[tokio::test]
async fn the_list_goes_by_sku_in_pages() {
    let shop = Shop::open().await;
    for sku in ["b", "a", "B", "a-1", "c"] {
        shop.stock(sku, 0, None).await;
    }
    let mut seen = Vec::new();
    let mut path = "/v1/products?limit=2".to_owned();
    loop {
        let page = shop.get(&path).await;
        assert_eq!(page.status, 200, "{}", page.body);
        seen.extend(page.body["items"].as_array().unwrap().iter().map(|item| item["sku"].as_str().unwrap().to_owned()));
        match page.body["next_cursor"].as_str() {
            Some(cursor) => path = format!("/v1/products?limit=2&cursor={cursor}"),
            None => break,
        }
    }
    assert_eq!(seen, ["B", "a", "a-1", "b", "c"]);
    shop.close().await;
}

#[tokio::test]
async fn tokens_decide() {
    let shop = Shop::open().await;
    shop.stock("tea", 1, None).await;
    let put = || Call::new(Method::PUT, "/v1/products/tea");
    let get = |path: &str| Call::new(Method::GET, path);
    // Before anything else is looked at.
    let bad = shop.send(put().json(json!([])).anonymous()).await;
    bad.is_problem(401, "unauthorized");
    assert!(bad.header("www-authenticate").starts_with("Bearer"));
    shop.send(put().json(json!([])).scope("inventory:read")).await.is_problem(403, "forbidden");
    shop.send(put().json(tea()).customer()).await.is_problem(403, "forbidden");
    shop.send(get("/v1/products/tea").scope("inventory:write orders:read")).await.is_problem(403, "forbidden");

    for path in ["/v1/products", "/v1/products/tea", "/v1/products/tea/stock"] {
        shop.send(get(path).anonymous()).await.is_problem(401, "unauthorized");
        assert_eq!(shop.send(get(path).customer()).await.status, 200, "products may be read: {path}");
        assert_eq!(shop.send(get(path).scope("inventory:read")).await.status, 200);
    }
    shop.close().await;
}

#[tokio::test]
async fn nothing_new_begins_while_too_many_events_wait() {
    let shop = Shop::with_outbox(0).await;
    let put = shop.put("/v1/products/tea", tea()).await;
    put.is_problem(503, "overloaded");
    assert!(!put.header("retry-after").is_empty());
    shop.post("/v1/products/tea/stock", json!({"delta": 1, "reason": "delivery"})).await.is_problem(503, "overloaded");
    assert_eq!(shop.get("/v1/products").await.status, 200);
    shop.close().await;
}
