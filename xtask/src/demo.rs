//! A small catalogue to play with, loaded through the REST interface like anybody's.

use anyhow::{Result, bail};
use serde_json::{Value, json};

use crate::net;

/// sku, name, price in cents (EUR), pieces, threshold of the low-stock mail.
const PRODUCTS: [(&str, &str, u32, u32, u32); 5] = [
    ("carrot-1kg", "Carrots, 1 kg", 199, 500, 50),
    ("hay-bale", "Hay bale", 1250, 80, 10),
    ("clover-seed", "Clover seed, 100 g", 349, 200, 20),
    ("hutch-small", "Hutch, small", 8990, 12, 3),
    ("burrow-lamp", "Burrow lamp", 2499, 3, 2),
];

/// The sku of the order that a new user places first.
pub(crate) const FIRST_SKU: &str = PRODUCTS[0].0;

/// Puts the products, and stock for those that have none. Repeating it changes nothing.
///
/// # Errors
/// When inventory refuses something.
pub(crate) fn load(inventory: &str, token: Option<&str>) -> Result<()> {
    let authorization = token.map(|token| format!("Bearer {token}"));
    let call = |method: &str, path: &str, body: Value| -> Result<Value> {
        let body = body.to_string();
        let answer = net::http(method, inventory, path, authorization.as_deref(), Some(&body))?;
        if !(200..300).contains(&answer.status) {
            bail!("{method} {path}: {} {}", answer.status, answer.body);
        }
        Ok(serde_json::from_str(&answer.body)?)
    };
    for (sku, name, cents, pieces, threshold) in PRODUCTS {
        let product = json!({
            "name": name,
            "unit_price": {"amount": cents, "currency": "EUR"},
            "active": true,
            "low_stock_threshold": threshold,
        });
        let product = call("PUT", &format!("/v1/products/{sku}"), product)?;
        if product["stock"]["on_hand"] == 0 {
            let stock = json!({"delta": pieces, "reason": "demo catalogue"});
            call("POST", &format!("/v1/products/{sku}/stock"), stock)?;
        }
    }
    Ok(())
}
