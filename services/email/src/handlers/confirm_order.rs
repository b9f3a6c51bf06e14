//! `order.confirmed`: the customer reads what they ordered, and what it costs.

use contracts::order::OrderConfirmed;
use messaging::handler::{Handler, HandlerError, Received};
use messaging::tx::Tx;

use crate::mail::Content;
use crate::outgoing::{Draft, Outgoing};

/// Confirms the order to its customer.
#[derive(Debug)]
pub struct ConfirmOrder(Outgoing);

impl ConfirmOrder {
    /// Queues its mails there.
    pub fn new(outgoing: Outgoing) -> Self {
        Self(outgoing)
    }
}

impl Handler<OrderConfirmed> for ConfirmOrder {
    async fn handle(&self, tx: &mut Tx, event: &Received<OrderConfirmed>) -> Result<(), HandlerError> {
        self.handle_batch(tx, std::slice::from_ref(event)).await
    }

    async fn handle_batch(&self, tx: &mut Tx, events: &[Received<OrderConfirmed>]) -> Result<(), HandlerError> {
        let confirmations = events
            .iter()
            .map(|event| Draft::new(event, Content::from(&event.event)).to(event.customer_id).about(event.order_id));
        self.0.put(tx, confirmations.collect()).await
    }
}
