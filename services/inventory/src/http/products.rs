//! `/v1/products`: what is sold.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::{ETAG, LOCATION};
use axum::response::{IntoResponse, Response};
use contracts::money::{Currency, Money};
use contracts::values::Sku;
use messaging::tx::{Database, Tx};
use serde::{Deserialize, Serialize};
use service_kit::http::auth::{Authorized, Staff, scope};
use service_kit::http::context::RequestContext;
use service_kit::http::extract::{Body, Errors, IfMatch, NoQuery, Path, Query, Validate, etag};
use service_kit::http::page::{Cursor, Page};
use service_kit::http::problem::Problem;
use tracing::info;

use super::stock::StockView;
use super::{Paging, admit, context, no_such_product, unpublished};
use crate::product::{Change, Definition, Product};
use crate::store;

/// The most characters of a product's name.
const MAX_NAME: usize = 200;

/// Names the list in its cursors.
const LIST: &str = "products";

/// A product as callers see it.
#[derive(Debug, Serialize)]
pub(super) struct ProductView {
    sku: Sku,
    name: String,
    unit_price: Money,
    active: bool,
    low_stock_threshold: Option<i64>,
    version: i64,
    stock: StockView,
}

impl From<Product> for ProductView {
    fn from(product: Product) -> Self {
        let Definition { name, unit_price, active, low_stock_threshold } = product.definition;
        let stock = product.stock.into();
        Self { sku: product.sku, name, unit_price, active, low_stock_threshold, version: product.version, stock }
    }
}

/// The body of `PUT`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PutProduct {
    name: String,
    unit_price: Price,
    active: bool,
    #[serde(default)]
    low_stock_threshold: Option<i64>,
}

/// Money as it comes from outside, where nothing unknown may stand beside it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Price {
    amount: i64,
    currency: Currency,
}

impl Validate for PutProduct {
    fn validate(&self, errors: &mut Errors) {
        errors.text("/name", &self.name, 1, MAX_NAME);
        errors.check(self.unit_price.amount >= 0, "/unit_price/amount", "must not be below 0");
        errors.check(self.low_stock_threshold.is_none_or(|t| t >= 0), "/low_stock_threshold", "must not be below 0");
    }
}

impl PutProduct {
    fn definition(self) -> Result<Definition, Problem> {
        let unit_price = Money::new(self.unit_price.amount, self.unit_price.currency)
            .map_err(|negative| Problem::invalid_body([]).with_error("/unit_price/amount", negative.to_string()))?;
        let PutProduct { name, active, low_stock_threshold, .. } = self;
        Ok(Definition { name, unit_price, active, low_stock_threshold })
    }
}

/// `GET /v1/products`: all products, by sku.
pub(super) async fn list(
    State(database): State<Database>,
    _caller: Authorized<scope::InventoryRead>,
    Query(Paging { limit, cursor }): Query<Paging>,
) -> Result<Json<Page<ProductView>>, Problem> {
    let after: Option<Sku> = cursor.map(|cursor: Cursor| cursor.open(LIST)).transpose()?;
    let mut conn = database.pool().acquire().await?;
    let products = store::product::page(&mut conn, after.as_ref(), limit.probe()).await?;
    Ok(Json(Page::new(products, limit, LIST, |product| product.sku.clone(), ProductView::from)))
}

/// `GET /v1/products/{sku}`
pub(super) async fn show(
    State(database): State<Database>,
    _caller: Authorized<scope::InventoryRead>,
    Path(sku): Path<Sku>,
    _: NoQuery,
) -> Result<Response, Problem> {
    let mut conn = database.pool().acquire().await?;
    let product = store::product::find(&mut conn, &sku).await?.ok_or_else(no_such_product)?;
    Ok(answer(StatusCode::OK, product))
}

/// `PUT /v1/products/{sku}`: makes the product, or defines it anew. The same again changes nothing.
pub(super) async fn put(
    State(database): State<Database>,
    _caller: Staff<scope::InventoryWrite>,
    Path(sku): Path<Sku>,
    _: NoQuery,
    if_match: IfMatch,
    request: RequestContext,
    Body { value, .. }: Body<PutProduct>,
) -> Result<Response, Problem> {
    admit(&database)?;
    let definition = value.definition()?;
    loop {
        let tx = database.begin(context(&request)).await?;
        if let Some(response) = save(tx, &sku, &definition, &if_match).await? {
            return Ok(response);
        }
        // Another request made the product at the same moment. Products are never deleted, so it is there next time.
    }
}

/// Saves a definition; `None`, and nothing has changed, where another transaction made the product first.
async fn save(mut tx: Tx, sku: &Sku, definition: &Definition, if_match: &IfMatch) -> Result<Option<Response>, Problem> {
    store::lock::products(&mut tx, &[], &[sku]).await?;
    let known = store::product::find(&mut tx, sku).await?;
    if_match.check(known.as_ref().map(|product| product.version))?;
    let Some(mut product) = known else {
        let mut product = Product::new(sku.clone(), definition.clone());
        announce(&mut tx, &mut product).await?;
        if !store::product::insert(&mut tx, &product).await? {
            return Ok(None);
        }
        tx.commit().await?;
        info!(%sku, "product made");
        return Ok(Some(answer(StatusCode::CREATED, product)));
    };
    let change = product.redefine(definition.clone());
    if change == Change::Public {
        announce(&mut tx, &mut product).await?;
    }
    if change != Change::None {
        store::product::update(&mut tx, &product).await?;
        tx.commit().await?;
        info!(%sku, version = product.version, "product changed");
    }
    Ok(Some(answer(StatusCode::OK, product)))
}

async fn announce(tx: &mut Tx, product: &mut Product) -> Result<(), Problem> {
    let event = product.changed();
    tx.publish(&mut product.head, &event).await.map_err(unpublished)?;
    Ok(())
}

fn answer(status: StatusCode, product: Product) -> Response {
    let location = (status == StatusCode::CREATED).then(|| [(LOCATION, format!("/v1/products/{}", product.sku))]);
    let tag = [(ETAG, etag(product.version))];
    (status, tag, location, Json(ProductView::from(product))).into_response()
}
