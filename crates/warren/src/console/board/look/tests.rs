use axum::Router;
use axum::http::StatusCode as Status;
use axum::routing::get;
use tokio::net::TcpListener;

use super::*;

type Stub = (u16, &'static str);

const READY: Stub = (200, r#"{"status": "ok", "checks": {"database": "ok"}}"#);
const PAGE: Stub = (502, "<h1>Bad gateway</h1>");

/// What is seen of a service that answers so.
async fn seen(metrics: Stub, readiness: Stub) -> Looked {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://ada:secret@{}", listener.local_addr().unwrap());
    let answer = |(status, body): Stub| get(async move || (Status::from_u16(status).unwrap(), body));
    let router = Router::new().route("/metrics", answer(metrics)).route("/readyz", answer(readiness));
    tokio::spawn(async move { axum::serve(listener, router).await });
    look(&Client::new("order", "ORDER_URL", &base, None).unwrap()).await
}

fn reason(looked: Looked) -> String {
    match looked {
        Looked::Silent(why) => why,
        Looked::Answers(figures) => panic!("it is taken for a service: {figures:?}"),
    }
}

#[tokio::test]
async fn only_what_answers_as_a_service_does_is_taken_for_one() {
    let metrics = (200, "warren_outbox_pending 3\n");
    assert_eq!(seen(metrics, READY).await.figures().unwrap().outbox, 3.0);
    let unready = (503, r#"{"status": "unready", "checks": {"broker": "connecting"}}"#);
    assert_eq!(seen(metrics, unready).await.figures().unwrap().not_ready["broker"], "connecting");
    for (metrics, readiness, status) in [
        (PAGE, PAGE, 502),
        (PAGE, READY, 502),
        (metrics, PAGE, 502),
        (metrics, (503, "<h1>Away</h1>"), 503),
        (metrics, (200, "<h1>It works</h1>"), 200),
        ((503, ""), READY, 503),
        (metrics, (404, READY.1), 404),
    ] {
        let why = reason(seen(metrics, readiness).await);
        assert_eq!(why, format!("answers {status}, not as a service does"));
    }
}

#[tokio::test]
async fn an_address_is_not_told() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let away = Client::new("order", "ORDER_URL", "http://ada:secret@127.0.0.1:9", None).unwrap();
    assert_eq!(reason(look(&away).await), "connection refused");
}
