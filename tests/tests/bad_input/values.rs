//! Values that have the right type and are wrong all the same.

use end_to_end::http::Answer;
use end_to_end::shop::{order_of, product};
use end_to_end::system::System;
use reqwest::Method;
use serde_json::{Value, json};

use crate::report::{Report, events};
use crate::routes::Things;

/// A body with one value changed.
fn with(body: &Value, pointer: &str, value: Value) -> Value {
    let mut body = body.clone();
    *body.pointer_mut(pointer).expect("it is there") = value;
    body
}

#[tokio::test]
async fn what_is_out_of_range_is_refused() {
    let system = System::start().await;
    let things = Things::make(&system).await;
    let before = events(&system).await;
    let mut report = Report::default();
    orders(&mut report, &system, &things).await;
    customers(&mut report, &system, &things).await;
    products(&mut report, &system).await;
    assert_eq!(events(&system).await, before, "something was done for a wrong value");
    report.close();
    things.settle(&system).await;
    system.finish().await;
}

async fn orders(report: &mut Report, system: &System, things: &Things) {
    let right = order_of(&things.customer.id, &[("tea", 1)], "sandbox:ok");
    let line = right["lines"][0].clone();
    let many: Vec<Value> = (0..101).map(|index| json!({"sku": format!("sku-{index}"), "quantity": 1})).collect();
    let sku = |sku: &str| with(&right, "/lines/0/sku", json!(sku));
    let quantity = |quantity: i64| with(&right, "/lines/0/quantity", json!(quantity));
    for (what, body) in [
        ("no lines", with(&right, "/lines", json!([]))),
        ("101 lines", with(&right, "/lines", json!(many))),
        ("a sku twice", with(&right, "/lines", json!([line, line]))),
        ("none", quantity(0)),
        ("10 001", quantity(10_001)),
        ("2 to the 32nd plus one", quantity(4_294_967_297)),
        ("an empty sku", sku("")),
        ("a sku with a blank", sku("a b")),
        ("a sku with an umlaut", sku("ä")),
        ("a sku of 65", sku(&"a".repeat(65))),
        ("a customer that is no id", with(&right, "/customer_id", json!("me"))),
        ("an unknown payment method", with(&right, "/payment_method", json!("cash"))),
        ("an unknown sandbox", with(&right, "/payment_method", json!("sandbox:free"))),
        ("an empty payment method", with(&right, "/payment_method", json!(""))),
    ] {
        report.problem(&format!("an order with {what}"), &system.try_place(&body).await, 422, "invalid-body");
    }
    let path = format!("/v1/orders/{}/cancel", things.order_id);
    let novel = json!({"reason": "x".repeat(200_000)});
    let answer = system.order.api().post(&path, &novel).await;
    report.problem("a novel as reason", &answer, 422, "invalid-body");
}

async fn customers(report: &mut Report, system: &System, things: &Things) {
    let right = json!({"name": "Somebody New", "email": "new@example.org"});
    let path = format!("/v1/customers/{}", things.customer.id);
    let api = system.order.api();
    let too_long = format!("{}@example.org", "a".repeat(300));
    for email in [
        "",
        "nobody",
        "@example.org",
        "a@",
        "a b@example.org",
        "a@b@c",
        "a@example.org, b@example.org",
        "a@example.org>",
        &too_long,
    ] {
        let answer = api.post("/v1/customers", &with(&right, "/email", json!(email))).await;
        report.problem(&format!("a customer at {email:?}"), &answer, 422, "invalid-body");
        let answer = api.patch(&path, &json!({"email": email})).await;
        report.problem(&format!("a customer who moves to {email:?}"), &answer, 422, "invalid-body");
    }
    for name in ["", " ", &"n".repeat(100_000)] {
        let shown: String = name.chars().take(5).collect();
        let answer = api.post("/v1/customers", &with(&right, "/name", json!(name))).await;
        report.problem(&format!("a customer named {shown:?}"), &answer, 422, "invalid-body");
    }
}

async fn products(report: &mut Report, system: &System) {
    let api = system.inventory.api();
    let mut right = product("Product tea", 100);
    right["low_stock_threshold"] = json!(1);
    let put = async |sku: &str, body: &Value| -> Answer { api.put(&format!("/v1/products/{sku}"), body).await };
    for (what, body) in [
        ("a negative price", with(&right, "/unit_price/amount", json!(-1))),
        ("a currency that is none", with(&right, "/unit_price/currency", json!("ABC"))),
        ("a currency in small letters", with(&right, "/unit_price/currency", json!("eur"))),
        ("a long currency", with(&right, "/unit_price/currency", json!("EURO"))),
        ("an empty name", with(&right, "/name", json!(""))),
        ("a novel as name", with(&right, "/name", json!("n".repeat(100_000)))),
        ("a negative threshold", with(&right, "/low_stock_threshold", json!(-1))),
    ] {
        report.problem(&format!("a product with {what}"), &put("tea", &body).await, 422, "invalid-body");
    }
    for sku in ["%C3%A4", "a%2Fb", "a%00b", &"a".repeat(65), "a+b", "a,b"] {
        report.problem(&format!("a product named {sku}"), &put(sku, &right).await, 400, "invalid-path");
    }
    let stock = async |body: Value| api.post("/v1/products/tea/stock", &body).await;
    let answer = stock(json!({"delta": i64::MAX, "reason": "far too much"})).await;
    report.holds("a delta that overflows", [409, 422].contains(&answer.status), &answer);
    report.problem(
        "more than there is",
        &stock(json!({"delta": -100, "reason": "one is held"})).await,
        409,
        "insufficient-stock",
    );
    let answer = stock(json!({"delta": 1, "reason": "r".repeat(200_000)})).await;
    report.problem("a novel as reason", &answer, 422, "invalid-body");
}

#[tokio::test]
async fn strange_but_honest_input_is_taken() {
    let system = System::start().await;
    let names = [
        "Zoë O'Brien-Łukasiewicz",
        "李小龍",
        "عبد الله",
        "👩‍👩‍👧‍👦 & Sons <Ltd>",
        "Robert'); drop table customer;--",
        "{{7*7}}",
    ];
    system.sell("a.b_c-D", 100, 10).await;
    for (index, name) in names.into_iter().enumerate() {
        let email = format!("strange+{index}@canary-strange.example");
        [name, &email].into_iter().for_each(|text| system.remember_personal(text));
        let created =
            system.order.api().post("/v1/customers", &json!({"name": name, "email": email})).await.expect(201);
        let id = created["id"].as_str().expect("an id").to_owned();
        let mail = system.mail_to(&email, "of welcome", |_| true).await;
        assert!(mail.text.contains(name), "{mail:?}");
        assert!(!mail.html.contains("<Ltd>"), "{mail:?}");
        let order = system.try_place(&order_of(&id, &[("a.b_c-D", 1)], "sandbox:ok")).await.expect(201);
        system.settled(order["id"].as_str().expect("an id")).await;
    }
    let call = system.order.api().call(Method::POST, "/v1/customers");
    let unpaired =
        call.body("application/json", r#"{"name": "\ud800", "email": "surrogate@example.org"}"#).send().await;
    assert!([400, 422].contains(&unpaired.status), "half a surrogate pair is no text: {unpaired}");
    system.finish().await;
}
