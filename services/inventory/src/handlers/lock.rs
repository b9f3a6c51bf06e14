//! Locks what the events of a batch will change.

use contracts::values::{OrderId, Sku};
use messaging::handler::{HandlerError, Key, Locker};
use messaging::tx::Tx;

use crate::store;

/// Locks the orders, then their products and those of what is reserved for them already, which a cancellation does not
/// name.
#[derive(Debug, Clone, Copy)]
pub struct OrdersThenProducts;

impl Locker for OrdersThenProducts {
    async fn lock(&self, tx: &mut Tx, keys: &[Key]) -> Result<(), HandlerError> {
        let mut orders: Vec<OrderId> = Vec::new();
        let mut skus: Vec<&Sku> = Vec::new();
        for key in keys {
            match key {
                Key::Order(id) => orders.push(*id),
                Key::Sku(sku) => skus.push(sku),
                Key::Customer(_) => {}
            }
        }
        store::lock::orders(tx, &orders).await?;
        store::lock::products(tx, &orders, &skus).await?;
        Ok(())
    }
}
