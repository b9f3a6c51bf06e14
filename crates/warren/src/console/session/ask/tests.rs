use axum::Router;
use axum::body::Body;
use axum::http::Response;
use axum::http::header::LOCATION;
use contracts::event::Service;
use tokio::net::TcpListener;

use super::*;

const PROBLEM: &str = "application/problem+json";

/// An answer to everything: status, media type, body.
type Stub = (u16, &'static str, &'static str);

const OPERATOR: Stub = (400, PROBLEM, r#"{"type": "/problems/invalid-path", "title": "The path is invalid"}"#);
const NO_OPERATOR: Stub =
    (403, PROBLEM, r#"{"type": "/problems/forbidden", "title": "The token does not permit this"}"#);
const REFUSED: Stub =
    (401, PROBLEM, r#"{"type": "/problems/unauthorized", "title": "Who?", "detail": "It has expired."}"#);

/// Something that answers everything in the same way, as a service's client.
async fn at(stub: Stub) -> Client {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    let elsewhere = if stub.0 == 302 { elsewhere().await } else { String::new() };
    let router = Router::new().fallback(async move || {
        let (status, media, body) = stub;
        let answer = Response::builder().status(status).header(CONTENT_TYPE, media).header(LOCATION, elsewhere);
        answer.body(Body::from(body)).unwrap()
    });
    tokio::spawn(async move { axum::serve(listener, router).await });
    Client::new("order", "ORDER_URL", &base, Some("e30.e30.c2ln".to_owned())).unwrap()
}

/// Where a redirect leads: to what says that everybody is an operator.
async fn elsewhere() -> String {
    Box::pin(at(OPERATOR)).await.base().to_owned()
}

async fn told_by(stubs: &[Stub]) -> Standing {
    let mut services = Services::new();
    for (service, stub) in Service::ALL.into_iter().zip(stubs) {
        services.push((service, at(*stub).await));
    }
    ask(&services).await
}

#[tokio::test]
async fn what_is_no_service_makes_nobody_an_operator() {
    let (invalid, forbidden) = (OPERATOR.2, NO_OPERATOR.2);
    for stub in [
        (200, "text/html", "<h1>It works</h1>"),
        (200, PROBLEM, invalid),
        (404, "text/plain", "not found"),
        (404, PROBLEM, invalid),
        (400, "text/plain", "bad request"),
        (400, "application/json", invalid),
        (400, PROBLEM, ""),
        (400, PROBLEM, r#"{"type": "about:blank"}"#),
        (400, PROBLEM, forbidden),
        (302, "text/plain", ""),
        (302, PROBLEM, invalid),
        (403, "text/html", "<h1>Forbidden</h1>"),
        (401, "text/plain", "Basic, please"),
        (502, "text/html", "<h1>Bad gateway</h1>"),
    ] {
        assert_eq!(told_by(&[stub]).await, Standing::Unknown, "{stub:?}");
    }
}

#[tokio::test]
async fn a_services_own_words_count_and_of_several_the_least() {
    let page = (200, "text/html", "<h1>It works</h1>");
    let refused = Standing::Bad("It has expired.".to_owned());
    assert_eq!(told_by(&[OPERATOR]).await, Standing::Good { ops: true });
    assert_eq!(told_by(&[NO_OPERATOR]).await, Standing::Good { ops: false });
    assert_eq!(told_by(&[REFUSED]).await, refused);
    assert_eq!(told_by(&[page, OPERATOR, page]).await, Standing::Good { ops: true });
    assert_eq!(told_by(&[OPERATOR, NO_OPERATOR, page]).await, Standing::Good { ops: false });
    assert_eq!(told_by(&[OPERATOR, OPERATOR, REFUSED]).await, refused);
    assert_eq!(told_by(&[]).await, Standing::Unknown);
}
