//! All routes that need a token, each with a right request.

use end_to_end::shop::{Customer, order_of, product, text};
use end_to_end::system::System;
use reqwest::Method;
use serde_json::{Value, json};

/// What a customer's own token is answered, where somebody of the staff would succeed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ForCustomers {
    /// It concerns another customer: 404.
    Hidden,
    /// Not for customers at all: 403.
    Forbidden,
    /// What it may do, or a list that is filtered to it.
    Allowed,
}

/// A route with a request that the staff may send.
#[derive(Debug, Clone)]
pub(crate) struct Route {
    pub(crate) service: &'static str,
    pub(crate) method: Method,
    pub(crate) path: String,
    pub(crate) scope: &'static str,
    pub(crate) customers: ForCustomers,
    /// The body, and the pointers of the fields that may be left out.
    pub(crate) body: Option<(Value, &'static [&'static str])>,
    /// The same route with something in place of its id that cannot be one.
    pub(crate) bad_path: Option<String>,
    /// The same route for something that does not exist.
    pub(crate) unknown: Option<String>,
}

/// What the routes are about: a customer, an order, a mail.
#[derive(Debug)]
pub(crate) struct Things {
    pub(crate) customer: Customer,
    pub(crate) other: Customer,
    pub(crate) order_id: String,
    email_id: String,
    event_id: String,
}

/// A UUID that stands for nothing.
const NOTHING: &str = "0198c0de-0000-7000-8000-00000000dead";

impl Things {
    /// Makes them, and waits until the system is at rest.
    pub(crate) async fn make(system: &System) -> Self {
        system.sell("tea", 100, 100).await;
        let (customer, other) = (system.customer().await, system.customer().await);
        let order = system.place_paid_by(&customer, &[("tea", 1)], "sandbox:manual").await;
        let order_id = text(&order, "id").to_owned();
        system.reaches(&order_id, &["reserved"]).await;
        system.stock_reaches("tea", 100, 1).await;
        system.mails_told(&format!("customer_id={}", other.id), 1).await;
        let mail = system.mails_told(&format!("customer_id={}", customer.id), 1).await.remove(0);
        let event_id = text(&system.history(&order_id).await[0], "id").to_owned();
        Self { customer, other, order_id, email_id: text(&mail, "id").to_owned(), event_id }
    }

    /// Pays the order, so that it is final at the end.
    pub(crate) async fn settle(&self, system: &System) {
        let paid = json!({"type": "payment.completed", "order_id": self.order_id, "payment_id": "pay-1"});
        system.provider().call("hook-1", &paid).await.expect(204);
        system.settled(&self.order_id).await;
    }
}

/// All of them.
pub(crate) fn routes(things: &Things) -> Vec<Route> {
    let mut routes = order_routes(things);
    routes.extend(inventory_routes(things));
    routes.extend(email_routes(things));
    for service in ["order", "inventory", "email"] {
        let ops = |path: &str, id: &str, unknown| {
            route(service, Method::GET, path, id, "ops", ForCustomers::Forbidden, unknown)
        };
        routes.push(ops("/v1/ops/trace/{}", &things.order_id, false));
        routes.push(ops("/v1/ops/inbox/{}", &things.event_id, false));
        routes.push(ops("/v1/ops/stuck", "", false));
    }
    let ops = |path: &str, id: &str| route("order", Method::GET, path, id, "ops", ForCustomers::Forbidden, true);
    routes.push(ops("/v1/ops/events/{}", &things.event_id));
    routes
}

fn order_routes(things: &Things) -> Vec<Route> {
    use ForCustomers::{Allowed, Forbidden, Hidden};
    let Things { customer, order_id, .. } = things;
    let person = json!({"name": "Somebody New", "email": "new@example.org"});
    let order = order_of(&customer.id, &[("tea", 1)], "sandbox:ok");
    let get = |path, id, customers, unknown| route("order", Method::GET, path, id, "orders:read", customers, unknown);
    let write =
        |method, path, id, customers, unknown| route("order", method, path, id, "orders:write", customers, unknown);
    vec![
        write(Method::POST, "/v1/customers", "", Forbidden, false).with(person.clone(), &[]),
        write(Method::PATCH, "/v1/customers/{}", &customer.id, Hidden, true).with(person, &["/name", "/email"]),
        get("/v1/customers/{}", &customer.id, Hidden, true),
        write(Method::POST, "/v1/orders", "", Hidden, false).with(order, &[]),
        get("/v1/orders/{}", order_id, Hidden, true),
        get("/v1/orders", "", Allowed, false),
        write(Method::POST, "/v1/orders/{}/cancel", order_id, Hidden, true)
            .with(json!({"reason": "no more"}), &["/reason"]),
        get("/v1/orders/{}/events", order_id, Hidden, true),
        get("/v1/orders/{}/stream", order_id, Hidden, true),
        get("/v1/reports/daily-sales?from=2026-01-01&to=2026-01-31", "", Forbidden, false),
        route("order", Method::POST, "/v1/ops/orders/{}/nudge", order_id, "ops", Forbidden, true),
    ]
}

fn inventory_routes(things: &Things) -> Vec<Route> {
    use ForCustomers::{Allowed, Forbidden};
    let get =
        |path, id, customers, unknown| route("inventory", Method::GET, path, id, "inventory:read", customers, unknown);
    let write = |method, path, unknown| route("inventory", method, path, "tea", "inventory:write", Forbidden, unknown);
    let mut tea = product("Product tea", 100);
    tea["low_stock_threshold"] = json!(1);
    vec![
        write(Method::PUT, "/v1/products/{}", false).with(tea, &["/low_stock_threshold"]),
        get("/v1/products/{}", "tea", Allowed, true),
        get("/v1/products", "", Allowed, false),
        write(Method::POST, "/v1/products/{}/stock", true).with(json!({"delta": 1, "reason": "found"}), &[]),
        get("/v1/products/{}/movements", "tea", Forbidden, true),
        get("/v1/reservations/{}", &things.order_id, Forbidden, true),
    ]
}

fn email_routes(things: &Things) -> Vec<Route> {
    let get =
        |path, id, unknown| route("email", Method::GET, path, id, "emails:read", ForCustomers::Forbidden, unknown);
    vec![get("/v1/emails", "", false), get("/v1/emails/{}/preview", &things.email_id, true)]
}

/// A route whose path has `{}` where the id stands; `unknown` says whether an id that stands for nothing is 404.
fn route(
    service: &'static str,
    method: Method,
    path: &str,
    id: &str,
    scope: &'static str,
    customers: ForCustomers,
    unknown: bool,
) -> Route {
    let has_id = path.contains("{}");
    // A sku is any word, so only a sign that none has cannot be one.
    let (bad, nothing) = if id == "tea" { ("a%20b", "nothing") } else { ("not-a-uuid", NOTHING) };
    Route {
        service,
        method,
        path: path.replace("{}", id),
        scope,
        customers,
        body: None,
        bad_path: has_id.then(|| path.replace("{}", bad)),
        unknown: unknown.then(|| path.replace("{}", nothing)),
    }
}

impl Route {
    fn with(self, body: Value, optional: &'static [&'static str]) -> Self {
        Self { body: Some((body, optional)), ..self }
    }

    /// What is shown of it when something is wrong.
    pub(crate) fn name(&self) -> String {
        format!("{} {} {}", self.service, self.method, self.path)
    }

    /// The request, as somebody sends it.
    pub(crate) fn call(&self, api: &end_to_end::http::Api, path: &str) -> end_to_end::http::Call {
        let call = api.call(self.method.clone(), path);
        match &self.body {
            Some((body, _)) => call.json(body),
            None => call,
        }
    }
}
