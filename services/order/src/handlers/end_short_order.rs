//! `inventory.rejected`: there was not enough, so the order is over.

use contracts::inventory::InventoryRejected;
use messaging::handler::{Handler, HandlerError, Key, Received};
use messaging::tx::Tx;

use super::answer;
use crate::order::command::Command;

/// Cancels orders that are out of stock.
pub(super) struct EndShortOrder;

impl Handler<InventoryRejected> for EndShortOrder {
    fn keys(&self, event: &InventoryRejected) -> Vec<Key> {
        vec![Key::Order(event.order_id)]
    }

    async fn handle(&self, tx: &mut Tx, event: &Received<InventoryRejected>) -> Result<(), HandlerError> {
        self.handle_batch(tx, std::slice::from_ref(event)).await
    }

    async fn handle_batch(&self, tx: &mut Tx, events: &[Received<InventoryRejected>]) -> Result<(), HandlerError> {
        let steps = events.iter().map(|event| (event.order_id, event.context.clone())).collect();
        answer(tx, steps, &Command::RunOut, None).await
    }
}
