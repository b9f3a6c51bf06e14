//! One order, followed through everything that can be seen of it, and then taken back.

use chrono::{DateTime, Utc};
use end_to_end::mailbox::Mail;
use end_to_end::setup::OPS_ADDRESS;
use end_to_end::shop::{Customer, number, order_of, product, text};
use end_to_end::system::System;
use end_to_end::waiting::{PATIENCE, check, eventually};
use serde_json::{Value, json};
use uuid::Uuid;

#[tokio::test]
async fn an_order_is_confirmed_mailed_and_taken_back() {
    let system = System::start().await;
    products(&system).await;
    let customer = new_customer(&system).await;
    let order_id = place(&system, &customer).await;
    let order = confirmed(&system, &order_id).await;
    history(&system, &order).await;
    stock_is_committed(&system, &order_id).await;
    confirmation_is_mailed(&system, &customer, &order_id).await;
    figures(&system, &customer, 1, 4498).await;
    cancelled(&system, &customer, &order_id).await;
    figures(&system, &customer, 0, 0).await;
    system.finish().await;
}

async fn products(system: &System) {
    let inventory = system.inventory.api();
    let tea = json!({"name": "Tea, 500 g", "unit_price": {"amount": 1999, "currency": "EUR"}, "active": true, "low_stock_threshold": 9});
    let created = inventory.put("/v1/products/tea-500g", &tea).await;
    let shown = created.expect(201);
    assert!(created.header("etag").is_some(), "{created}");
    let stock = json!({"on_hand": 0, "reserved": 0, "available": 0});
    let expected = json!({"sku": "tea-500g", "name": "Tea, 500 g", "unit_price": {"amount": 1999, "currency": "EUR"},
        "active": true, "low_stock_threshold": 9, "version": shown["version"], "stock": stock});
    assert_eq!(shown, expected);

    let again = inventory.put("/v1/products/tea-500g", &tea).await;
    assert_eq!(again.expect(200), shown, "the same body changes nothing");
    assert_eq!(again.header("etag"), created.header("etag"));
    assert_eq!(inventory.get("/v1/products/tea-500g").await.expect(200), shown);

    let delta = json!({"delta": 10, "reason": "delivery"});
    let stock = inventory.post("/v1/products/tea-500g/stock", &delta).await.expect(200);
    assert_eq!(stock, json!({"on_hand": 10, "reserved": 0, "available": 10}));
    let too_much = json!({"delta": -11, "reason": "theft"});
    inventory.post("/v1/products/tea-500g/stock", &too_much).await.problem(409, "insufficient-stock");

    system.sell("cup", 500, 5).await;
    system.prices_arrived().await;
}

async fn new_customer(system: &System) -> Customer {
    let (name, email) = ("Grace Canary-Hopper", "grace@canary-hopper.example");
    system.remember_personal(name);
    system.remember_personal(email);
    let answer = system.order.api().post("/v1/customers", &json!({"name": name, "email": email})).await;
    let created = answer.expect(201);
    let id = text(&created, "id").to_owned();
    assert_eq!(answer.header("location"), Some(format!("/v1/customers/{id}").as_str()));
    assert_eq!(Uuid::parse_str(&id).expect("a UUID").get_version_num(), 7);
    let expected = json!({"id": id, "name": name, "email": email, "created_at": created["created_at"], "order_count": 0, "totals": []});
    assert_eq!(created, expected);
    is_time(&created, "created_at");
    let taken = json!({"name": "Somebody else", "email": email});
    system.order.api().post("/v1/customers", &taken).await.problem(409, "email-taken");

    let mail = system.mail_to(email, "of welcome", |_| true).await;
    assert!(mail.text.contains(name) && mail.html.contains(name), "{mail:?}");
    assert_eq!(mail.from, "shop@warren.test");
    let told = system.mails_told(&format!("customer_id={id}"), 1).await.remove(0);
    assert_eq!((text(&told, "template"), text(&told, "recipient")), ("welcome", "g***@canary-hopper.example"));
    assert_eq!(text(&told, "message_id").trim_matches(['<', '>']), mail.message_id);
    assert_eq!((number(&told, "attempts"), &told["order_id"]), (1, &Value::Null));
    is_time(&told, "sent_at");
    Customer { id, name: name.to_owned(), email: email.to_owned() }
}

async fn place(system: &System, customer: &Customer) -> String {
    let body = order_of(&customer.id, &[("tea-500g", 2), ("cup", 1)], "sandbox:ok");
    let answer = system.try_place(&body).await;
    let order = answer.expect(201);
    let id = text(&order, "id").to_owned();
    assert_eq!(answer.header("location"), Some(format!("/v1/orders/{id}").as_str()));
    let lines = json!([
        {"sku": "tea-500g", "name": "Tea, 500 g", "quantity": 2, "unit_price": {"amount": 1999, "currency": "EUR"}},
        {"sku": "cup", "name": "Product cup", "quantity": 1, "unit_price": {"amount": 500, "currency": "EUR"}},
    ]);
    let expected = json!({"id": id, "customer_id": customer.id, "status": "pending", "version": 1, "lines": lines,
        "total": {"amount": 4498, "currency": "EUR"}, "payment": {"method": "sandbox:ok", "status": "none"},
        "created_at": order["created_at"], "updated_at": order["updated_at"]});
    assert_eq!(order, expected);
    is_time(&order, "created_at");

    // The price is the one of this moment, whatever becomes of the product later.
    let dearer = product("Cup, now dearer", 900);
    system.inventory.api().put("/v1/products/cup", &dearer).await.expect(200);
    id
}

async fn confirmed(system: &System, order_id: &str) -> Value {
    let order = system.settled(order_id).await;
    assert_eq!(text(&order, "status"), "confirmed", "{order}");
    assert_eq!(order["payment"]["status"], "completed");
    assert!(order["payment"]["payment_id"].is_string(), "{order}");
    assert_eq!(order["total"], json!({"amount": 4498, "currency": "EUR"}));
    assert_eq!(order.get("cancel_reason"), None);
    let answer = system.order.api().get(&format!("/v1/orders/{order_id}")).await;
    assert_eq!(answer.header("etag"), Some(format!("\"{}\"", order["version"]).as_str()));
    order
}

async fn history(system: &System, order: &Value) {
    let id = text(order, "id");
    let events = system.history(id).await;
    let types: Vec<&str> = events.iter().map(|event| text(event, "type")).collect();
    assert_eq!(types, ["order.created", "order.reserved", "payment.completed", "order.confirmed"]);
    let mut earlier = DateTime::<Utc>::MIN_UTC;
    for (event, position) in events.iter().zip(1..) {
        let version = if event["type"] == "order.created" { 2 } else { 1 };
        assert_eq!(text(event, "specversion"), "1.0");
        assert_eq!(text(event, "source"), "/warren/order");
        assert_eq!(text(event, "subject"), id);
        assert_eq!(text(event, "sequence"), position.to_string());
        assert_eq!(text(event, "dataschema"), format!("urn:warren:{}:{version}", text(event, "type")));
        assert_eq!(text(event, "datacontenttype"), "application/json");
        assert_eq!(text(event, "correlationid"), text(&events[0], "correlationid"), "one request set all of it off");
        assert_eq!(Uuid::parse_str(text(event, "id")).expect("a UUID").get_version_num(), 7);
        assert_eq!(text(&event["data"], "order_id"), id);
        let time = is_time(event, "time");
        assert!(time >= earlier, "time runs backwards: {events:?}");
        earlier = time;
    }
    assert_eq!(events[0]["data"]["payment_method"], "sandbox:ok");
    assert_eq!(events[2]["data"]["amount"], order["total"]);
    assert_eq!(events[3]["data"]["lines"], order["lines"]);
    assert_eq!(number(order, "version"), 4);
}

async fn stock_is_committed(system: &System, order_id: &str) {
    system.stock_reaches("tea-500g", 8, 0).await;
    system.stock_reaches("cup", 4, 0).await;
    let movements = system.inventory.api().list("/v1/products/tea-500g/movements").await;
    let seen: Vec<Value> = movements
        .iter()
        .map(|movement| {
            json!([
                movement["kind"],
                movement["on_hand_delta"],
                movement["reserved_delta"],
                movement["order_id"],
                movement["reason"]
            ])
        })
        .collect();
    let expected = json!([
        ["committed", -2, -2, order_id, null],
        ["reserved", 0, 2, order_id, null],
        ["adjusted", 10, 0, null, "delivery"],
    ]);
    assert_eq!(Value::from(seen), expected);
    is_time(&movements[0], "at");
    let reservation = system.inventory.api().get(&format!("/v1/reservations/{order_id}")).await.expect(200);
    assert_eq!((text(&reservation, "order_id"), text(&reservation, "state")), (order_id, "committed"));
    let mut lines = reservation["lines"].as_array().expect("a reservation has lines").clone();
    lines.sort_by_key(|line| text(line, "sku").to_owned());
    assert_eq!(Value::from(lines), json!([{"sku": "cup", "quantity": 1}, {"sku": "tea-500g", "quantity": 2}]));
    is_time(&reservation, "updated_at");
    let low = system.mail_to(OPS_ADDRESS, "about low stock", |_| true).await;
    assert!(low.text.contains("tea-500g") || low.text.contains("Tea, 500 g"), "eight are fewer than nine: {low:?}");
}

async fn confirmation_is_mailed(system: &System, customer: &Customer, order_id: &str) {
    let told = system.mails_told(&format!("order_id={order_id}"), 1).await.remove(0);
    assert_eq!(text(&told, "template"), "order-confirmed");
    assert_eq!(text(&told, "customer_id"), customer.id);
    let mail = mail_of(system, &told);
    assert_eq!(mail.to, customer.email);
    for part in [&mail.text, &mail.html] {
        for expected in ["Tea, 500 g", "Product cup", "44.98", "19.99"] {
            assert!(part.contains(expected), "no {expected} in {mail:?}");
        }
    }
    let preview = system.email.api().get(&format!("/v1/emails/{}/preview", text(&told, "id"))).await;
    assert_eq!(preview.status, 200, "{preview}");
    assert!(preview.header("content-type").is_some_and(|kind| kind.starts_with("text/html")), "{preview}");
    assert_eq!(preview.body.replace("\r\n", "\n").trim(), mail.html.replace("\r\n", "\n").trim());
}

/// The mail that was handed over for an entry of the list.
fn mail_of(system: &System, told: &Value) -> Mail {
    let message_id = text(told, "message_id").trim_matches(['<', '>']);
    let mail = system.mailbox.mails().into_iter().find(|mail| mail.message_id == message_id);
    mail.unwrap_or_else(|| panic!("never handed over: {told}"))
}

/// The read models: the customer's totals, and the day's sales.
async fn figures(system: &System, customer: &Customer, count: i64, cents: i64) {
    eventually("the customer's totals are up to date", PATIENCE, async || {
        let seen = system.order.api().get(&format!("/v1/customers/{}", customer.id)).await.expect(200);
        let total = json!([{"amount": cents, "currency": "EUR"}]);
        let nothing = cents == 0 && seen["totals"] == json!([]);
        check(seen["order_count"] == count && (seen["totals"] == total || nothing), || seen.to_string())
    })
    .await;
    let cancelled = i64::from(count == 0);
    eventually("the day's sales are up to date", PATIENCE, async || {
        let (yesterday, tomorrow) = (Utc::now().date_naive().pred_opt(), Utc::now().date_naive().succ_opt());
        let path =
            format!("/v1/reports/daily-sales?from={}&to={}", yesterday.expect("a day"), tomorrow.expect("a day"));
        let report = system.order.api().get(&path).await.expect(200);
        let days = report["items"].as_array().expect("a list has items").clone();
        let sum = |field: &str| days.iter().map(|day| number(day, field)).sum::<i64>();
        let euros = days
            .iter()
            .all(|day| day["currency"] == "EUR" && day["revenue"]["currency"] == "EUR" && day["date"].is_string());
        let revenue: i64 = days.iter().map(|day| number(&day["revenue"], "amount")).sum();
        let seen = (sum("created"), sum("confirmed"), sum("cancelled"));
        check(euros && seen == (1, 1, cancelled) && (count == 0 || revenue == cents), || report.to_string())
    })
    .await;
}

async fn cancelled(system: &System, customer: &Customer, order_id: &str) {
    let path = format!("/v1/orders/{order_id}/cancel");
    let order = system.order.api().post(&path, &json!({"reason": "wrong colour"})).await.expect(202);
    let seen = [&order["status"], &order["cancel_reason"], &order["cancel_note"]];
    assert_eq!(seen, ["cancelled", "requested", "wrong colour"]);
    system.order.api().post(&path, &json!({})).await.problem(409, "order-already-cancelled");

    system.payment_reaches(order_id, "refunded").await;
    system.stock_reaches("tea-500g", 10, 0).await;
    system.stock_reaches("cup", 5, 0).await;
    let reservation = system.inventory.api().get(&format!("/v1/reservations/{order_id}")).await.expect(200);
    assert_eq!(text(&reservation, "state"), "returned");
    let movements = system.inventory.api().list("/v1/products/tea-500g/movements").await;
    assert_eq!((text(&movements[0], "kind"), number(&movements[0], "on_hand_delta")), ("returned", 2));
    let told = system.mails_told(&format!("order_id={order_id}"), 2).await;
    let told = told.iter().find(|mail| mail["template"] == "order-cancelled").expect("a mail about the cancellation");
    assert_eq!(mail_of(system, told).to, customer.email);
    let types: Vec<String> =
        system.history(order_id).await.iter().skip(4).map(|event| text(event, "type").to_owned()).collect();
    assert_eq!(types, ["order.cancelled", "payment.refunded"]);
}

/// A time as answers write it: RFC 3339, UTC.
fn is_time(value: &Value, field: &str) -> DateTime<Utc> {
    let time = text(value, field);
    assert!(time.ends_with('Z'), "{field} is not in UTC: {time}");
    DateTime::parse_from_rfc3339(time).unwrap_or_else(|error| panic!("{field}: {time}: {error}")).to_utc()
}
