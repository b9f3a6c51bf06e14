//! `customer.changed`: mails that go out from now on use the new name and address.

use contracts::order::CustomerChanged;
use messaging::handler::{Handler, HandlerError, Received};
use messaging::tx::Tx;

use crate::outgoing::Outgoing;
use crate::store::{self, Recipient};

/// Notes what changed about a customer, of whom this may be the first that is heard.
#[derive(Debug)]
pub struct NoteChange(Outgoing);

impl NoteChange {
    /// Wakes the sender through it: mails may have waited for the customer.
    pub fn new(outgoing: Outgoing) -> Self {
        Self(outgoing)
    }
}

impl Handler<CustomerChanged> for NoteChange {
    async fn handle(&self, tx: &mut Tx, event: &Received<CustomerChanged>) -> Result<(), HandlerError> {
        self.handle_batch(tx, std::slice::from_ref(event)).await
    }

    async fn handle_batch(&self, tx: &mut Tx, events: &[Received<CustomerChanged>]) -> Result<(), HandlerError> {
        let recipients = events.iter().map(|event| Recipient {
            customer_id: event.customer_id.0,
            name: event.name.clone(),
            email: event.email.clone(),
            sequence: event.sequence,
        });
        store::note_recipients(tx, recipients.collect()).await?;
        self.0.wake_sender(tx);
        Ok(())
    }
}
