//! An order service without its broker: a database of its own, its routes, its handlers.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, Request, Response, StatusCode};
use chrono::Utc;
use contracts::event::Service;
use contracts::inventory::{InventoryRejected, InventoryReserved, ProductChanged, Shortage};
use contracts::money::{Currency, Money};
use contracts::values::OrderId;
use messaging::harness::{Harness, TestDatabase};
use messaging::metrics::Metrics;
use messaging::tx::Database;
use messaging::{follower, relay};
use order::desk::Desk;
use order::history::{Point, fold};
use order::http::{Http, routes};
use order::live::Live;
use order::order::Order;
use order::payment::PaymentProvider;
use order::payment::sandbox::Sandbox;
use order::payment::till::Till;
use order::workers::payments::Payments;
use order::{MIGRATIONS, handlers, store};
use serde_json::{Value, json};
use service_kit::health::Health;
use service_kit::http::auth::Authenticator;
use service_kit::http::{Plumbing, finish};
use sqlx::PgPool;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

use crate::provider::Provider;

const SECRET: &[u8] = b"a secret of the tests, long enough";

/// What webhooks are signed with.
pub(crate) const WEBHOOK_SECRET: &str = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD";

/// How long an order waits for its payment.
pub(crate) const PAYMENT_TIMEOUT: Duration = Duration::from_mins(15);

const ALL_SCOPES: &str = "orders:read orders:write inventory:read inventory:write emails:read ops";

/// The service under test.
pub(crate) struct Shop {
    pub(crate) database: Database,
    pub(crate) harness: Harness,
    pub(crate) router: Router,
    pub(crate) payments: Arc<Payments<Provider>>,
    pub(crate) provider: Arc<Provider>,
    pub(crate) shutdown: CancellationToken,
    changes: i64,
    /// Dropped last, with the database.
    _test_database: TestDatabase,
}

impl Shop {
    /// A shop that sells `tea` at 2.50 and `cup` at 5.00.
    pub(crate) async fn open() -> Self {
        let test_database = TestDatabase::create(&MIGRATIONS).await;
        let database = test_database.database(Service::Order);
        let (till, shutdown) = (Till::default(), CancellationToken::new());
        let provider = Arc::new(Provider::new(Sandbox::new(database.pool().clone())));
        let metrics = Metrics::register(&mut Default::default());
        let payments = Payments::new(database.clone(), Arc::clone(&provider), till.clone(), &metrics);
        let harness = Harness::new().with("order", handlers::subscriptions(&till), database.clone());
        let router = router(&database, Arc::clone(till.intents()), &shutdown);
        let mut shop =
            Self { database, harness, router, payments, provider, shutdown, changes: 0, _test_database: test_database };
        shop.product("tea", 250, true).await;
        shop.product("cup", 500, true).await;
        shop
    }

    /// The routes of another copy of the service, on the same database.
    pub(crate) fn copy(&self) -> Router {
        router(&self.database, Arc::new(Notify::new()), &self.shutdown)
    }

    pub(crate) fn pool(&self) -> &PgPool {
        self.database.pool()
    }

    pub(crate) async fn product(&mut self, sku: &str, cents: i64, active: bool) {
        let unit_price = Money::new(cents, Currency::EUR).unwrap();
        let product = ProductChanged { sku: sku.parse().unwrap(), name: sku.to_uppercase(), unit_price, active };
        self.changes += 1;
        self.harness.publish_nth(Service::Inventory, &product, self.changes);
        self.harness.settle().await;
    }

    pub(crate) async fn call(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: Option<Value>,
    ) -> (StatusCode, Value) {
        let (status, _, body) = self.call_raw(method, path, headers, body).await;
        (status, body)
    }

    pub(crate) async fn call_raw(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: Option<Value>,
    ) -> (StatusCode, HeaderMap, Value) {
        let (parts, body) = send(&self.router, method, path, headers, body).await.into_parts();
        let bytes = axum::body::to_bytes(body, usize::MAX).await.unwrap();
        (parts.status, parts.headers, serde_json::from_slice(&bytes).unwrap_or(Value::Null))
    }

    pub(crate) async fn get(&self, path: &str) -> Value {
        let (status, body) = self.call("GET", path, &[], None).await;
        assert_eq!(status, StatusCode::OK, "{path}: {body}");
        body
    }

    pub(crate) async fn customer(&self, email: &str) -> String {
        let (status, body) =
            self.call("POST", "/v1/customers", &[], Some(json!({"name": "Ada", "email": email}))).await;
        assert_eq!(status, StatusCode::CREATED, "{body}");
        body["id"].as_str().unwrap().to_owned()
    }

    /// Two tea and a cup, 10.00.
    pub(crate) async fn place(&self, customer: &str, method: &str) -> OrderId {
        let lines = json!([{"sku": "tea", "quantity": 2}, {"sku": "cup", "quantity": 1}]);
        let body = json!({"customer_id": customer, "lines": lines, "payment_method": method});
        let (status, body) = self.call("POST", "/v1/orders", &[], Some(body)).await;
        assert_eq!(status, StatusCode::CREATED, "{body}");
        body["id"].as_str().unwrap().parse().unwrap()
    }

    /// An order of a customer of its own, whose stock is held.
    pub(crate) async fn reserved_order(&mut self, method: &str) -> OrderId {
        let customer = self.customer(&format!("{}@example.com", OrderId::new().0.simple())).await;
        let id = self.place(&customer, method).await;
        self.reserved(id).await;
        id
    }

    pub(crate) async fn reserved(&mut self, order_id: OrderId) {
        self.harness.publish(Service::Inventory, &InventoryReserved { order_id });
        self.harness.settle().await;
    }

    pub(crate) async fn rejected(&mut self, order_id: OrderId) {
        let short = vec![Shortage { sku: "tea".parse().unwrap(), requested: 2.try_into().unwrap(), available: 1 }];
        self.harness.publish(Service::Inventory, &InventoryRejected { order_id, short });
        self.harness.settle().await;
    }

    pub(crate) async fn cancel(&self, id: OrderId) {
        let (status, body) = self.call("POST", &format!("/v1/orders/{id}/cancel"), &[], None).await;
        assert_eq!(status, StatusCode::ACCEPTED, "{body}");
    }

    pub(crate) async fn order(&self, id: OrderId) -> Order {
        let mut conn = self.pool().acquire().await.unwrap();
        store::order::find(&mut conn, id).await.unwrap().expect("the order exists")
    }

    /// The types of the order's events; checks on the way that the history adds up to the row.
    pub(crate) async fn history(&self, id: OrderId) -> Vec<String> {
        let mut conn = self.pool().acquire().await.unwrap();
        let events = messaging::event_log::history(&mut conn, &id.to_string()).await.unwrap();
        drop(conn);
        let order = self.order(id).await;
        let folded = fold(&events, &order, Point::Version(i64::MAX)).unwrap();
        assert_eq!(folded.as_ref(), Some(&order), "the history adds up to the row");
        for (index, event) in events.iter().enumerate() {
            assert_eq!(event.sequence, index as i64 + 1);
        }
        events.into_iter().map(|event| event.event_type).collect()
    }

    /// The states of the order's payments, sorted.
    pub(crate) async fn payment_states(&self, id: OrderId) -> Vec<String> {
        let states = sqlx::query_scalar("select state from payment where order_id = $1 order by state").bind(id.0);
        states.fetch_all(self.pool()).await.unwrap()
    }

    /// Runs one statement that a test needs, and says how many rows that was about.
    pub(crate) async fn execute(&self, statement: &'static str) -> u64 {
        sqlx::query(statement).execute(self.pool()).await.unwrap().rows_affected()
    }

    /// Counts by a statement.
    pub(crate) async fn count(&self, statement: &'static str) -> i64 {
        sqlx::query_scalar(statement).fetch_one(self.pool()).await.unwrap()
    }

    /// Charges and refunds until `done`.
    pub(crate) async fn pay_until<F: AsyncFn(&Self) -> bool>(&self, done: F) {
        eventually(async || {
            self.payments.step().await.unwrap();
            done(self).await
        })
        .await;
    }

    /// What the relay does, without a broker: everything up to now counts as published.
    pub(crate) async fn publish_all(&self) {
        let mut conn = self.pool().acquire().await.unwrap();
        let mut checkpoint = follower::load(&mut conn, relay::NAME, "order").await.unwrap();
        loop {
            let page = follower::read(&mut conn, &checkpoint).await.unwrap();
            let full = page.is_full();
            checkpoint = page.after;
            if !full {
                break;
            }
        }
        follower::save(&mut conn, relay::NAME, &checkpoint).await.unwrap();
    }
}

/// The routes of a copy of the service, and what stands behind them.
fn router(database: &Database, intents: Arc<Notify>, shutdown: &CancellationToken) -> Router {
    let (desk, clerks) = Desk::open(database.clone());
    tokio::spawn(clerks);
    let live = Live::default();
    tokio::spawn(live.clone().run(database.pool().clone(), shutdown.clone()));
    let http = Http {
        database: database.clone(),
        desk,
        intents,
        live,
        shutdown: shutdown.clone(),
        webhook_secrets: Some(WEBHOOK_SECRET.parse().unwrap()),
        payment_methods: Sandbox::new(database.pool().clone()).methods(),
        payment_timeout: PAYMENT_TIMEOUT,
    };
    let auth = Authenticator::hs256(SECRET, None, None);
    finish(routes(http), Plumbing { auth, health: Health::new(), metrics: service_kit::metrics::Metrics::new() })
}

/// A request: by somebody who may do everything, unless `headers` say otherwise.
pub(crate) async fn send(
    router: &Router,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: Option<Value>,
) -> Response<Body> {
    let mut request = Request::builder().method(method).uri(path);
    for (name, value) in headers.iter().filter(|(_, value)| !value.is_empty()) {
        request = request.header(*name, *value);
    }
    if !headers.iter().any(|(name, _)| *name == "authorization") {
        request = request.header("authorization", bearer(ALL_SCOPES, None));
    }
    let request = match body {
        Some(body) => request.header("content-type", "application/json").body(Body::from(body.to_string())),
        None => request.body(Body::empty()),
    };
    router.clone().oneshot(request.unwrap()).await.unwrap()
}

/// An `authorization` of somebody with these scopes: of the staff, or a customer's own.
pub(crate) fn bearer(scope: &str, customer: Option<&str>) -> String {
    let mut claims = json!({"sub": "tests", "scope": scope, "exp": Utc::now().timestamp() + 600});
    if let Some(customer) = customer {
        claims["customer_id"] = json!(customer);
    }
    let key = jsonwebtoken::EncodingKey::from_secret(SECRET);
    format!("Bearer {}", jsonwebtoken::encode(&jsonwebtoken::Header::default(), &claims, &key).unwrap())
}

/// A customer's own token, with all scopes.
pub(crate) fn own_token(customer: &str) -> String {
    bearer(ALL_SCOPES, Some(customer))
}

/// Waits until `done`.
pub(crate) async fn eventually<F: AsyncFnMut() -> bool>(mut done: F) {
    let deadline = Instant::now() + Duration::from_secs(30);
    while !done().await {
        assert!(Instant::now() < deadline, "it never came to that");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
