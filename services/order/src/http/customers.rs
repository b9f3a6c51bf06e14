//! Customers.

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::IntoResponse;
use contracts::event::Event as _;
use contracts::order::{CustomerChanged, CustomerRegistered};
use contracts::values::CustomerId;
use messaging::tx::{Head, PublishError, Tx};
use serde::Deserialize;
use service_kit::http::auth::{Authorized, Staff, scope};
use service_kit::http::context::RequestContext;
use service_kit::http::extract::{Body, Errors, IfMatch, NoQuery, Path, Validate, etag, given};
use service_kit::http::idempotency::{Answer, Claim, IdempotencyKey, Key, claim, keep};
use service_kit::http::problem::Problem;
use tracing::info;

use super::views::CustomerView;
use super::{Http, context};
use crate::store;
use crate::store::customer::{Customer, EMAIL_TAKEN};

/// The longest name, in characters.
const MAX_NAME: usize = 200;

/// The longest address that SMTP takes (RFC 5321, section 4.5.3.1).
const MAX_EMAIL: usize = 254;

/// `POST /v1/customers`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewCustomer {
    name: String,
    email: String,
}

impl Validate for NewCustomer {
    fn validate(&self, errors: &mut Errors) {
        errors.text("/name", &self.name, 1, MAX_NAME);
        email(errors, &self.email);
    }
}

/// `PATCH /v1/customers/{id}`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CustomerChange {
    #[serde(default, deserialize_with = "given")]
    name: Option<String>,
    #[serde(default, deserialize_with = "given")]
    email: Option<String>,
}

impl Validate for CustomerChange {
    fn validate(&self, errors: &mut Errors) {
        if let Some(name) = &self.name {
            errors.text("/name", name, 1, MAX_NAME);
        }
        if let Some(address) = &self.email {
            email(errors, address);
        }
    }
}

/// An address as HTML's `<input type=email>` takes it: what mail servers in practice accept, without comments and quotes.
fn email(errors: &mut Errors, address: &str) {
    let local = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+/=?^_`{|}~-.".contains(c);
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    let good = address.len() <= MAX_EMAIL
        && address.rsplit_once('@').is_some_and(|(name, domain)| {
            (1..=64).contains(&name.len())
                && name.chars().all(local)
                && !name.starts_with('.')
                && !name.ends_with('.')
                && !name.contains("..")
                && domain.split('.').all(label)
        });
    errors.check(good, "/email", "must be a mail address such as ada@example.com");
}

/// Registers a customer.
pub async fn register(
    State(http): State<Http>,
    caller: Staff<scope::OrdersWrite>,
    _: NoQuery,
    request: RequestContext,
    key: IdempotencyKey,
    body: Body<NewCustomer>,
) -> Result<Answer, Problem> {
    http.admit()?;
    let key = key.of(&caller, &body.raw);
    let mut tx = http.database.begin(context(&request)).await?;
    let registered = register_in(&mut tx, key.as_ref(), body.value, request.request_id).await;
    tx.end(registered).await
}

async fn register_in(
    tx: &mut Tx,
    key: Option<&Key>,
    NewCustomer { name, email }: NewCustomer,
    correlation_id: String,
) -> Result<Answer, Problem> {
    if let Claim::Replay(answer) = claim(tx, key).await? {
        return Ok(answer);
    }
    let mut head = Head::NONE;
    let id = CustomerId::new();
    let event = CustomerRegistered { customer_id: id, name: name.clone(), email: email.clone() };
    tx.publish(&mut head, &event).await.map_err(publish_problem)?;
    let customer = Customer { id, name, email, version: head.sequence, created_at: head.time, updated_at: head.time };
    store::customer::insert(tx, &customer).await.map_err(taken)?;
    let answer = Answer::json(StatusCode::CREATED, &CustomerView::of(&customer, &[]))
        .with_location(format!("/v1/customers/{id}"))
        .with_etag(customer.version);
    keep(tx, key, &answer).await?;
    let event = CustomerRegistered::TYPE;
    tx.on_commit(move || info!(customer_id = %id, correlation_id, event, "customer registered"));
    Ok(answer)
}

/// Shows a customer.
pub async fn show(
    State(http): State<Http>,
    caller: Authorized<scope::OrdersRead>,
    Path(id): Path<CustomerId>,
    _: NoQuery,
) -> Result<impl IntoResponse, Problem> {
    visible(&caller, id)?;
    let mut conn = http.database.pool().acquire().await?;
    let customer = store::customer::find(&mut conn, id).await?.ok_or_else(unknown)?;
    let totals = store::total::of_customer(&mut conn, id).await?;
    Ok((headers(&customer), Json(CustomerView::of(&customer, &totals))))
}

/// Changes a customer's name or address.
pub async fn change(
    State(http): State<Http>,
    caller: Authorized<scope::OrdersWrite>,
    Path(id): Path<CustomerId>,
    _: NoQuery,
    request: RequestContext,
    if_match: IfMatch,
    body: Body<CustomerChange>,
) -> Result<impl IntoResponse, Problem> {
    visible(&caller, id)?;
    http.admit()?;
    let mut tx = http.database.begin(context(&request)).await?;
    let mut customer = store::customer::lock(&mut tx, id).await?.ok_or_else(unknown)?;
    if_match.check(Some(customer.version))?;
    let CustomerChange { name, email } = body.value;
    let changed = (name.unwrap_or_else(|| customer.name.clone()), email.unwrap_or_else(|| customer.email.clone()));
    let totals = store::total::of_customer(&mut tx, id).await?;
    if changed != (customer.name.clone(), customer.email.clone()) {
        (customer.name, customer.email) = changed;
        let mut head = customer.head();
        let event = CustomerChanged { customer_id: id, name: customer.name.clone(), email: customer.email.clone() };
        tx.publish(&mut head, &event).await.map_err(publish_problem)?;
        (customer.version, customer.updated_at) = (head.sequence, head.time);
        store::customer::update(&mut tx, &customer).await.map_err(taken)?;
        tx.commit().await?;
        let event = CustomerChanged::TYPE;
        info!(customer_id = %id, correlation_id = request.request_id, event, "customer changed");
    }
    Ok((headers(&customer), Json(CustomerView::of(&customer, &totals))))
}

fn headers(customer: &Customer) -> HeaderMap {
    HeaderMap::from_iter([(header::ETAG, etag(customer.version))])
}

/// To a customer, others do not exist.
fn visible(caller: &service_kit::http::auth::Caller, id: CustomerId) -> Result<(), Problem> {
    if caller.may_see(id.0) { Ok(()) } else { Err(unknown()) }
}

fn unknown() -> Problem {
    Problem::not_found("There is no such customer.")
}

fn taken(error: sqlx::Error) -> Problem {
    match error.as_database_error().and_then(sqlx::error::DatabaseError::constraint) {
        Some(EMAIL_TAKEN) => Problem::new(
            StatusCode::CONFLICT,
            "email-taken",
            "Address taken",
            "Another customer has this mail address.",
        ),
        _ => error.into(),
    }
}

fn publish_problem(error: PublishError) -> Problem {
    match error {
        PublishError::Database(error) => error.into(),
        PublishError::TooLarge(_) | PublishError::NotJson(_) => Problem::internal(),
    }
}
