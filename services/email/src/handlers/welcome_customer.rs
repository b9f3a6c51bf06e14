//! `customer.registered`: a recipient is known from now on, and gets a welcome.

use contracts::order::CustomerRegistered;
use messaging::handler::{Handler, HandlerError, Received};
use messaging::tx::Tx;

use crate::mail::Content;
use crate::outgoing::{Draft, Outgoing};
use crate::store::{self, Recipient};

/// Notes the customer and welcomes them.
#[derive(Debug)]
pub struct WelcomeCustomer(Outgoing);

impl WelcomeCustomer {
    /// Queues its mails there.
    pub fn new(outgoing: Outgoing) -> Self {
        Self(outgoing)
    }
}

impl Handler<CustomerRegistered> for WelcomeCustomer {
    async fn handle(&self, tx: &mut Tx, event: &Received<CustomerRegistered>) -> Result<(), HandlerError> {
        self.handle_batch(tx, std::slice::from_ref(event)).await
    }

    async fn handle_batch(&self, tx: &mut Tx, events: &[Received<CustomerRegistered>]) -> Result<(), HandlerError> {
        let recipients = events.iter().map(|event| Recipient {
            customer_id: event.customer_id.0,
            name: event.name.clone(),
            email: event.email.clone(),
            sequence: event.sequence,
        });
        store::note_recipients(tx, recipients.collect()).await?;
        let welcomes = events.iter().map(|event| Draft::new(event, Content::Welcome).to(event.customer_id));
        self.0.put(tx, welcomes.collect()).await
    }
}
