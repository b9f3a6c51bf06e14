//! Where the handlers put mails: the one way into the log.

use std::sync::Arc;

use contracts::event::Event;
use contracts::values::{CustomerId, OrderId};
use messaging::handler::{HandlerError, Received};
use messaging::trace;
use messaging::tx::Tx;
use tokio::sync::Notify;
use tracing::info;

use crate::mail::{Content, message_id};
use crate::store::{self, NewMail};
use crate::workers::sender::Tray;

/// Queues mails in the transaction of the event that sets them off, and wakes the sender when it has committed.
#[derive(Debug, Clone)]
pub struct Outgoing {
    domain: Arc<str>,
    sender: Arc<Notify>,
    tray: Tray,
}

/// A mail that an event sets off.
#[derive(Debug)]
pub struct Draft<'a> {
    event: &'static str,
    mail: NewMail,
    content: Content<'a>,
}

impl<'a> Draft<'a> {
    /// A mail that says `content`, about nothing and for the operators unless the rest is added.
    pub fn new<E: Event>(received: &Received<E>, content: Content<'a>) -> Self {
        let mail = NewMail {
            event_id: received.id.0,
            template: content.template().as_str(),
            order_id: None,
            customer_id: None,
            correlation_id: received.context.correlation_id.clone(),
            traceparent: if trace::is_on() { received.context.traceparent.clone() } else { None },
            message_id: String::new(),
            data: content.to_json(),
        };
        Self { event: E::TYPE, mail, content }
    }

    /// For that customer.
    #[must_use]
    pub fn to(mut self, customer: CustomerId) -> Self {
        self.mail.customer_id = Some(customer.0);
        self
    }

    /// About that order.
    #[must_use]
    pub fn about(mut self, order: OrderId) -> Self {
        self.mail.order_id = Some(order.0);
        self
    }
}

impl Outgoing {
    /// `domain` is that of the sender's address, for the `Message-ID`; `sender` is what wakes the sender, and `tray` is where it
    /// takes mails that are claimed for it.
    pub fn new(domain: &str, sender: Arc<Notify>, tray: Tray) -> Self {
        Self { domain: domain.into(), sender, tray }
    }

    /// Queues mails.
    ///
    /// # Errors
    /// When the database cannot be asked.
    pub async fn put(&self, tx: &mut Tx, drafts: Vec<Draft<'_>>) -> Result<(), HandlerError> {
        if drafts.is_empty() {
            return Ok(());
        }
        let mut mails = Vec::with_capacity(drafts.len());
        for Draft { event, mut mail, content } in drafts {
            mail.message_id = message_id(contracts::values::EventId(mail.event_id), content.template(), &self.domain);
            let order_id = mail.order_id.map(tracing::field::display);
            info!(order_id, correlation_id = mail.correlation_id, event, template = mail.template, "mail queued");
            mails.push(mail);
        }
        match self.tray.promise(mails.len()) {
            Some(promise) => {
                let claimed = store::queue(tx, mails, Some(promise.sender())).await?;
                promise.keep(tx, claimed);
            }
            None => {
                store::queue(tx, mails, None).await?;
                self.wake_sender(tx);
            }
        }
        Ok(())
    }

    /// Wakes the sender when `tx` has committed: a mail may be due.
    pub fn wake_sender(&self, tx: &mut Tx) {
        tx.after_commit(&self.sender);
    }
}
