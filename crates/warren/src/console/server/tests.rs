use std::sync::Arc;

use axum::http::Method;
use axum::http::header::{CONTENT_SECURITY_POLICY, CONTENT_TYPE, COOKIE, HOST, ORIGIN, SET_COOKIE};
use contracts::event::Service;
use futures_util::stream;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::oneshot;
use tower::util::ServiceExt;

use super::*;
use crate::client::Client;
use crate::console::{Console, board, runs, session};

/// The routes of a console whose services are all away.
fn console() -> Router {
    routes(lonely())
}

fn lonely() -> Shared {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let away = |service: Service| (service, Client::new(service.name(), "URL", "http://127.0.0.1:9", None).unwrap());
    Arc::new(Console {
        services: Service::ALL.into_iter().map(away).collect(),
        broker: None,
        hosts: Vec::new(),
        sessions: session::Sessions::new(8090),
        board: board::Board::default(),
        runs: runs::Runs::default(),
        provider: None,
    })
}

async fn ask(router: &Router, method: Method, path: &str, cookie: &str, body: &str) -> Response<Body> {
    let request = Request::builder().method(method).uri(path).header(HOST, "127.0.0.1:8090").header(COOKIE, cookie);
    let request = request.header(ORIGIN, "http://127.0.0.1:8090").header(guard::OWN_HEADER, "1");
    let request = request.header(CONTENT_TYPE, "application/json").body(Body::from(body.to_owned())).unwrap();
    router.clone().oneshot(request).await.unwrap()
}

/// A token that nobody has signed, which nobody can tell while the services are away.
const TOKEN: &str = r#"{"token": "e30.eyJzdWIiOiJhZGEiLCJzY29wZSI6Im9wcyJ9.c2ln"}"#;

#[tokio::test]
async fn every_answer_says_what_the_browser_may_do() {
    let router = console();
    for path in
        ["/", "/orders/1", "/web/app.js", "/web/missing.js", "/favicon.ico", "/livez", "/api/session", "/api/nothing"]
    {
        let answer = ask(&router, Method::GET, path, "", "").await;
        let policy = answer.headers()[CONTENT_SECURITY_POLICY].to_str().unwrap();
        assert!(policy.starts_with("default-src 'none'") && !policy.contains("unsafe"), "{path}: {policy}");
        assert!(answer.headers().contains_key("x-frame-options"), "{path}");
    }
    assert_eq!(ask(&router, Method::GET, "/", "", "").await.status(), 200);
    assert_eq!(ask(&router, Method::GET, "/web/missing.js", "", "").await.status(), 404);
    assert_eq!(ask(&router, Method::GET, "/api/nothing", "", "").await.status(), 404);
}

#[tokio::test]
async fn whom_nobody_can_verify_sees_the_figures_alone() {
    let router = console();
    for path in ["/api/overview", "/api/dead-letters/groups", "/api/s/order/v1/orders", "/api/stuck"] {
        assert_eq!(ask(&router, Method::GET, path, "", "").await.status(), 401, "{path}");
    }
    // an empty token is for services that ask for none, which nobody can tell either
    assert_eq!(ask(&router, Method::POST, "/api/session", "", r#"{"token": ""}"#).await.status(), 502);
    let entered = ask(&router, Method::POST, "/api/session", "", TOKEN).await;
    assert_eq!(entered.status(), 200);
    let cookie = entered.headers()[SET_COOKIE].to_str().unwrap().split(';').next().unwrap().to_owned();
    assert_eq!(ask(&router, Method::GET, "/api/overview", &cookie, "").await.status(), 200);
    for path in
        ["/api/dead-letters/groups", "/api/dead-letters/log", "/api/dead-letters/runs", "/api/s/order/v1/orders"]
    {
        assert_eq!(ask(&router, Method::GET, path, &cookie, "").await.status(), 502, "{path}");
    }
    for path in ["/api/dead-letters/replay", "/api/payments/0199c2b0-5a3e-7c11-9d51-2f4b8a6e0c77"] {
        let body = if path.contains("payments") { r#"{"completed": true}"# } else { "{}" };
        assert_eq!(ask(&router, Method::POST, path, &cookie, body).await.status(), 502, "{path}");
    }
    assert_eq!(ask(&router, Method::DELETE, "/api/session", &cookie, "").await.status(), 204);
    assert_eq!(ask(&router, Method::GET, "/api/overview", &cookie, "").await.status(), 401);
}

#[tokio::test]
async fn bodies_are_limited_and_checked() {
    let router = console();
    let long = format!("{{\"token\": \"{}\"}}", "x".repeat(MAX_BODY));
    assert_eq!(ask(&router, Method::POST, "/api/session", "", &long).await.status(), 413);
    for wrong in ["", "{}", "[]", r#"{"token": 1}"#, r#"{"token": "", "more": 1}"#] {
        let status = ask(&router, Method::POST, "/api/session", "", wrong).await.status();
        assert!(status.is_client_error(), "{wrong}: {status}");
    }
}

#[tokio::test]
async fn a_body_that_never_comes_is_not_waited_for() {
    let never = Body::from_stream(stream::pending::<Result<Bytes, std::io::Error>>());
    let answer = read(never, Duration::from_millis(10)).await.unwrap_err().into_response();
    assert_eq!(answer.status(), 408);
}

#[tokio::test]
async fn it_stops_although_every_connection_is_taken() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = oneshot::channel::<()>();
    let served = tokio::spawn(serve(listener, lonely(), async { drop(stopped.await) }));
    let mut callers = Vec::new();
    for _ in 0..MAX_CONNECTIONS {
        let mut caller = TcpStream::connect(address).await.unwrap();
        caller.write_all(b"GET /livez HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n").await.unwrap();
        assert!(caller.read(&mut [0; 1024]).await.unwrap() > 0);
        callers.push(caller);
    }
    stop.send(()).unwrap();
    timeout(DRAIN * 4, served).await.expect("it goes on").unwrap();
}
