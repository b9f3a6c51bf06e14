//! The payment provider's webhook.

use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use chrono::Utc;
use contracts::values::OrderId;
use messaging::context::Context;
use messaging::tx::Tx;
use serde::Deserialize;
use service_kit::http::context::RequestContext;
use service_kit::http::extract::{Errors, NoQuery, RawBody, Validate, given};
use service_kit::http::idempotency::{Answer, Claim, IdempotencyKey, Key, claim, keep};
use service_kit::http::problem::Problem;

use super::{Http, context, saga_problem};
use crate::order::command::{Command, PaymentResult};
use crate::order::{Order, Status};
use crate::payment::Intent;
use crate::saga::{Step, advance};
use crate::store;
use crate::store::payment::Known;
use crate::webhook::Signed;

/// The longest id or reason of a provider, in characters.
const MAX_TEXT: usize = 255;

/// `POST /v1/payments/webhook`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Message {
    r#type: Outcome,
    order_id: OrderId,
    payment_id: String,
    #[serde(default, deserialize_with = "given")]
    reason: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
enum Outcome {
    #[serde(rename = "payment.completed")]
    Completed,
    #[serde(rename = "payment.failed")]
    Failed,
}

impl Validate for Message {
    fn validate(&self, errors: &mut Errors) {
        errors.text("/payment_id", &self.payment_id, 1, MAX_TEXT);
        if let Some(reason) = &self.reason {
            errors.text("/reason", reason, 1, MAX_TEXT);
        }
    }
}

/// What a message means for its order.
#[derive(Debug, PartialEq, Eq)]
enum Meaning {
    /// Told before, or nothing to be done about it.
    Nothing,
    /// The order has another payment that is not given back, or the payment is another order's.
    Conflict,
    /// The order has to know.
    News,
}

/// The states of a payment that was completed, whatever came after.
const COMPLETED: [&str; 4] = ["completed", "refund-due", "refunding", "refunded"];

fn meaning(order: &Order, known: Option<&Known>, outcome: Outcome, payment_id: &str) -> Meaning {
    let is_anothers = known.is_some_and(|known| known.order_id != order.id);
    let was_completed = known.is_some_and(|known| COMPLETED.contains(&known.state.as_str()));
    let has_another = order.unrefunded().any(|id| id != payment_id);
    match outcome {
        _ if is_anothers => Meaning::Conflict,
        _ if was_completed => Meaning::Nothing,
        _ if has_another => Meaning::Conflict,
        Outcome::Completed => Meaning::News,
        Outcome::Failed if order.status == Status::Reserved => Meaning::News,
        Outcome::Failed => Meaning::Nothing,
    }
}

/// Who sends webhooks, as far as idempotency keys are concerned: whoever has the secret.
const PROVIDER: &str = "payment provider";

/// Takes a payment's result from its provider. What else is wrong with a message is told only to who has signed it.
pub async fn webhook(
    State(http): State<Http>,
    query: Result<NoQuery, Problem>,
    request: RequestContext,
    key: Result<IdempotencyKey, Problem>,
    headers: HeaderMap,
    body: RawBody,
) -> Result<Answer, Problem> {
    let Some(secrets) = &http.webhook_secrets else { return Err(Problem::not_found("There is no such route.")) };
    let header = |name| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let id = header("webhook-id");
    let signed = Signed { id, timestamp: header("webhook-timestamp"), signatures: header("webhook-signature") };
    if !secrets.verify(signed, &body.raw, Utc::now().timestamp()) {
        let problem = Problem::unauthorized("The signature is missing, wrong or too old.");
        return Err(problem.with_challenge(HeaderValue::from_static("Standard-Webhooks")));
    }
    query?;
    let key = key?.of_sender(PROVIDER, &body.raw);
    let message: Message = body.parse()?;

    let mut tx = http.database.begin(context(&request)).await?;
    tx.after_commit(&http.intents);
    let taken = take(&mut tx, key.as_ref(), id, message, &context(&request)).await;
    tx.end(taken).await
}

fn another_payment() -> Problem {
    Problem::conflict("The order has another payment, which is not refunded.")
}

/// Takes a message that is the provider's, once.
async fn take(
    tx: &mut Tx,
    key: Option<&Key>,
    webhook_id: &str,
    Message { r#type: outcome, order_id, payment_id, reason }: Message,
    context: &Context,
) -> Result<Answer, Problem> {
    let taken = Answer::empty(StatusCode::NO_CONTENT);
    if let Claim::Replay(answer) = claim(tx, key).await? {
        return Ok(answer);
    }
    let order = store::order::lock(tx, &[order_id]).await?.pop();
    let order = order.ok_or_else(|| Problem::not_found("There is no such order."))?;
    if !store::webhook::remember(tx, webhook_id).await? {
        return Ok(taken);
    }
    let known = store::payment::find(tx, &payment_id).await?;
    match meaning(&order, known.as_ref(), outcome, &payment_id) {
        Meaning::Nothing => {}
        Meaning::Conflict => return Err(another_payment()),
        Meaning::News => {
            let result = PaymentResult { payment_id: payment_id.clone(), amount: order.total };
            let reason = reason.unwrap_or_else(|| "not told".to_owned());
            let (command, state) = match outcome {
                Outcome::Completed => (Command::Pay(result), "completed"),
                Outcome::Failed => (Command::FailPayment(result, reason), "failed"),
            };
            advance(tx, &[Step { order_id, command, context: context.clone() }]).await.map_err(saga_problem)?;
            let intent = Intent { payment_id, ..Intent::new(&order, context.clone()) };
            if !store::payment::record(tx, &intent, state).await? {
                // told of another order a moment ago
                return Err(another_payment());
            }
        }
    }
    // whoever sends messages is there
    store::outage::end(tx).await?;
    keep(tx, key, &taken).await?;
    Ok(taken)
}
