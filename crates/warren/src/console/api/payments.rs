//! `/api/payments/{order}`: plays the payment provider for an order of `sandbox:manual`.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use chrono::Utc;
use contracts::event::Service;
use reqwest::Method;
use serde::Deserialize;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::client::error::root_cause;
use crate::client::problem::Problem as Told;
use crate::console::problem::Problem;
use crate::console::{PATIENCE, Shared};

/// The only method that waits for a webhook.
const MANUAL: &str = "sandbox:manual";

/// What the provider is to tell.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::console) struct Payment {
    completed: bool,
}

/// Tells the order service that the payment came, or failed. Whoever may do this can have goods without paying, so it is
/// for operators, and for the sandbox alone.
pub(in crate::console) async fn tell(
    State(console): State<Shared>,
    Path(order): Path<Uuid>,
    headers: HeaderMap,
    Json(Payment { completed }): Json<Payment>,
) -> Result<StatusCode, Problem> {
    let session = console.operator(&headers).await?;
    let provider = console.provider.as_ref().ok_or_else(|| {
        Problem::conflict("The console does not know PAYMENT_WEBHOOK_SECRET, so it cannot play the payment provider.")
    })?;
    let (_, client) = console.services.iter().find(|(service, _)| *service == Service::Order).expect("all are there");
    let client = session.client(client)?.with_patience(PATIENCE);
    let found = client.get(&format!("/v1/orders/{order}"), &[]).await.map_err(|error| Problem::of_call(&error))?;
    let found: Value = found.read().map_err(|error| Problem::of_call(&error))?;
    if found["payment"]["method"] != MANUAL {
        return Err(Problem::conflict(format!("Only an order of {MANUAL} is paid by a webhook.")));
    }
    let (outcome, reason) = match completed {
        true => ("completed", None),
        false => ("failed", Some("refused on the console")),
    };
    // the provider's own words, which are no event of ours
    let kind = format!("payment.{outcome}");
    let mut body = json!({"type": kind, "order_id": order, "payment_id": format!("console-{order}")});
    if let Some(reason) = reason {
        body["reason"] = reason.into();
    }
    let (id, now, body) = (format!("msg_{}", Uuid::new_v4().simple()), Utc::now().timestamp(), body.to_string());
    let request = client.request(Method::POST, "/v1/payments/webhook").timeout(PATIENCE);
    let request = request
        .header("content-type", "application/json")
        .header("webhook-signature", provider.sign(&id, now, &body))
        .header("webhook-id", id)
        .header("webhook-timestamp", now);
    let lost = |error: reqwest::Error| Problem::away(format!("order does not answer: {}.", root_cause(&error)));
    let answer = request.body(body).send().await.map_err(lost)?;
    let status = answer.status();
    if status.is_success() {
        return Ok(StatusCode::NO_CONTENT);
    }
    let told = answer.bytes().await.ok().and_then(|body| Told::read(status.as_u16(), None, &body));
    Err(told.map_or_else(|| Problem::away(format!("order answers {status}.")), |told| Problem::of_service(&told)))
}
