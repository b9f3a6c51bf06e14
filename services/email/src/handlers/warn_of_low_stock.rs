//! `inventory.low`: the operators read what to order.

use contracts::inventory::InventoryLow;
use messaging::handler::{Handler, HandlerError, Received};
use messaging::tx::Tx;

use crate::mail::Content;
use crate::outgoing::{Draft, Outgoing};

/// Warns the operators, if there are any. That it is once per fall below the threshold, `inventory` sees to.
#[derive(Debug)]
pub struct WarnOfLowStock {
    outgoing: Outgoing,
    has_operators: bool,
}

impl WarnOfLowStock {
    /// Queues its mails there, or not at all.
    pub fn new(outgoing: Outgoing, has_operators: bool) -> Self {
        Self { outgoing, has_operators }
    }
}

impl Handler<InventoryLow> for WarnOfLowStock {
    async fn handle(&self, tx: &mut Tx, event: &Received<InventoryLow>) -> Result<(), HandlerError> {
        self.handle_batch(tx, std::slice::from_ref(event)).await
    }

    async fn handle_batch(&self, tx: &mut Tx, events: &[Received<InventoryLow>]) -> Result<(), HandlerError> {
        if !self.has_operators {
            return Ok(());
        }
        let warnings = events.iter().map(|event| Draft::new(event, Content::from(&event.event)));
        self.outgoing.put(tx, warnings.collect()).await
    }
}
