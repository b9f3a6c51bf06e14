use std::sync::Arc;

use axum::body::Body;
use axum::http::Request;
use axum::routing::post;
use http_body_util::BodyExt;
use serde_json::{Value, json};
use tokio::sync::{Barrier, Semaphore, oneshot};
use tower::ServiceExt;

use super::*;
use crate::health::Check;
use crate::http::context::RequestContext;

struct App {
    router: Router,
    health: Health,
}

fn app(routes: Router) -> App {
    let health = Health::new();
    let plumbing = Plumbing { auth: Authenticator::disabled(), health: health.clone(), metrics: Metrics::new() };
    App { router: finish(routes, plumbing), health }
}

impl App {
    async fn call(&self, method: &str, uri: &str, headers: &[(&str, &str)]) -> Response {
        let mut request = Request::builder().method(method).uri(uri);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Body::empty()).expect("a request");
        self.router.clone().oneshot(request).await.expect("infallible")
    }
}

async fn text(response: Response) -> String {
    let body = response.into_body().collect().await.expect("whole").to_bytes();
    String::from_utf8(body.to_vec()).expect("UTF-8")
}

async fn json_of(response: Response) -> Value {
    serde_json::from_str(&text(response).await).expect("JSON")
}

fn routes() -> Router {
    Router::new()
        .route(
            "/things/{id}",
            get(async |context: RequestContext| format!("{} {}", context.request_id, context.traceparent))
                .put(async || ()),
        )
        .route("/panic", post(async || -> () { panic!("on purpose") }))
}

#[tokio::test]
async fn unknown_routes_and_methods_are_problems() {
    let app = app(routes());
    let response = app.call("GET", "/nowhere", &[]).await;
    assert_eq!(response.headers()["content-type"], "application/problem+json");
    assert_eq!(json_of(response).await["type"], "/problems/not-found");
    for (path, allowed) in [("/things/7", "GET,HEAD,PUT"), ("/livez", "GET,HEAD")] {
        let response = app.call("DELETE", path, &[]).await;
        assert_eq!((response.status().as_u16(), response.headers()["allow"].to_str().expect("text")), (405, allowed));
        assert!(response.headers().contains_key("x-request-id"));
        assert_eq!(json_of(response).await["type"], "/problems/method-not-allowed");
    }
}

#[tokio::test]
async fn every_answer_has_an_id_and_handlers_know_it() {
    let app = app(routes());
    let response = app
        .call(
            "GET",
            "/things/7",
            &[("x-request-id", "mine"), ("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")],
        )
        .await;
    assert_eq!(response.headers()["x-request-id"], "mine");
    let seen = text(response).await;
    assert!(seen.starts_with("mine 00-0af7651916cd43dd8448eb211c80319c-") && seen.ends_with("-01"), "{seen}");
    for path in ["/nowhere", "/livez", "/things/7"] {
        let id = app.call("GET", path, &[]).await.headers()["x-request-id"].to_str().expect("text").to_owned();
        assert_eq!(id.parse::<uuid::Uuid>().expect("a UUID").get_version_num(), 7);
    }
}

#[tokio::test]
async fn a_panic_is_a_500_that_says_nothing() {
    let app = app(routes());
    let response = app.call("POST", "/panic", &[]).await;
    assert_eq!(response.status(), 500);
    assert!(response.headers().contains_key("x-request-id"));
    let problem = json_of(response).await;
    assert_eq!(problem["type"], "/problems/internal");
    assert!(!problem.to_string().contains("on purpose"));
}

#[tokio::test]
async fn health_needs_no_token() {
    let app = app(routes());
    let live = app.call("GET", "/livez", &[]).await;
    assert_eq!((live.status(), json_of(live).await), (StatusCode::OK, json!({"status": "ok"})));
    assert_eq!(app.call("GET", "/readyz", &[]).await.status(), 503);
    app.health.ok(Check::Database);
    app.health.ok(Check::Migrations);
    let http = app.call("GET", "/readyz?role=http", &[]).await;
    assert_eq!((http.status(), json_of(http).await["status"].clone()), (StatusCode::OK, json!("ok")));
    assert_eq!(app.call("GET", "/readyz", &[]).await.status(), 503);
    assert_eq!(app.call("GET", "/readyz?role=all", &[]).await.status(), 400);
}

#[tokio::test]
async fn answers_are_counted_by_route_not_by_path() {
    let app = app(routes());
    app.call("GET", "/things/7", &[]).await;
    app.call("GET", "/things/8", &[]).await;
    app.call("GET", "/nowhere/9", &[]).await;
    app.call("BREW", "/things/7", &[]).await;
    let metrics = app.call("GET", "/metrics", &[]).await;
    assert_eq!(metrics.headers()["content-type"], "text/plain; version=0.0.4; charset=utf-8");
    let metrics = text(metrics).await;
    for (labels, count) in [
        ("method=\"GET\",route=\"/things/{id}\",status=\"200\"", 2),
        ("method=\"GET\",route=\"none\",status=\"404\"", 1),
        ("method=\"_OTHER\",route=\"/things/{id}\",status=\"405\"", 1),
    ] {
        let line = format!("http_server_request_duration_seconds_count{{{labels}}} {count}\n");
        assert!(metrics.contains(&line), "{line} is missing in\n{metrics}");
    }
}

#[tokio::test]
async fn open_metrics_is_there_for_who_asks_for_it() {
    let app = app(routes());
    let metrics =
        app.call("GET", "/metrics", &[("accept", "application/openmetrics-text;version=1.0.0,*/*;q=0.1")]).await;
    let media_type = metrics.headers()["content-type"].to_str().expect("text").to_owned();
    assert_eq!(media_type, "application/openmetrics-text; version=1.0.0; charset=utf-8");
    assert!(text(metrics).await.ends_with("# EOF\n"));
}

#[tokio::test]
async fn probes_have_no_parameters_but_the_role() {
    let app = app(routes());
    for path in ["/livez", "/metrics", "/docs", "/readyz"] {
        for query in ["x=1", "role=http&x=1", "role=http&role=http", "role="] {
            let response = app.call("GET", &format!("{path}?{query}"), &[]).await;
            assert_eq!(response.status(), 400, "{path}?{query}");
            assert!(response.headers().contains_key("x-request-id"));
            assert_eq!(json_of(response).await["type"], "/problems/invalid-query");
        }
    }
    assert_eq!(app.call("GET", "/livez?role=http", &[]).await.status(), 400);
    assert_eq!(app.call("GET", "/livez?", &[]).await.status(), 200);
}

#[tokio::test]
async fn a_handler_outlives_its_caller() {
    let (began, finished) = (Arc::new(Barrier::new(2)), Arc::new(Semaphore::new(0)));
    let (go, gone) = oneshot::channel::<()>();
    let gone = Arc::new(tokio::sync::Mutex::new(Some(gone)));
    let handler = {
        let (began, finished) = (Arc::clone(&began), Arc::clone(&finished));
        async move || {
            began.wait().await;
            let gone = gone.lock().await.take().expect("called once");
            gone.await.expect("told");
            finished.add_permits(1);
        }
    };
    let app = app(Router::new().route("/slow", post(handler)));
    let router = app.router.clone();
    let caller = tokio::spawn(router.oneshot(Request::post("/slow").body(Body::empty()).expect("a request")));
    began.wait().await;
    caller.abort();
    assert!(caller.await.expect_err("aborted").is_cancelled());
    go.send(()).expect("the handler still waits");
    let _permit = finished.acquire().await.expect("the handler ran to its end");
}

#[tokio::test]
async fn too_many_requests_under_way_are_refused() {
    let (entered, leave) = (Arc::new(Semaphore::new(0)), Arc::new(Semaphore::new(0)));
    let handler = {
        let (entered, leave) = (Arc::clone(&entered), Arc::clone(&leave));
        async move || {
            entered.add_permits(1);
            let _left = leave.acquire().await;
        }
    };
    let app = app(Router::new().route("/busy", get(handler)));
    let request = || Request::get("/busy").body(Body::empty()).expect("a request");
    let callers: Vec<_> =
        (0..detach::MAX_UNDER_WAY).map(|_| tokio::spawn(app.router.clone().oneshot(request()))).collect();
    let all = u32::try_from(detach::MAX_UNDER_WAY).expect("small");
    let _all = entered.acquire_many(all).await.expect("all entered");
    let refused = app.call("GET", "/busy", &[]).await;
    assert_eq!(refused.headers()["retry-after"], "5");
    assert_eq!(json_of(refused).await["type"], "/problems/overloaded");
    // Health is asked most urgently when there is too much to do.
    assert_eq!(app.call("GET", "/livez", &[]).await.status(), 200);
    leave.add_permits(detach::MAX_UNDER_WAY);
    for caller in callers {
        assert_eq!(caller.await.expect("no panic").expect("infallible").status(), 200);
    }
}
