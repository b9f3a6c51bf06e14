//! One mail, from its claim to the answer: address, page, message, handing over.

use std::time::Duration;

use lettre::message::Mailbox;
use messaging::failpoint;
use messaging::trace::Span;
use tokio::sync::Semaphore;
use tokio::time::Instant;

use super::brake::Gate;
use super::outcome::HandedOver;
use crate::letter;
use crate::mail::{Content, Template};
use crate::store::delivery::Claimed;
use crate::templates::{About, Templates};
use crate::transport::{Answer, Letter, Transport};

/// How many mails are handed over at the same time: each over a connection of its own. Mail servers limit the connections
/// of one client; twenty is a common limit (Postfix: 50), and it is for all copies of this service together.
const CONNECTIONS: usize = 8;

/// A mail that was claimed so long ago is not begun any more: this process was asleep, and others may have taken the mail
/// over. Well below the lease, above what waiting behind others takes.
const MOST_HELD: Duration = Duration::from_mins(5);

/// When a mail of a template that this copy does not know is looked at again: a newer copy knows it.
const UNKNOWN_TEMPLATE: Duration = Duration::from_secs(10);

/// What the tasks that hand over mails share.
#[derive(Debug)]
pub(super) struct Desk {
    transport: Transport,
    templates: std::sync::Arc<Templates>,
    from: Mailbox,
    operators: Option<Mailbox>,
    gate: Gate,
    connections: Semaphore,
}

/// A mail that is written.
struct Written {
    letter: Letter,
    html: String,
}

impl Desk {
    /// Mails go over `transport` from `from`, those to the operators to `operators`, as long as `gate` is open.
    pub(super) fn new(
        transport: Transport,
        templates: std::sync::Arc<Templates>,
        from: Mailbox,
        operators: Option<Mailbox>,
        gate: Gate,
    ) -> Self {
        Self { transport, templates, from, operators, gate, connections: Semaphore::new(CONNECTIONS) }
    }

    /// Where mails go.
    pub(super) fn transport(&self) -> &Transport {
        &self.transport
    }

    /// Hands over a mail that was claimed at `since`, when its turn comes.
    pub(super) async fn hand_over(&self, mail: &Claimed, since: Instant) -> HandedOver {
        let Ok(_turn) = self.connections.acquire().await else { return HandedOver::NotTried(Duration::ZERO) };
        if self.gate.is_shut() || since.elapsed() > MOST_HELD {
            return HandedOver::NotTried(Duration::ZERO);
        }
        let Some(template) = Template::named(&mail.template) else { return HandedOver::NotTried(UNKNOWN_TEMPLATE) };
        let (name, address) = match self.recipient(mail) {
            Ok(recipient) => recipient,
            Err(why) => return HandedOver::Impossible { why: why.to_owned(), to: None },
        };
        let Written { letter, html } = match self.write(mail, template, name, &address) {
            Ok(written) => written,
            Err(why) => return HandedOver::Impossible { why, to: Some(address) },
        };
        failpoint::reach("after-claim");
        let span = begin(mail, template);
        let answer = self.transport.hand_over(&letter).await;
        end(span, &answer);
        failpoint::reach("after-data");
        if matches!(answer, Answer::Unavailable(_) | Answer::Lost(_)) {
            self.gate.shut();
        }
        HandedOver::Tried { answer, to: address, html }
    }

    fn recipient<'a>(&'a self, mail: &'a Claimed) -> Result<(&'a str, String), &'static str> {
        if mail.customer_id.is_some() {
            let email = mail.email.clone().ok_or("its recipient is not known")?;
            return Ok((mail.name.as_deref().unwrap_or_default(), email));
        }
        let operators = self.operators.as_ref().ok_or("EMAIL_OPS is not set any more")?;
        Ok((operators.name.as_deref().unwrap_or_default(), operators.email.to_string()))
    }

    fn write(&self, mail: &Claimed, template: Template, name: &str, address: &str) -> Result<Written, String> {
        let email = address.parse().map_err(|_| "the address is not one that mail can go to".to_owned())?;
        let content =
            Content::from_json(template, &mail.data).map_err(|_| "its data is not of its template".to_owned())?;
        let about = About { name, order_id: mail.order_id };
        let rendered = self.templates.render(about, &content).map_err(|error| {
            tracing::error!(%error, template = mail.template, "a template does not render");
            "its template does not render".to_owned()
        })?;
        let to = Mailbox::new(Some(name.to_owned()), email);
        let letter = letter::compose(&rendered, &self.from, to, &mail.message_id)?;
        Ok(Written { letter, html: rendered.html })
    }
}

/// The handing over as a span.
fn begin(mail: &Claimed, template: Template) -> Span {
    let mut span = Span::call("hand over mail", "mail-server", mail.traceparent.as_deref());
    span.set("warren.mail.template", template.as_str());
    span.set("warren.attempt", i64::from(mail.attempts) + 1);
    if let Some(order_id) = mail.order_id.filter(|_| span.is_recording()) {
        span.set("warren.order_id", order_id.to_string());
    }
    span
}

/// What the server said stays in the log of mails: it may be about the address.
fn end(mut span: Span, answer: &Answer) {
    match answer {
        Answer::Accepted => {}
        Answer::Deferred(_) => span.fail("deferred", "not taken now"),
        Answer::Refused(_) => span.fail("refused", "not taken, ever"),
        Answer::Unavailable(_) => span.fail("unavailable", "not reached"),
        Answer::Lost(_) => span.fail("lost", "the answer was lost"),
    }
}
