//! What the tests share: a database, events as they arrive, and a caller.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU32, Ordering};

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, Method, Request, StatusCode};
use chrono::Utc;
use contracts::event::Service;
use contracts::money::{Currency, Money};
use contracts::order::{CancelReason, ConfirmedLine, CreatedLine, OrderCancelled, OrderConfirmed, OrderCreated};
use contracts::values::{CustomerId, EventId, OrderId, Sku};
use http_body_util::BodyExt;
use inventory::handlers::{CommitStock, HoldStock, OrdersThenProducts, ReleaseStock};
use messaging::context::Context;
use messaging::handler::{Handler, HandlerError, Key, Locker, Received};
use messaging::harness::TestDatabase;
use messaging::tx::{Database, Tx};
use serde_json::{Value, json};
use service_kit::health::Health;
use service_kit::http::auth::Authenticator;
use service_kit::http::{Plumbing, finish};
use service_kit::metrics::Metrics;
use sqlx::{PgPool, Row};
use uuid::Uuid;

const SECRET: &[u8] = b"a secret of the tests, long enough";

/// A service with a database of its own.
pub(crate) struct Shop {
    pub(crate) database: Database,
    pub(crate) router: Router,
    /// Dropped last, with the database.
    _test_database: TestDatabase,
}

impl Shop {
    pub(crate) async fn open() -> Self {
        Self::with_outbox(100_000).await
    }

    /// With a limit of unpublished events.
    pub(crate) async fn with_outbox(max: u64) -> Self {
        let test_database = TestDatabase::create(&inventory::MIGRATIONS).await;
        let database = Database::new(test_database.pool().clone(), Service::Inventory, max);
        let auth = Authenticator::hs256(SECRET, None, None);
        let plumbing = Plumbing { auth, health: Health::new(), metrics: Metrics::new() };
        let router = finish(inventory::http::routes(database.clone()), plumbing);
        Self { database, router, _test_database: test_database }
    }

    pub(crate) fn pool(&self) -> &PgPool {
        self.database.pool()
    }

    /// Ends the test: checks what must hold at any time.
    pub(crate) async fn close(self) {
        self.check().await;
    }

    /// Never oversold, the ledger is the stock, what is reserved is held, and events are numbered without a gap.
    pub(crate) async fn check(&self) {
        for (promise, query) in [
            ("oversold", "select sku from product where on_hand < reserved or reserved < 0"),
            (
                "the ledger is not the stock",
                "select p.sku from product p left join movement m using (sku) group by p.sku
                 having coalesce(sum(on_hand_delta), 0) <> p.on_hand or coalesce(sum(reserved_delta), 0) <> p.reserved",
            ),
            (
                "reserved is not held",
                "select p.sku from product p
                 left join (select l.sku, sum(l.quantity) as held
                            from reservation r, json_to_recordset(r.lines) as l (sku text, quantity bigint)
                            where r.state = 'held' group by l.sku) h on h.sku = p.sku
                 where p.reserved <> coalesce(h.held, 0)",
            ),
            (
                "a gap in a subject's events",
                "select subject from event group by subject having count(*) <> max(sequence) or min(sequence) <> 1",
            ),
        ] {
            let broken: Vec<String> = sqlx::query_scalar(query).fetch_all(self.pool()).await.expect("a check");
            assert!(broken.is_empty(), "{promise}: {broken:?}");
        }
    }

    /// Puts a product there, with so many on hand.
    pub(crate) async fn stock(&self, sku: &str, on_hand: i64, threshold: Option<i64>) {
        let body = json!({"name": "Tea", "unit_price": {"amount": 499, "currency": "EUR"}, "active": true,
            "low_stock_threshold": threshold});
        let put = self.put(&format!("/v1/products/{sku}"), body).await;
        assert_eq!(put.status, StatusCode::CREATED, "{}", put.body);
        if on_hand != 0 {
            let added =
                self.post(&format!("/v1/products/{sku}/stock"), json!({"delta": on_hand, "reason": "start"})).await;
            assert_eq!(added.status, StatusCode::OK, "{}", added.body);
        }
    }

    /// `(on_hand, reserved)`
    pub(crate) async fn stock_of(&self, sku: &str) -> (i64, i64) {
        let row = sqlx::query("select on_hand, reserved from product where sku = $1").bind(sku);
        let row = row.fetch_one(self.pool()).await.unwrap();
        (row.get(0), row.get(1))
    }

    /// The state of an order's reservation, as it is stored.
    pub(crate) async fn state_of(&self, order: OrderId) -> Option<String> {
        let state = sqlx::query_scalar("select state from reservation where order_id = $1").bind(order.0);
        state.fetch_optional(self.pool()).await.unwrap()
    }

    /// The events of a subject, by type and data, oldest first.
    pub(crate) async fn events_of(&self, subject: impl ToString) -> Vec<(String, Value)> {
        let query = "select type, data::text from event where subject = $1 order by sequence";
        let rows = sqlx::query(query).bind(subject.to_string()).fetch_all(self.pool()).await.unwrap();
        rows.iter().map(|row| (row.get(0), serde_json::from_str(row.get(1)).unwrap())).collect()
    }

    /// The types of a subject's events.
    pub(crate) async fn types_of(&self, subject: impl ToString) -> Vec<String> {
        self.events_of(subject).await.into_iter().map(|(name, _)| name).collect()
    }

    /// Handles a batch as the subscriber does: locks, then type by type, then one commit.
    pub(crate) async fn handle(&self, batch: &Batch) -> Result<(), HandlerError> {
        let mut tx = self.database.begin(nobody()).await?;
        let mut keys: BTreeSet<Key> = BTreeSet::new();
        keys.extend(batch.created.iter().flat_map(|event| HoldStock.keys(event)));
        keys.extend(batch.confirmed.iter().flat_map(|event| CommitStock.keys(event)));
        keys.extend(batch.cancelled.iter().flat_map(|event| ReleaseStock.keys(event)));
        OrdersThenProducts.lock(&mut tx, &Vec::from_iter(keys)).await?;
        run(&mut tx, &HoldStock, &batch.created).await?;
        run(&mut tx, &CommitStock, &batch.confirmed).await?;
        run(&mut tx, &ReleaseStock, &batch.cancelled).await?;
        Ok(tx.commit().await?)
    }

    pub(crate) async fn created(&self, order: OrderId, lines: &[(&str, i64)]) {
        self.handle(&Batch::default().created(order, lines)).await.expect("handled");
    }

    pub(crate) async fn confirmed(&self, order: OrderId) {
        self.handle(&Batch::default().confirmed(order)).await.expect("handled");
    }

    pub(crate) async fn cancelled(&self, order: OrderId) {
        self.handle(&Batch::default().cancelled(order)).await.expect("handled");
    }

    /// A request by a person who may do everything.
    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.send(Call::new(Method::GET, path)).await
    }

    pub(crate) async fn put(&self, path: &str, body: Value) -> Answer {
        self.send(Call::new(Method::PUT, path).json(body)).await
    }

    pub(crate) async fn post(&self, path: &str, body: Value) -> Answer {
        self.send(Call::new(Method::POST, path).json(body)).await
    }

    pub(crate) async fn send(&self, call: Call) -> Answer {
        use tower::ServiceExt;
        let response = self.router.clone().oneshot(call.0).await.expect("infallible");
        let (status, headers) = (response.status(), response.headers().clone());
        let bytes = response.into_body().collect().await.expect("a body").to_bytes();
        Answer { status, headers, body: serde_json::from_slice(&bytes).unwrap_or(Value::Null) }
    }
}

async fn run<E: contracts::event::Event>(
    tx: &mut Tx,
    handler: &impl Handler<E>,
    events: &[Received<E>],
) -> Result<(), HandlerError> {
    if events.is_empty() { Ok(()) } else { handler.handle_batch(tx, events).await }
}

fn nobody() -> Context {
    Context { correlation_id: String::new(), causation_id: None, traceparent: None }
}

/// Events that arrived together.
#[derive(Default)]
pub(crate) struct Batch {
    pub(crate) created: Vec<Received<OrderCreated>>,
    pub(crate) confirmed: Vec<Received<OrderConfirmed>>,
    pub(crate) cancelled: Vec<Received<OrderCancelled>>,
}

impl Batch {
    pub(crate) fn created(mut self, order_id: OrderId, lines: &[(&str, i64)]) -> Self {
        let unit_price = Money::new(499, Currency::EUR).unwrap();
        let line = |&(sku, quantity): &(&str, i64)| CreatedLine {
            sku: sku.parse::<Sku>().unwrap(),
            quantity: quantity.try_into().unwrap(),
            unit_price,
        };
        self.created.push(received(OrderCreated {
            order_id,
            customer_id: CustomerId::new(),
            lines: lines.iter().map(line).collect(),
            total: unit_price,
            payment_method: "sandbox:ok".to_owned(),
            created_at: Utc::now(),
        }));
        self
    }

    pub(crate) fn confirmed(mut self, order_id: OrderId) -> Self {
        let (customer_id, lines) = (CustomerId::new(), Vec::<ConfirmedLine>::new());
        let total = Money::zero(Currency::EUR);
        self.confirmed.push(received(OrderConfirmed { order_id, customer_id, lines, total }));
        self
    }

    pub(crate) fn cancelled(mut self, order_id: OrderId) -> Self {
        let reason = CancelReason::Requested;
        self.cancelled.push(received(OrderCancelled { order_id, customer_id: Some(CustomerId::new()), reason }));
        self
    }
}

fn received<E>(event: E) -> Received<E> {
    static SEQUENCE: AtomicU32 = AtomicU32::new(1);
    let id = EventId::new();
    let context =
        Context { correlation_id: format!("request of {id}"), causation_id: Some(id.to_string()), traceparent: None };
    let sequence = SEQUENCE.fetch_add(1, Ordering::Relaxed).into();
    Received { id, sequence, time: Utc::now(), context, event }
}

/// A request.
pub(crate) struct Call(Request<Body>);

impl Call {
    pub(crate) fn new(method: Method, path: &str) -> Self {
        let request = Request::builder().method(method).uri(path).header("authorization", bearer(ALL_SCOPES, None));
        Self(request.body(Body::empty()).unwrap())
    }

    pub(crate) fn json(mut self, body: Value) -> Self {
        *self.0.body_mut() = Body::from(body.to_string());
        self.header("content-type", "application/json")
    }

    pub(crate) fn header(mut self, name: &'static str, value: &str) -> Self {
        self.0.headers_mut().insert(name, value.parse().unwrap());
        self
    }

    pub(crate) fn scope(self, scope: &str) -> Self {
        self.header("authorization", &bearer(scope, None))
    }

    pub(crate) fn customer(self) -> Self {
        self.header("authorization", &bearer(ALL_SCOPES, Some(Uuid::now_v7())))
    }

    pub(crate) fn anonymous(mut self) -> Self {
        self.0.headers_mut().remove("authorization");
        self
    }
}

const ALL_SCOPES: &str = "orders:read orders:write inventory:read inventory:write emails:read ops";

fn bearer(scope: &str, customer: Option<Uuid>) -> String {
    let mut claims = json!({"sub": "tests", "scope": scope, "exp": Utc::now().timestamp() + 600});
    if let Some(customer) = customer {
        claims["customer_id"] = json!(customer);
    }
    let key = jsonwebtoken::EncodingKey::from_secret(SECRET);
    format!("Bearer {}", jsonwebtoken::encode(&jsonwebtoken::Header::default(), &claims, &key).unwrap())
}

/// An answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Value,
}

impl Answer {
    /// Checks that it is a problem of that kind.
    #[track_caller]
    pub(crate) fn is_problem(&self, status: u16, kind: &str) {
        assert_eq!(self.status.as_u16(), status, "{}", self.body);
        assert_eq!(self.body["type"], format!("/problems/{kind}"), "{}", self.body);
        assert_eq!(self.headers["content-type"], "application/problem+json");
    }

    /// The pointers of a problem's errors.
    pub(crate) fn pointers(&self) -> Vec<&str> {
        self.body["errors"].as_array().into_iter().flatten().filter_map(|error| error["pointer"].as_str()).collect()
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }
}
