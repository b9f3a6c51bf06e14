//! The routes, through the router.

use std::collections::BTreeSet;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::http::{Request, StatusCode};
use axum::response::Response;
use contracts::order::CancelReason;
use contracts::values::CustomerId;
use email::handlers::{ConfirmOrder, ExplainCancellation};
use email::http::{App, routes};
use email::templates::Templates;
use http_body_util::BodyExt;
use jsonwebtoken::{EncodingKey, Header};
use serde_json::{Value, json};
use service_kit::health::Health;
use service_kit::http::{Plumbing, auth::Authenticator, finish};
use service_kit::metrics::Metrics;
use tower::ServiceExt;

use crate::smtp_server::{Act, At, SmtpServer};
use crate::world::{World, cancelled, confirmed, eventually, received};

const SECRET: &[u8] = b"0123456789abcdef0123456789abcdef";

fn router(world: &World) -> Router {
    let app = App {
        pool: world.db.pool().clone(),
        templates: Arc::new(Templates::new("My Shop")),
        operators: Some("ops@example.com".parse().unwrap()),
    };
    let auth = Authenticator::hs256(SECRET, None, None);
    finish(routes(app), Plumbing { auth, health: Health::new(), metrics: Metrics::new() })
}

fn token(scope: &str, customer: Option<CustomerId>) -> String {
    let mut claims = json!({"scope": scope, "exp": 4_000_000_000_u64, "sub": "test"});
    if let Some(customer) = customer {
        claims["customer_id"] = json!(customer);
    }
    jsonwebtoken::encode(&Header::default(), &claims, &EncodingKey::from_secret(SECRET)).unwrap()
}

async fn send(router: &Router, path: &str, token: &str) -> Response {
    let request = Request::get(path).header("authorization", format!("Bearer {token}")).body(Body::empty()).unwrap();
    router.clone().oneshot(request).await.unwrap()
}

async fn text(response: Response) -> String {
    String::from_utf8(response.into_body().collect().await.unwrap().to_bytes().into()).unwrap()
}

async fn json_of(router: &Router, path: &str) -> Value {
    let response = send(router, path, &token("emails:read ops", None)).await;
    assert_eq!(response.status(), StatusCode::OK, "{path}");
    serde_json::from_str(&text(response).await).unwrap()
}

const ROUTES: [&str; 5] = [
    "/v1/emails",
    "/v1/emails/01990000-0000-7000-8000-000000000001/preview",
    "/v1/ops/trace/01990000-0000-7000-8000-000000000001",
    "/v1/ops/inbox/01990000-0000-7000-8000-000000000001",
    "/v1/ops/stuck",
];

#[tokio::test]
async fn only_staff_with_the_scope_may_ask() {
    let world = World::new().await;
    let router = router(&world);
    for path in ROUTES {
        let scope = if path.contains("/ops/") { "ops" } else { "emails:read" };
        let anonymous = router.clone().oneshot(Request::get(path).body(Body::empty()).unwrap()).await.unwrap();
        assert_eq!(anonymous.status(), StatusCode::UNAUTHORIZED, "{path}");
        let other = token("orders:read orders:write inventory:read", None);
        assert_eq!(send(&router, path, &other).await.status(), StatusCode::FORBIDDEN, "{path}");
        let customer = token("emails:read ops", Some(CustomerId::new()));
        assert_eq!(send(&router, path, &customer).await.status(), StatusCode::FORBIDDEN, "{path}");
        let status = send(&router, path, &token(scope, None)).await.status();
        assert!(matches!(status, StatusCode::OK | StatusCode::NOT_FOUND), "{path}: {status}");
    }
}

#[tokio::test]
async fn the_log_is_listed_newest_first_in_pages_with_masked_recipients() {
    let (world, server) = (World::new().await, SmtpServer::start().await);
    let customer = world.confirmations(1).await;
    world.until_all(&mut world.sender(&server.url()), "sent").await;
    world.confirmations(2).await;
    world.handle(&ConfirmOrder::new(world.outgoing.clone()), &[received(1, confirmed(CustomerId::new()))]).await;
    let router = router(&world);

    let all = json_of(&router, "/v1/emails").await;
    let items = all["items"].as_array().unwrap();
    assert_eq!((items.len(), &all["next_cursor"]), (4, &Value::Null));
    assert_eq!(items[0]["recipient"], Value::Null, "not known yet");
    let sent = items[3].as_object().unwrap();
    assert_eq!(sent["recipient"], "a***@example.com");
    assert_eq!(
        (&sent["status"], &sent["attempts"], &sent["template"]),
        (&json!("sent"), &json!(1), &json!("order-confirmed"))
    );
    assert_eq!(sent["customer_id"], json!(customer));
    assert!(sent.contains_key("sent_at") && sent.contains_key("order_id") && !sent.contains_key("error"));
    assert!(sent["message_id"].as_str().unwrap().ends_with(".order-confirmed@example.com>"));

    let first = json_of(&router, "/v1/emails?limit=3").await;
    let cursor = first["next_cursor"].as_str().unwrap();
    let second = json_of(&router, &format!("/v1/emails?limit=3&cursor={cursor}")).await;
    assert_eq!(second["items"][0], items[3]);
    assert_eq!(second["next_cursor"], Value::Null);
    let mixed = send(&router, &format!("/v1/emails?status=sent&cursor={cursor}"), &token("emails:read", None)).await;
    assert_eq!(mixed.status(), StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn the_log_is_filtered() {
    let (world, server) = (World::new().await, SmtpServer::start().await);
    server.then(Act::Reply(At::Rcpt, "550 no")).then(Act::Drop(At::Message));
    let mut sender = world.sender(&server.url());
    for _ in 0..2 {
        world.confirmations(1).await;
        eventually("it is answered", async || {
            sender.step().await.unwrap();
            !world.statuses().await.contains_key("queued")
        })
        .await;
    }
    let customer = world.customer("eve@example.com").await;
    let cancellation = cancelled(Some(customer), CancelReason::OutOfStock);
    let order = cancellation.order_id;
    world.handle(&ExplainCancellation::new(world.outgoing.clone()), &[received(1, cancellation)]).await;
    let router = router(&world);
    for (filter, expected) in [
        ("status=failed".to_owned(), 1),
        ("status=in-doubt".to_owned(), 1),
        ("status=queued".to_owned(), 1),
        ("status=sent".to_owned(), 0),
        (format!("order_id={order}"), 1),
        (format!("order_id={order}&status=failed"), 0),
        (format!("customer_id={customer}"), 1),
        (format!("customer_id={}", CustomerId::new()), 0),
    ] {
        let list = json_of(&router, &format!("/v1/emails?{filter}")).await;
        assert_eq!(list["items"].as_array().unwrap().len(), expected, "{filter}");
    }
    let failed = json_of(&router, "/v1/emails?status=failed").await;
    assert_eq!(failed["items"][0]["error"], "550 to RCPT TO: the mailbox is unavailable");
    assert!(failed["items"][0].get("sent_at").is_none());
    for wrong in ["status=lost", "order_id=1", "limit=0", "limit=201", "sort=id", "status=sent&status=sent"] {
        let response = send(&router, &format!("/v1/emails?{wrong}"), &token("emails:read", None)).await;
        assert_eq!(response.status(), StatusCode::BAD_REQUEST, "{wrong}");
        assert!(text(response).await.contains("/problems/invalid-query"), "{wrong}");
    }
}

#[tokio::test]
async fn a_preview_is_a_page_that_can_do_nothing() {
    let (world, server) = (World::new().await, SmtpServer::start().await);
    world.confirmations(1).await;
    let mail = world.mail().await;
    let router = router(&world);
    let path = format!("/v1/emails/{}/preview", mail.id);
    let mut pages = Vec::new();
    for sent in [false, true] {
        if sent {
            world.until_all(&mut world.sender(&server.url()), "sent").await;
        }
        let response = send(&router, &path, &token("emails:read", None)).await;
        assert_eq!(response.headers()["content-type"], "text/html; charset=utf-8");
        let policy = response.headers()["content-security-policy"].to_str().unwrap();
        assert!(policy.starts_with("default-src 'none'; style-src 'unsafe-inline'"));
        pages.push(text(response).await);
    }
    assert!(pages[0].contains("39.98 EUR"));
    assert_eq!(pages[0], pages[1]);
    let unknown = send(&router, &path.replace(&mail.id.to_string(), "nonsense"), &token("emails:read", None)).await;
    assert_eq!(unknown.status(), StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn operators_see_what_became_of_an_order_and_what_waits() {
    let (world, server) = (World::new().await, SmtpServer::start().await);
    world.confirmations(1).await;
    let order = world.mail().await.order_id.unwrap();
    let router = router(&world);
    world.sql("update mail set created_at = created_at - interval '2 minutes'").await;
    let stuck = json_of(&router, "/v1/ops/stuck").await;
    assert_eq!(stuck["items"][0]["order_id"], json!(order));
    assert_eq!(stuck["items"][0]["waits_for"], "mail server");
    world.until_all(&mut world.sender(&server.url()), "sent").await;
    assert_eq!(json_of(&router, "/v1/ops/stuck").await["items"], json!([]));
    let trace = json_of(&router, &format!("/v1/ops/trace/{order}")).await;
    let kinds: Vec<_> = trace["items"].as_array().unwrap().iter().map(|item| item["kind"].clone()).collect();
    assert_eq!(kinds, ["mail-queued", "mail-sent"]);
    let event = trace["items"][0]["event_id"].as_str().unwrap();
    assert_eq!(json_of(&router, &format!("/v1/ops/inbox/{event}")).await["state"], "unknown");
    sqlx::query("insert into inbox (id) values ($1)")
        .bind(event.parse::<uuid::Uuid>().unwrap())
        .execute(world.db.pool())
        .await
        .unwrap();
    assert_eq!(json_of(&router, &format!("/v1/ops/inbox/{event}")).await["state"], "done");
}

#[tokio::test]
async fn the_description_names_every_route() {
    let world = World::new().await;
    let router = router(&world);
    let document = json_of(&router, "/openapi.json").await;
    assert!(document["openapi"].as_str().unwrap().starts_with("3.1"));
    let paths = document["paths"].as_object().unwrap();
    // its own routes, and those of every service
    let source =
        concat!(include_str!("../../src/http.rs"), include_str!("../../../../crates/service-kit/src/http/finish.rs"));
    let routes: BTreeSet<&str> = source.split(".route(\"").skip(1).filter_map(|rest| rest.split('"').next()).collect();
    assert_eq!(routes, paths.keys().map(String::as_str).collect());
    for path in paths.keys() {
        let path = path.replace("{id}", "x").replace("{order_id}", "x").replace("{event_id}", "x");
        let status = send(&router, &path, &token("emails:read ops", None)).await.status();
        assert!(!matches!(status, StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED), "{path}: {status}");
    }
}
