//! Events as other producers would publish them.

use chrono::{SecondsFormat, Utc};
use serde_json::{Value, json};
use uuid::Uuid;

/// A new id, as text.
pub(crate) fn id() -> String {
    Uuid::now_v7().to_string()
}

/// An event in its envelope, the first of its subject.
pub(crate) fn event(source: &str, event_type: &str, version: u16, subject: &str, data: Value) -> Value {
    json!({
        "specversion": "1.0",
        "id": id(),
        "source": format!("/warren/{source}"),
        "type": event_type,
        "dataschema": format!("urn:warren:{event_type}:{version}"),
        "subject": subject,
        "sequence": "1",
        "time": Utc::now().to_rfc3339_opts(SecondsFormat::Micros, true),
        "datacontenttype": "application/json",
        "correlationid": id(),
        "causationid": id(),
        "traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        "data": data,
    })
}

/// `order.created` in its newest version.
pub(crate) fn order_created(order_id: &str, lines: &[(&str, i64)]) -> Value {
    let price = json!({"amount": 100, "currency": "EUR"});
    let total: i64 = lines.iter().map(|(_, quantity)| 100 * quantity).sum();
    let lines: Vec<Value> =
        lines.iter().map(|(sku, quantity)| json!({"sku": sku, "quantity": quantity, "unit_price": price})).collect();
    let data = json!({"order_id": order_id, "customer_id": id(), "lines": lines, "total": {"amount": total, "currency": "EUR"},
        "payment_method": "sandbox:ok", "created_at": Utc::now().to_rfc3339_opts(SecondsFormat::Micros, true)});
    event("order", "order.created", 2, order_id, data)
}

/// `order.cancelled` for a reason that nobody is mailed about.
pub(crate) fn order_cancelled(order_id: &str) -> Value {
    let data = json!({"order_id": order_id, "reason": "unknown-order"});
    event("order", "order.cancelled", 1, order_id, data)
}

/// `product.changed`.
pub(crate) fn product_changed(sku: &str) -> Value {
    let data = json!({"sku": sku, "name": "Raw", "unit_price": {"amount": 100, "currency": "EUR"}, "active": true});
    event("inventory", "product.changed", 1, sku, data)
}

/// `customer.registered`.
pub(crate) fn customer_registered(customer_id: &str, name: &str, email: &str) -> Value {
    let data = json!({"customer_id": customer_id, "name": name, "email": email});
    event("order", "customer.registered", 1, customer_id, data)
}
