//! `inventory.reserved`: the order's stock is held, so its payment is asked for.

use std::sync::Arc;

use contracts::inventory::InventoryReserved;
use messaging::handler::{Handler, HandlerError, Key, Received};
use messaging::tx::Tx;
use tokio::sync::Notify;

use super::answer;
use crate::order::command::Command;

/// Moves orders to `reserved` and leaves the intent to charge them.
pub(super) struct ReserveOrder {
    /// Wakes the payment worker.
    pub(super) intents: Arc<Notify>,
}

impl Handler<InventoryReserved> for ReserveOrder {
    fn keys(&self, event: &InventoryReserved) -> Vec<Key> {
        vec![Key::Order(event.order_id)]
    }

    async fn handle(&self, tx: &mut Tx, event: &Received<InventoryReserved>) -> Result<(), HandlerError> {
        self.handle_batch(tx, std::slice::from_ref(event)).await
    }

    async fn handle_batch(&self, tx: &mut Tx, events: &[Received<InventoryReserved>]) -> Result<(), HandlerError> {
        tx.after_commit(&self.intents);
        let steps = events.iter().map(|event| (event.order_id, event.context.clone())).collect();
        answer(tx, steps, &Command::Reserve).await
    }
}
