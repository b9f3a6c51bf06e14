mod body;
mod rest;

use axum::body::Body as HttpBody;
use axum::http::{Request, StatusCode};
use axum::response::Response;
use axum::routing::{get, post};
use axum::{Json, Router};
use http_body_util::BodyExt;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tower::ServiceExt;
use uuid::Uuid;

use super::*;
use crate::http::page::{Cursor, Limit};

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct NewOrder {
    customer: Uuid,
    lines: Vec<Line>,
    note: Option<String>,
    #[serde(default)]
    speed: Speed,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    sku: String,
    quantity: u32,
}

#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Speed {
    #[default]
    Normal,
    Fast,
}

impl Validate for NewOrder {
    fn validate(&self, errors: &mut Errors) {
        errors.check((1..=100).contains(&self.lines.len()), "/lines", "must be 1 to 100");
        for (n, line) in self.lines.iter().enumerate() {
            errors.check(line.quantity >= 1, format!("/lines/{n}/quantity"), "must be at least 1");
        }
        if let Some(note) = &self.note {
            errors.text("/note", note, 1, 20);
        }
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Reason {
    #[serde(default, deserialize_with = "given")]
    reason: Option<String>,
}

impl Validate for Reason {
    fn validate(&self, errors: &mut Errors) {
        errors.text("/reason", self.reason.as_deref().unwrap_or("none"), 1, 10);
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "only their parsing matters")]
struct Filter {
    #[serde(default)]
    limit: Limit,
    cursor: Option<Cursor>,
    status: Option<Speed>,
    customer: Option<Uuid>,
}

fn routes() -> Router {
    Router::new()
        .route(
            "/orders",
            post(async |body: Body<NewOrder>| Json(json!({"order": body.value, "bytes": body.raw.len()}))),
        )
        .route("/cancel", post(async |body: OptionalBody<Reason>| body.value.reason.unwrap_or_default()))
        .route("/orders/{id}", get(async |Path(id): Path<Uuid>, _: NoQuery| id.to_string()))
        .route("/orders/{id}/lines/{n}", get(async |Path((id, n)): Path<(Uuid, u8)>| format!("{id} {n}")))
        .route("/list", get(async |Query(filter): Query<Filter>| format!("{} {filter:?}", filter.limit.get())))
        .route(
            "/change/{version}",
            get(async |Path(version): Path<i64>, condition: IfMatch| {
                let version = Some(version).filter(|version| *version > 0);
                condition.check(version).map(|()| "changed")
            }),
        )
}

async fn send(request: Request<HttpBody>) -> (StatusCode, Value) {
    read(routes().oneshot(request).await.expect("infallible")).await
}

async fn read(response: Response) -> (StatusCode, Value) {
    let (status, json) =
        (response.status(), response.headers().get("content-type").is_some_and(|t| t.as_bytes().ends_with(b"json")));
    let body = response.into_body().collect().await.expect("whole").to_bytes();
    let text = String::from_utf8(body.to_vec()).expect("UTF-8");
    (status, if json { serde_json::from_str(&text).expect("JSON") } else { text.into() })
}

async fn post_to(path: &str, content_type: Option<&str>, body: impl Into<HttpBody>) -> (StatusCode, Value) {
    let mut request = Request::post(path);
    if let Some(content_type) = content_type {
        request = request.header("content-type", content_type);
    }
    send(request.body(body.into()).expect("a request")).await
}

async fn order(body: impl Into<HttpBody>) -> (StatusCode, Value) {
    post_to("/orders", Some("application/json"), body).await
}

async fn fetch(uri: &str) -> (StatusCode, Value) {
    send(Request::get(uri).body(HttpBody::empty()).expect("a request")).await
}

fn kind(answer: &(StatusCode, Value)) -> (u16, &str) {
    assert_eq!(answer.1["status"], answer.0.as_u16(), "{answer:?}");
    (answer.0.as_u16(), answer.1["type"].as_str().expect("a type").strip_prefix("/problems/").expect("ours"))
}

const ID: &str = "01890a5d-ac96-774b-bcce-b302099a8057";

fn good() -> Value {
    json!({"customer": ID, "lines": [{"sku": "a", "quantity": 2}]})
}
