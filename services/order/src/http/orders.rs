//! Orders.

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use contracts::values::{CustomerId, OrderId, Quantity, Sku};
use messaging::event_log;
use messaging::tx::Tx;
use serde::Deserialize;
use service_kit::http::auth::{Authorized, Caller, scope};
use service_kit::http::context::RequestContext;
use service_kit::http::extract::{Body, Errors, NoQuery, OptionalBody, Path, Query, Validate, etag, given};
use service_kit::http::idempotency::{Answer, Claim, IdempotencyKey, Key, claim, keep};
use service_kit::http::page::{Cursor, Limit, Page};
use service_kit::http::problem::Problem;

use super::query::Time;
use super::views::OrderView;
use super::{Http, context, saga_problem};
use crate::desk::Wish;
use crate::history::{Point, fold};
use crate::order::command::{Command, Refusal};
use crate::order::{Order, Status};
use crate::saga::{Moved, Step, advance};
use crate::store;
use crate::store::order::list::Filter;

/// The most lines of an order.
const MAX_LINES: usize = 100;

/// The longest note of a cancellation, in characters.
const MAX_NOTE: usize = 500;

/// `POST /v1/orders`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewOrder {
    customer_id: CustomerId,
    lines: Vec<NewLine>,
    payment_method: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct NewLine {
    sku: Sku,
    quantity: Quantity,
}

impl Validate for NewOrder {
    fn validate(&self, errors: &mut Errors) {
        let count = self.lines.len();
        errors.check((1..=MAX_LINES).contains(&count), "/lines", format!("must have 1 to {MAX_LINES} lines"));
        let mut seen = std::collections::HashSet::new();
        for (index, line) in self.lines.iter().enumerate() {
            errors.check(seen.insert(&line.sku), format!("/lines/{index}/sku"), "is ordered in an earlier line");
        }
    }
}

/// `POST /v1/orders/{id}/cancel`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cancellation {
    #[serde(default, deserialize_with = "given")]
    reason: Option<String>,
}

impl Validate for Cancellation {
    fn validate(&self, errors: &mut Errors) {
        if let Some(reason) = &self.reason {
            errors.text("/reason", reason, 1, MAX_NOTE);
        }
    }
}

/// `GET /v1/orders`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ListQuery {
    customer_id: Option<CustomerId>,
    status: Option<Status>,
    created_from: Option<Time>,
    created_to: Option<Time>,
    #[serde(default)]
    limit: Limit,
    cursor: Option<Cursor>,
}

/// `GET /v1/orders/{id}`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ShowQuery {
    version: Option<String>,
    at: Option<Time>,
}

impl ShowQuery {
    fn point(&self) -> Result<Option<Point>, Problem> {
        match (&self.version, self.at) {
            (None, None) => Ok(None),
            (Some(version), None) => {
                let version = version_number(version).map(|version| Some(Point::Version(version)));
                version.ok_or_else(|| Problem::invalid_query("version: must be a whole number from 1"))
            }
            (None, Some(time)) => Ok(Some(Point::Time(time.0))),
            (Some(_), Some(_)) => Err(Problem::invalid_query("version and at exclude each other")),
        }
    }
}

/// A whole number from 1, in digits alone. One that is larger than any is one that the order does not have.
fn version_number(text: &str) -> Option<i64> {
    let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| text.parse().unwrap_or(i64::MAX)).filter(|version| *version >= 1)
}

/// Places an order.
pub async fn place(
    State(http): State<Http>,
    caller: Authorized<scope::OrdersWrite>,
    _: NoQuery,
    request: RequestContext,
    key: IdempotencyKey,
    body: Body<NewOrder>,
) -> Result<Answer, Problem> {
    let NewOrder { customer_id, lines, payment_method } = body.value;
    if !http.payment_methods.contains(&payment_method.as_str()) {
        let detail = format!("must be one of {}", http.payment_methods.join(", "));
        return Err(Problem::invalid_body([]).with_error("/payment_method", detail));
    }
    http.admit()?;
    if !caller.may_see(customer_id.0) {
        return Err(Problem::not_found("There is no such customer."));
    }
    let key = key.of(&caller, &body.raw);
    let lines = lines.into_iter().map(|line| (line.sku, line.quantity)).collect();
    http.desk.place(Wish { customer_id, lines, payment_method, key, context: context(&request) }).await
}

/// Shows an order, as it is or as it was.
pub async fn show(
    State(http): State<Http>,
    caller: Authorized<scope::OrdersRead>,
    Path(id): Path<OrderId>,
    Query(query): Query<ShowQuery>,
) -> Result<Response, Problem> {
    let point = query.point()?;
    let mut conn = http.database.pool().acquire().await?;
    let order = visible(&caller, store::order::find(&mut conn, id).await?)?;
    let Some(point) = point else { return Ok(shown(StatusCode::OK, &order)) };
    if let Point::Version(version) = point
        && version > order.version
    {
        return Err(Problem::not_found("The order has no such version yet."));
    }
    let events = event_log::history(&mut conn, &id.to_string()).await?;
    let then = fold(&events, &order, point).map_err(|error| {
        tracing::error!(order_id = %id, %error, "history cannot be folded");
        Problem::internal()
    })?;
    let then = then.ok_or_else(|| Problem::not_found("The order did not exist then."))?;
    Ok(shown(StatusCode::OK, &then))
}

/// Lists orders, newest first.
pub async fn list(
    State(http): State<Http>,
    caller: Authorized<scope::OrdersRead>,
    Query(query): Query<ListQuery>,
) -> Result<Response, Problem> {
    let ListQuery { customer_id, status, created_from, created_to, limit, cursor } = query;
    let (created_from, created_to) = (created_from.map(|time| time.0), created_to.map(|time| time.0));
    // what a customer's own token lists is filtered to it; another's orders are none
    let customer_id = match (caller.customer_id.map(CustomerId), customer_id) {
        (Some(own), Some(asked)) if own != asked => {
            return Ok(Json(Page::<()> { items: Vec::new(), next_cursor: None }).into_response());
        }
        (Some(own), _) => Some(own),
        (None, asked) => asked,
    };
    let list = format!("orders {customer_id:?} {status:?} {created_from:?} {created_to:?}");
    let before = cursor.map(|cursor| cursor.open::<OrderId>(&list)).transpose()?;
    let filter = Filter { customer_id, status, created_from, created_to, before, limit: limit.probe() };
    let orders = store::order::list::list(&mut *http.database.pool().acquire().await?, &filter).await?;
    let item = |order: Order| serde_json::to_value(OrderView::of(&order)).unwrap_or_default();
    Ok(Json(Page::new(orders, limit, &list, |order| order.id, item)).into_response())
}

/// Cancels an order; its stock and its money come back by themselves.
pub async fn cancel(
    State(http): State<Http>,
    caller: Authorized<scope::OrdersWrite>,
    Path(id): Path<OrderId>,
    _: NoQuery,
    request: RequestContext,
    key: IdempotencyKey,
    body: OptionalBody<Cancellation>,
) -> Result<Answer, Problem> {
    let key = key.of(&caller, &body.raw);
    let mut tx = http.database.begin(context(&request)).await?;
    tx.after_commit(&http.intents);
    let step = Step { order_id: id, command: Command::Cancel(body.value.reason), context: context(&request) };
    let cancelled = cancel_in(&mut tx, key.as_ref(), &caller, step).await;
    tx.end(cancelled).await
}

async fn cancel_in(tx: &mut Tx, key: Option<&Key>, caller: &Caller, step: Step) -> Result<Answer, Problem> {
    if let Claim::Replay(answer) = claim(tx, key).await? {
        return Ok(answer);
    }
    visible(caller, store::order::find(tx, step.order_id).await?)?;
    let moved = advance(tx, &[step]).await.map_err(saga_problem)?;
    let order = match moved.into_iter().next() {
        Some(Moved::Order(order)) => order,
        Some(Moved::Refused(Refusal::AlreadyCancelled)) => {
            return Err(Problem::new(
                StatusCode::CONFLICT,
                "order-already-cancelled",
                "Already cancelled",
                "The order is cancelled already.",
            ));
        }
        Some(Moved::Unknown) | None => return Err(unknown()),
    };
    let answer = Answer::json(StatusCode::ACCEPTED, &OrderView::of(&order)).with_etag(order.version);
    keep(tx, key, &answer).await?;
    Ok(answer)
}

/// The whole history of an order, oldest first.
pub async fn events(
    State(http): State<Http>,
    caller: Authorized<scope::OrdersRead>,
    Path(id): Path<OrderId>,
    _: NoQuery,
) -> Result<Response, Problem> {
    let mut conn = http.database.pool().acquire().await?;
    visible(&caller, store::order::find(&mut conn, id).await?)?;
    let events = event_log::history(&mut conn, &id.to_string()).await?;
    let service = http.database.service();
    let items: Result<Vec<_>, _> = events.iter().map(|event| event.envelope(service)).collect();
    let items = items.map_err(|error| {
        tracing::error!(order_id = %id, %error, "the log holds something that is not JSON");
        Problem::internal()
    })?;
    Ok(Json(serde_json::json!({ "items": items })).into_response())
}

/// To a customer, others' orders do not exist.
pub(super) fn visible(caller: &Caller, order: Option<Order>) -> Result<Order, Problem> {
    order.filter(|order| caller.may_see(order.customer_id.0)).ok_or_else(unknown)
}

fn unknown() -> Problem {
    Problem::not_found("There is no such order.")
}

fn shown(status: StatusCode, order: &Order) -> Response {
    let headers = HeaderMap::from_iter([(header::ETAG, etag(order.version))]);
    (status, headers, Json(OrderView::of(order))).into_response()
}
