//! `product.changed`: the price list follows inventory's products.

use contracts::event::Event;
use contracts::inventory::ProductChanged;
use messaging::handler::{Handler, HandlerError, Received};
use messaging::tx::Tx;
use tracing::info;

use crate::store;

/// Keeps the price list. One statement takes over a whole batch: it locks by sku, and decides by sequence what is news.
pub(super) struct TakeOverProduct;

impl Handler<ProductChanged> for TakeOverProduct {
    async fn handle(&self, tx: &mut Tx, event: &Received<ProductChanged>) -> Result<(), HandlerError> {
        self.handle_batch(tx, std::slice::from_ref(event)).await
    }

    async fn handle_batch(&self, tx: &mut Tx, events: &[Received<ProductChanged>]) -> Result<(), HandlerError> {
        store::product::apply(tx, events).await?;
        for change in events {
            let (correlation_id, event) = (change.context.correlation_id.as_str(), ProductChanged::TYPE);
            info!(sku = %change.sku, correlation_id, event, active = change.active, "price list updated");
        }
        Ok(())
    }
}
