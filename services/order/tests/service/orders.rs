//! Orders over HTTP.

use axum::http::StatusCode;
use contracts::values::OrderId;
use order::order::Status;
use serde_json::{Value, json};

use crate::shop::Shop;

fn wish(customer: &str, lines: Value) -> Option<Value> {
    Some(json!({"customer_id": customer, "lines": lines, "payment_method": "sandbox:ok"}))
}

#[tokio::test]
async fn an_order_is_priced_from_the_price_list() {
    let mut shop = Shop::open().await;
    let customer = shop.customer("a@example.com").await;
    let body = wish(&customer, json!([{"sku": "tea", "quantity": 3}]));
    let (status, headers, order) = shop.call_raw("POST", "/v1/orders", &[], body).await;
    assert_eq!(status, StatusCode::CREATED);
    assert_eq!(headers["location"], format!("/v1/orders/{}", order["id"].as_str().unwrap()));
    assert_eq!(headers["etag"], "\"1\"");
    assert_eq!(order["total"], json!({"amount": 750, "currency": "EUR"}));
    assert_eq!(order["lines"][0]["name"], "TEA");
    assert_eq!(order["payment"], json!({"method": "sandbox:ok", "status": "none"}));

    shop.product("tea", 300, false).await;
    let (status, problem) =
        shop.call("POST", "/v1/orders", &[], wish(&customer, json!([{"sku": "tea", "quantity": 1}]))).await;
    assert_eq!((status.as_u16(), &problem["type"]), (422, &json!("/problems/unknown-sku")), "inactive");
    let (_, again) = shop.call("GET", headers["location"].to_str().unwrap(), &[], None).await;
    assert_eq!(again["total"]["amount"], 750, "prices are fixed when the order is placed");
}

#[tokio::test]
async fn refused_orders_change_nothing() {
    let mut shop = Shop::open().await;
    let customer = shop.customer("a@example.com").await;
    shop.product("gold", i64::MAX / 2, true).await;
    let stranger = OrderId::new().to_string();
    let tea = json!([{"sku": "tea", "quantity": 1}]);
    let too_many: Vec<Value> = (0..101).map(|n| json!({"sku": format!("s{n}"), "quantity": 1})).collect();
    for (body, kind, pointer) in [
        (wish(&stranger, tea.clone()), "unknown-customer", "/customer_id"),
        (wish(&customer, json!([{"sku": "none", "quantity": 1}])), "unknown-sku", "/lines/0/sku"),
        (wish(&customer, json!([])), "invalid-body", "/lines"),
        (wish(&customer, json!(too_many)), "invalid-body", "/lines"),
        (wish(&customer, json!([{"sku": "tea", "quantity": 0}])), "invalid-body", "/lines/0/quantity"),
        (wish(&customer, json!([{"sku": "tea", "quantity": 10001}])), "invalid-body", "/lines/0/quantity"),
        (wish(&customer, json!([{"sku": "tea", "quantity": 1.5}])), "invalid-body", "/lines/0/quantity"),
        (wish(&customer, json!([{"sku": "t a", "quantity": 1}])), "invalid-body", "/lines/0/sku"),
        (
            wish(&customer, json!([{"sku": "tea", "quantity": 1}, {"sku": "tea", "quantity": 2}])),
            "invalid-body",
            "/lines/1/sku",
        ),
        (wish(&customer, json!([{"sku": "tea", "quantity": 1, "price": 1}])), "invalid-body", "/lines/0/price"),
        (wish(&customer, json!([{"sku": "gold", "quantity": 3}])), "invalid-body", "/lines/0"),
        (
            Some(json!({"customer_id": customer, "lines": tea, "payment_method": "cash"})),
            "invalid-body",
            "/payment_method",
        ),
        (Some(json!({"customer_id": customer, "lines": tea})), "invalid-body", "/payment_method"),
        (Some(json!([])), "invalid-body", ""),
    ] {
        let (status, problem) = shop.call("POST", "/v1/orders", &[], body.clone()).await;
        assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{body:?}: {problem}");
        assert_eq!(problem["type"], format!("/problems/{kind}"), "{body:?}: {problem}");
        assert_eq!(problem["errors"][0]["pointer"], pointer, "{body:?}: {problem}");
    }
    let orders: i64 = sqlx::query_scalar("select count(*) from orders").fetch_one(shop.pool()).await.unwrap();
    assert_eq!(orders, 0);
}

#[tokio::test]
async fn one_bad_wish_does_not_harm_its_neighbours() {
    let shop = Shop::open().await;
    let customer = shop.customer("a@example.com").await;
    let stranger = OrderId::new().to_string();
    let calls = (0..60).map(|n| {
        let who = if n % 7 == 0 { &stranger } else { &customer };
        shop.call("POST", "/v1/orders", &[], wish(who, json!([{"sku": "tea", "quantity": 1}])))
    });
    let answers = futures_util::future::join_all(calls).await;
    assert_eq!(answers.iter().filter(|(status, _)| status.as_u16() == 201).count(), 51);
    assert_eq!(answers.iter().filter(|(status, _)| status.as_u16() == 422).count(), 9);
}

#[tokio::test]
async fn an_order_is_shown_as_it_was() {
    let mut shop = Shop::open().await;
    let customer = shop.customer("a@example.com").await;
    let id = shop.place(&customer, "sandbox:ok").await;
    shop.reserved(id).await;
    shop.payments.step().await.unwrap();
    let path = format!("/v1/orders/{id}");
    for (version, status, payment) in [
        (1, "pending", "none"),
        (2, "reserved", "pending"),
        (3, "reserved", "completed"),
        (4, "confirmed", "completed"),
    ] {
        let (_, body) = shop.call("GET", &format!("{path}?version={version}"), &[], None).await;
        assert_eq!(
            (&body["version"], &body["status"], &body["payment"]["status"]),
            (&json!(version), &json!(status), &json!(payment))
        );
        let at = body["updated_at"].as_str().unwrap();
        let (_, then) = shop.call("GET", &format!("{path}?at={at}"), &[], None).await;
        assert!(then["version"].as_i64() >= body["version"].as_i64(), "inclusive");
    }
    for (query, expected) in [
        ("?version=5", 404),
        ("?version=99999999999999999999", 404),
        ("?version=-1", 400),
        ("?version=1.0", 400),
        ("?version=0", 400),
        ("?version=x", 400),
        ("?at=2000-01-01T00:00:00Z", 404),
        ("?at=now", 400),
        ("?version=1&at=2000-01-01T00:00:00Z", 400),
        ("?v=1", 400),
    ] {
        let (status, body) = shop.call("GET", &format!("{path}{query}"), &[], None).await;
        assert_eq!(status.as_u16(), expected, "{query}: {body}");
    }
}

#[tokio::test]
async fn lists_are_newest_first_and_go_on_where_they_stopped() {
    let mut shop = Shop::open().await;
    let (one, two) = (shop.customer("a@example.com").await, shop.customer("b@example.com").await);
    let mut ids = Vec::new();
    for n in 0..7 {
        ids.push(shop.place(if n % 2 == 0 { &one } else { &two }, "sandbox:ok").await.to_string());
    }
    shop.rejected(ids[6].parse().unwrap()).await;
    ids.reverse();
    let (mut seen, mut next) = (Vec::new(), String::new());
    loop {
        let (_, page) = shop.call("GET", &format!("/v1/orders?limit=3{next}"), &[], None).await;
        seen.extend(page["items"].as_array().unwrap().iter().map(|order| order["id"].as_str().unwrap().to_owned()));
        match page["next_cursor"].as_str() {
            Some(cursor) => next = format!("&cursor={cursor}"),
            None => break,
        }
    }
    assert_eq!(seen, ids);
    let count = async |query: &str| {
        shop.call("GET", &format!("/v1/orders{query}"), &[], None).await.1["items"].as_array().unwrap().len()
    };
    assert_eq!(count(&format!("?customer_id={one}")).await, 4);
    assert_eq!(count("?status=pending").await, 6);
    assert_eq!(count("?status=cancelled").await, 1);
    assert_eq!(count(&format!("?customer_id={one}&status=pending")).await, 3);
    assert_eq!(count("?created_from=2000-01-01T00:00:00Z&created_to=2100-01-01T00:00:00Z").await, 7);
    assert_eq!(count("?created_from=2100-01-01T00:00:00Z").await, 0);
    let middle = shop.order(ids[3].parse().unwrap()).await.created_at;
    let middle = contracts::envelope::time_text(&middle);
    assert_eq!(count(&format!("?created_from={middle}")).await + count(&format!("?created_to={middle}")).await, 7);
    for bad in
        ["?limit=0", "?limit=201", "?status=done", "?cursor=x", "?customer_id=7", "?sort=up", "?created_from=monday"]
    {
        let (status, body) = shop.call("GET", &format!("/v1/orders{bad}"), &[], None).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{bad}: {body}");
    }
}

#[tokio::test]
async fn the_stored_order_is_what_was_answered() {
    let shop = Shop::open().await;
    let customer = shop.customer("a@example.com").await;
    let id = shop.place(&customer, "sandbox:manual").await;
    let order = shop.order(id).await;
    assert_eq!((order.status, order.version, order.created_at), (Status::Pending, 1, order.updated_at));
    let (_, events) = shop.call("GET", &format!("/v1/orders/{id}/events"), &[], None).await;
    let created = &events["items"][0];
    assert_eq!(
        (&created["type"], &created["sequence"], &created["dataschema"]),
        (&json!("order.created"), &json!("1"), &json!("urn:warren:order.created:2"))
    );
    assert_eq!(created["data"]["total"], json!({"amount": 1000, "currency": "EUR"}));
    assert_eq!(created["time"], created["data"]["created_at"]);
}
