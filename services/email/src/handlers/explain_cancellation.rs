//! `order.cancelled`: the customer reads why nothing will come.

use contracts::order::OrderCancelled;
use messaging::handler::{Handler, HandlerError, Received};
use messaging::tx::Tx;

use crate::mail::{Cancelled, Content, in_words};
use crate::outgoing::{Draft, Outgoing};

/// Explains the cancellation to the order's customer. It is the only mail about it, also when the payment failed.
#[derive(Debug)]
pub struct ExplainCancellation(Outgoing);

impl ExplainCancellation {
    /// Queues its mails there.
    pub fn new(outgoing: Outgoing) -> Self {
        Self(outgoing)
    }
}

impl Handler<OrderCancelled> for ExplainCancellation {
    async fn handle(&self, tx: &mut Tx, event: &Received<OrderCancelled>) -> Result<(), HandlerError> {
        self.handle_batch(tx, std::slice::from_ref(event)).await
    }

    async fn handle_batch(&self, tx: &mut Tx, events: &[Received<OrderCancelled>]) -> Result<(), HandlerError> {
        let explanations = events.iter().filter_map(|event| {
            // An order that `order` does not know has no customer, and a reason that only operators understand.
            let customer = event.customer_id?;
            in_words(event.reason)?;
            let content = Content::OrderCancelled(Cancelled { reason: event.reason });
            Some(Draft::new(event, content).to(customer).about(event.order_id))
        });
        self.0.put(tx, explanations.collect()).await
    }
}
