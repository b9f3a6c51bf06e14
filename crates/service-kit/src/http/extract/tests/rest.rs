//! Queries, paths and conditions, and the problems themselves.

use axum::body::Body as HttpBody;
use axum::http::{HeaderMap, Request, StatusCode};
use axum::response::IntoResponse;
use serde_json::{Value, json};

use super::{ID, fetch, kind, read, send};
use crate::http::extract::etag;
use crate::http::problem::Problem;

#[tokio::test]
async fn queries_are_strict() {
    assert_eq!(fetch("/list").await.1.as_str().expect("text").split(' ').next(), Some("50"));
    assert_eq!(fetch(&format!("/list?limit=200&status=fast&customer={ID}&cursor=x")).await.0, StatusCode::OK);
    for (query, says) in [
        ("limit=0", "limit: must be a whole number from 1 to 200"),
        ("limit=201", "limit: must be a whole number from 1 to 200"),
        ("limit=ten", "limit: must be a whole number from 1 to 200"),
        ("limit=%2B5", "limit: must be a whole number from 1 to 200"),
        ("limit=", "limit: must be a whole number from 1 to 200"),
        ("limit=1&limit=2", "duplicate parameter `limit`"),
        ("limits=1", "unknown parameter `limits`, expected one of `limit`, `cursor`, `status`, `customer`"),
        ("status=slow", "status: unknown variant `slow`, expected `normal` or `fast`"),
        ("customer=7", "customer: "),
    ] {
        let answer = fetch(&format!("/list?{query}")).await;
        assert_eq!(kind(&answer), (400, "invalid-query"), "{query}");
        let detail = answer.1["detail"].as_str().expect("a detail");
        assert!(detail.starts_with(says), "{query}: {detail}");
    }
    assert_eq!(kind(&fetch(&format!("/orders/{ID}?verbose")).await), (400, "invalid-query"));
}

#[tokio::test]
async fn paths_are_strict() {
    assert_eq!(fetch(&format!("/orders/{ID}")).await, (StatusCode::OK, ID.into()));
    assert_eq!(fetch(&format!("/orders/{ID}/lines/7")).await, (StatusCode::OK, format!("{ID} 7").into()));
    for path in [
        "/orders/7".to_owned(),
        "/orders/%ff".to_owned(),
        format!("/orders/{ID}/lines/x"),
        format!("/orders/{ID}/lines/256"),
    ] {
        assert_eq!(kind(&fetch(&path).await), (400, "invalid-path"), "{path}");
    }
}

async fn change(version: i64, conditions: &[&str]) -> (StatusCode, Value) {
    let mut request = Request::get(format!("/change/{version}"));
    for condition in conditions {
        request = request.header("if-match", *condition);
    }
    send(request.body(HttpBody::empty()).expect("a request")).await
}

#[tokio::test]
async fn if_match_compares_strongly() {
    for (version, conditions) in [
        (5, &[][..]),
        (0, &[]),
        (5, &["\"5\""]),
        (5, &["*"]),
        (5, &["\"4\", \"5\""]),
        (5, &["\"4\"", "\"5\""]),
        (5, &["\"a,b\" ,\"5\","]),
    ] {
        assert_eq!(change(version, conditions).await.0, StatusCode::OK, "{conditions:?}");
    }
    for (version, conditions) in
        [(5, &["\"4\""][..]), (5, &["W/\"5\""]), (5, &["\"\""]), (5, &["\"05\""]), (0, &["*"]), (0, &["\"0\""])]
    {
        assert_eq!(kind(&change(version, conditions).await), (412, "precondition-failed"), "{conditions:?}");
    }
    for conditions in
        [&["5"][..], &[""], &["\"5"], &["\"5\" \"6\""], &["*, \"5\""], &["w/\"5\""], &["\"a b\""], &["\"5\"", "*"]]
    {
        assert_eq!(kind(&change(5, conditions).await), (400, "invalid-header"), "{conditions:?}");
    }
    assert_eq!(etag(5), "\"5\"");
}

#[tokio::test]
async fn problems_are_documents_of_their_own_type() {
    let problem = Problem::new(StatusCode::CONFLICT, "email-taken", "The address is taken", "Somebody has it.")
        .with_error("/email", "is taken")
        .with_retry_after(std::time::Duration::from_millis(1500));
    let response = problem.into_response();
    let headers: HeaderMap = response.headers().clone();
    assert_eq!(headers["content-type"], "application/problem+json");
    assert_eq!(headers["retry-after"], "2");
    let (status, document) = read(response).await;
    assert_eq!(status, StatusCode::CONFLICT);
    assert_eq!(
        document,
        json!({"type": "/problems/email-taken", "title": "The address is taken", "status": 409, "detail": "Somebody has it.",
               "errors": [{"pointer": "/email", "detail": "is taken"}]})
    );
}

#[tokio::test]
async fn database_errors_stay_inside() {
    let away = read(Problem::from(sqlx::Error::PoolTimedOut).into_response()).await;
    assert_eq!(kind(&away), (503, "unavailable"));
    let secret = sqlx::Error::ColumnNotFound("secret".to_owned());
    let broken = read(Problem::from(secret).into_response()).await;
    assert_eq!(kind(&broken), (500, "internal"));
    assert!(!broken.1.to_string().contains("secret"));
}
