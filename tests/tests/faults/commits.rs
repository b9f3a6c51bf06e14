//! The connection is lost at COMMIT: the transaction is stored, and who asked for it is not told (RFC 1047's problem, with a
//! database). Only asking again under the same key tells what became of it.

use end_to_end::database::server_address;
use end_to_end::infrastructure::beside_others;
use end_to_end::lost_answer::LostAnswer;
use end_to_end::service::SERVICES;
use end_to_end::shop::{order_of, text};
use end_to_end::system::System;
use end_to_end::waiting::{PATIENCE, check, eventually};
use reqwest::Method;
use uuid::Uuid;

/// A system in which one service reaches its database by a way that loses answers.
async fn with_lossy(name: &str) -> (System, LostAnswer) {
    let way = LostAnswer::to(server_address()).await;
    let system = System::setup().prepare().await;
    system.migrate().await;
    system.service(name).set("DATABASE_URL", Some(&system.database(name).url(Some(&way.address()))));
    for name in SERVICES {
        system.service(name).start();
    }
    for name in SERVICES {
        system.service(name).ready().await;
    }
    (system, way)
}

/// Waits until the answer is lost.
async fn is_lost(way: &LostAnswer) {
    eventually("the answer to the commit is lost", PATIENCE, async || {
        check(way.lost() == 1, || format!("{} were lost", way.lost()))
    })
    .await;
}

#[tokio::test]
async fn an_order_whose_commit_was_not_answered_is_the_same_one_under_its_key() {
    let _beside = beside_others().await;
    let (system, way) = with_lossy("order").await;
    system.sell("tea", 100, 100).await;
    let customer = system.customer().await;
    let body = order_of(&customer.id, &[("tea", 1)], "sandbox:ok");
    let key = Uuid::new_v4().to_string();
    let call = async || system.order.api().call(Method::POST, "/v1/orders").header("idempotency-key", &key).json(&body);

    way.lose(key.as_bytes());
    call().await.send().await.problem(503, "unavailable");
    is_lost(&way).await;
    let again = call().await.send().await;
    assert_eq!(again.header("idempotent-replayed"), Some("true"), "the first had its effect: {again}");
    let id = text(&again.expect(201), "id").to_owned();
    assert_eq!(system.order.api().list("/v1/orders").await.len(), 1);
    assert_eq!(text(&system.settled(&id).await, "status"), "confirmed");
    system.finish().await;
}

#[tokio::test]
async fn an_order_whose_commit_was_not_answered_may_be_there_without_a_key() {
    let _beside = beside_others().await;
    let (system, way) = with_lossy("order").await;
    system.sell("tea", 100, 100).await;
    let customer = system.customer().await;
    let body = order_of(&customer.id, &[("tea", 1)], "sandbox:ok");

    way.lose(Uuid::parse_str(&customer.id).expect("an id").as_bytes());
    system.try_place(&body).await.problem(503, "unavailable");
    is_lost(&way).await;
    // It is whole, and goes its way; who asks again without a key wants a second one.
    let orders = system.order.api().list(&format!("/v1/orders?customer_id={}", customer.id)).await;
    assert_eq!(orders.len(), 1, "{orders:?}");
    system.try_place(&body).await.expect(201);
    assert_eq!(text(&system.settled(text(&orders[0], "id")).await, "status"), "confirmed");
    system.finish().await;
}

/// `name` is told of the end of an order, or, if it is `order`, of its stock, and does not learn that it has stored what follows.
async fn a_consumer_loses_an_answer(name: &'static str) {
    let _beside = beside_others().await;
    let (system, way) = with_lossy(name).await;
    system.sell("tea", 100, 100).await;
    let customer = system.customer().await;
    system.mail_to(&customer.email, "of welcome", |_| true).await;
    if name == "email" {
        // Its sender may be the one who is not told.
        system.allow_repeated_mails();
    }
    system.inventory.stop().await;
    let order = system.place(&customer, &[("tea", 3)]).await;
    let id = text(&order, "id");
    way.lose(Uuid::parse_str(id).expect("an id").as_bytes());
    system.inventory.start_and_wait().await;
    is_lost(&way).await;
    assert_eq!(text(&system.settled(id).await, "status"), "confirmed");
    system.stock_reaches("tea", 97, 0).await;
    let retries = system.service(name).metric("warren_retries_total", &[]).await.expect("metrics");
    assert_eq!(retries.unwrap_or(0.0), 0.0, "{name} charged a message for it");
    system.finish().await;
}

#[tokio::test]
async fn order_is_not_told_of_its_commit_and_does_nothing_twice() {
    a_consumer_loses_an_answer("order").await;
}

#[tokio::test]
async fn inventory_is_not_told_of_its_commit_and_does_nothing_twice() {
    a_consumer_loses_an_answer("inventory").await;
}

#[tokio::test]
async fn email_is_not_told_of_its_commit_and_does_nothing_twice() {
    a_consumer_loses_an_answer("email").await;
}
