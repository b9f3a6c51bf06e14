//! `/v1/products/{sku}/stock`: how much there is, and its adjustment by hand.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use contracts::values::Sku;
use messaging::tx::{Database, Tx};
use serde::{Deserialize, Serialize};
use service_kit::http::auth::{Authorized, Staff, scope};
use service_kit::http::context::RequestContext;
use service_kit::http::extract::{Body, Errors, NoQuery, Path, Validate};
use service_kit::http::idempotency::{Answer, Claim, IdempotencyKey, Key, claim, keep};
use service_kit::http::problem::Problem;
use tracing::info;

use super::{admit, context, no_such_product, unpublished};
use crate::stock::Stock;
use crate::{stockroom, store};

/// The most that one adjustment moves: more is a slip of the finger.
const MAX_DELTA: i64 = 1_000_000_000;

/// The most characters of a reason.
const MAX_REASON: usize = 200;

/// Stock as callers see it.
#[derive(Debug, Clone, Copy, Serialize)]
pub(super) struct StockView {
    on_hand: i64,
    reserved: i64,
    available: i64,
}

impl From<Stock> for StockView {
    fn from(stock: Stock) -> Self {
        Self { on_hand: stock.on_hand, reserved: stock.reserved, available: stock.available() }
    }
}

/// The body of `POST`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Adjustment {
    delta: i64,
    reason: String,
}

impl Validate for Adjustment {
    fn validate(&self, errors: &mut Errors) {
        let in_range = self.delta != 0 && (-MAX_DELTA..=MAX_DELTA).contains(&self.delta);
        errors.check(in_range, "/delta", format!("must not be 0, and be within -{MAX_DELTA} to {MAX_DELTA}"));
        errors.text("/reason", &self.reason, 1, MAX_REASON);
    }
}

/// `GET /v1/products/{sku}/stock`
pub(super) async fn show(
    State(database): State<Database>,
    _caller: Authorized<scope::InventoryRead>,
    Path(sku): Path<Sku>,
    _: NoQuery,
) -> Result<Json<StockView>, Problem> {
    let mut conn = database.pool().acquire().await?;
    let product = store::product::find(&mut conn, &sku).await?.ok_or_else(no_such_product)?;
    Ok(Json(product.stock.into()))
}

/// `POST /v1/products/{sku}/stock`: what came, went or was counted.
pub(super) async fn adjust(
    State(database): State<Database>,
    caller: Staff<scope::InventoryWrite>,
    Path(sku): Path<Sku>,
    _: NoQuery,
    key: IdempotencyKey,
    request: RequestContext,
    Body { value, raw }: Body<Adjustment>,
) -> Result<Answer, Problem> {
    admit(&database)?;
    let key = key.of(&caller, &raw);
    let mut tx = database.begin(context(&request)).await?;
    let adjusted = adjust_in(&mut tx, key.as_ref(), sku, value).await;
    tx.end(adjusted).await
}

async fn adjust_in(
    tx: &mut Tx,
    key: Option<&Key>,
    sku: Sku,
    Adjustment { delta, reason }: Adjustment,
) -> Result<Answer, Problem> {
    if let Claim::Replay(answer) = claim(tx, key).await? {
        return Ok(answer);
    }
    store::lock::products(tx, &[], &[&sku]).await?;
    let mut shelf = stockroom::take(tx, &[&sku]).await?;
    let before = shelf.get(&sku).ok_or_else(no_such_product)?.stock;
    check_total(before, delta)?;
    let low = shelf.adjust(&sku, delta, reason).ok_or_else(|| insufficient(before))?;
    stockroom::publish_low(tx, &mut shelf, low).await.map_err(unpublished)?;
    stockroom::put_back(tx, &shelf).await?;
    let stock = shelf.get(&sku).map_or(before, |item| item.stock);
    let answer = Answer::json(StatusCode::OK, &StockView::from(stock));
    keep(tx, key, &answer).await?;
    tx.on_commit(move || info!(%sku, delta, on_hand = stock.on_hand, "stock adjusted"));
    Ok(answer)
}

/// 422 where the stock would become a number that not every reader of the answer keeps exact.
fn check_total(before: Stock, delta: i64) -> Result<(), Problem> {
    if delta > 0 && before.on_hand.saturating_add(delta) > Stock::MAX_ON_HAND {
        let mut errors = Errors::default();
        errors.push("/delta", format!("the stock must not exceed {}", Stock::MAX_ON_HAND));
        errors.into_result()?;
    }
    Ok(())
}

fn insufficient(before: Stock) -> Problem {
    Problem::new(
        StatusCode::CONFLICT,
        "insufficient-stock",
        "There is not enough stock",
        format!("Only {} are available.", before.available()),
    )
}
