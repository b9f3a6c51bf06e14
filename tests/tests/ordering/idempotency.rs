//! Repeating a request does not repeat its effect.

use end_to_end::http::{Answer, Api};
use end_to_end::shop::{order_of, product, text};
use end_to_end::system::System;
use end_to_end::token::in_seconds;
use futures_util::future::join_all;
use reqwest::Method;
use serde_json::{Value, json};

async fn post(api: &Api, path: &str, key: &str, body: &Value) -> Answer {
    api.call(Method::POST, path).header("idempotency-key", key).json(body).send().await
}

fn is_replay(answer: &Answer) -> bool {
    answer.header("idempotent-replayed") == Some("true")
}

#[tokio::test]
async fn fifty_equal_requests_make_one_order() {
    let system = System::start().await;
    system.sell("tea", 100, 1000).await;
    let customer = system.customer().await;
    let body = order_of(&customer.id, &[("tea", 1)], "sandbox:ok");
    let api = system.order.api();
    let answers = join_all((0..50).map(|_| post(api, "/v1/orders", "key-1", &body))).await;
    let (taken, refused): (Vec<Answer>, Vec<Answer>) = answers.into_iter().partition(|answer| answer.status == 201);
    for answer in &refused {
        answer.problem(409, "idempotency-key-in-use");
    }
    let first = taken.iter().find(|answer| !is_replay(answer)).expect("one of them did it");
    assert_eq!(taken.iter().filter(|answer| !is_replay(answer)).count(), 1, "one of them, and only one");
    for answer in &taken {
        assert_eq!((&answer.body, answer.header("location")), (&first.body, first.header("location")));
    }
    let id = text(&first.json(), "id").to_owned();
    assert_eq!(system.order.api().list("/v1/orders").await.len(), 1);

    let replay = |answer: Answer| {
        assert_eq!(answer.expect(201), first.json());
        assert!(
            is_replay(&answer) && answer.header("location") == first.header("location"),
            "{answer} {:?}",
            answer.headers
        );
    };
    system.settled(&id).await;
    replay(post(api, "/v1/orders", "key-1", &body).await);
    let copy = system.add_copy("order").await;
    replay(post(copy.api(), "/v1/orders", "key-1", &body).await);
    system.order.kill().await;
    system.order.start_and_wait().await;
    replay(post(api, "/v1/orders", "key-1", &body).await);

    let another = order_of(&customer.id, &[("tea", 2)], "sandbox:ok");
    for api in [api, copy.api()] {
        post(api, "/v1/orders", "key-1", &another).await.problem(422, "idempotency-key-reused");
    }
    assert_eq!(system.order.api().list("/v1/orders").await.len(), 1);
    system.finish().await;
}

#[tokio::test]
async fn a_key_belongs_to_its_caller_and_route() {
    let system = System::start().await;
    system.sell("tea", 100, 1000).await;
    let customer = system.customer().await;
    let order = order_of(&customer.id, &[("tea", 1)], "sandbox:ok");
    let api = system.order.api();
    let first = post(api, "/v1/orders", "key-1", &order).await.expect(201);

    let claims = json!({"sub": "somebody else", "scope": "orders:read orders:write", "exp": in_seconds(3600)});
    let other = api.with_token(system.tokens.claims(&claims));
    let second = post(&other, "/v1/orders", "key-1", &order).await;
    assert_ne!(text(&second.expect(201), "id"), text(&first, "id"), "another caller's key is another key");
    assert!(!is_replay(&second));

    let (name, email) = ("Ada Canary-Key", "ada@canary-key.example");
    [name, email].into_iter().for_each(|text| system.remember_personal(text));
    let customer = json!({"name": name, "email": email});
    let registered = post(api, "/v1/customers", "key-1", &customer).await.expect(201);
    let again = post(api, "/v1/customers", "key-1", &customer).await;
    assert_eq!(again.expect(201), registered);
    assert!(is_replay(&again));

    for id in [text(&first, "id"), text(&second.json(), "id")] {
        let path = format!("/v1/orders/{id}/cancel");
        let cancelled = post(api, &path, "key-2", &json!({})).await.expect(202);
        let again = post(api, &path, "key-2", &json!({})).await;
        assert_eq!((again.expect(202), is_replay(&again)), (cancelled, true), "the path is a part of the route");
    }

    let delta = json!({"delta": 7, "reason": "found"});
    let adjusted = post(system.inventory.api(), "/v1/products/tea/stock", "key-1", &delta).await.expect(200);
    let again = post(system.inventory.api(), "/v1/products/tea/stock", "key-1", &delta).await;
    assert_eq!((again.expect(200), is_replay(&again)), (adjusted, true));
    let movements = system.inventory.api().list("/v1/products/tea/movements").await;
    assert_eq!(movements.iter().filter(|movement| movement["reason"] == "found").count(), 1);
    system.finish().await;
}

#[tokio::test]
async fn an_error_is_not_kept() {
    let system = System::start().await;
    let customer = system.customer().await;
    let order = order_of(&customer.id, &[("new", 1)], "sandbox:ok");
    post(system.order.api(), "/v1/orders", "key-1", &order).await.problem(422, "unknown-sku");
    system.define("new", &product("New", 100)).await;
    let taken = post(system.order.api(), "/v1/orders", "key-1", &order).await;
    taken.expect(201);
    assert!(!is_replay(&taken));
    for bad in ["", "two words", "ä", &"k".repeat(256)] {
        post(system.order.api(), "/v1/orders", bad, &order).await.problem(400, "invalid-header");
    }
    post(system.order.api(), "/v1/orders", &"k".repeat(255), &order).await.expect(201);
    system.finish().await;
}
