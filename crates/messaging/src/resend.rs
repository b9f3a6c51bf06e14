//! One event that is published already, put into one consumer's queue again, by an operator: its copy there was lost.
//!
//! It goes by way of the exchange that is bound to that queue alone, so the other consumers do not get it again. A consumer
//! who has it after all does nothing, since its inbox remembers.

use contracts::envelope::{CONTENT_TYPE, Envelope};
use contracts::event::Service;
use lapin::BasicProperties;
use lapin::types::{AMQPValue, FieldTable};

use crate::connection::Session;
use crate::inspect::{InspectError, connect_any};
use crate::message::{Outgoing, header};
use crate::publisher::{PublishFailure, Publisher, Verdict};
use crate::settings::AmqpUrls;
use crate::topology::redeliver_exchange;

/// What the broker's list of connections shows of us.
const CONNECTION_NAME: &str = "warren event resend";

/// Survives a restart of the broker.
const PERSISTENT: u8 = 2;

/// Why an event is not in the queue.
#[derive(Debug, thiserror::Error)]
pub enum ResendError {
    /// No broker, or it does not let us in.
    #[error(transparent)]
    Broker(#[from] InspectError),
    /// The broker did not confirm it: it may be in the queue or not.
    #[error("not confirmed by the broker: {0}")]
    Unconfirmed(#[from] PublishFailure),
    /// No queue took it.
    #[error("the queue of {0} does not take it: `warren topology check` tells what is missing")]
    NoRoute(Service),
    /// The queue is full.
    #[error("the queue of {0} is full")]
    Full(Service),
}

/// Puts `event` into the queue of `to`, and returns when the broker has it safely.
///
/// # Errors
/// [`ResendError`].
pub async fn resend(urls: &AmqpUrls, to: Service, event: &Envelope<'_>) -> Result<(), ResendError> {
    let connection = connect_any(urls, CONNECTION_NAME).await?;
    let publisher = Publisher::open(Session::alone(connection)).await?;
    let verdicts = publisher.publish(&[message(to, event)]).await?;
    match verdicts.first() {
        Some(Verdict::Confirmed) => Ok(()),
        Some(Verdict::Rejected) => Err(ResendError::Full(to)),
        Some(Verdict::Returned) | None => Err(ResendError::NoRoute(to)),
    }
}

/// The event as on its first way, but to one queue: a first attempt, with the whole ladder before it.
fn message(to: Service, event: &Envelope<'_>) -> Outgoing {
    let text = |value: &str| AMQPValue::LongString(value.into());
    let mut headers = FieldTable::default();
    headers.insert(header::ORIGINAL_ROUTING_KEY.into(), text(&event.event_type));
    if let Some(traceparent) = &event.traceparent {
        headers.insert(header::TRACEPARENT.into(), text(traceparent));
    }
    // AMQP's short strings end at 255 bytes
    let correlation = &event.correlationid[..event.correlationid.floor_char_boundary(255)];
    let mut properties = BasicProperties::default()
        .with_message_id(event.id.to_string().into())
        .with_type(event.event_type.as_ref().into())
        .with_correlation_id(correlation.into())
        .with_timestamp(u64::try_from(event.time.timestamp()).unwrap_or(0))
        .with_content_type(CONTENT_TYPE.into())
        .with_delivery_mode(PERSISTENT)
        .with_headers(headers);
    if let Some(publisher) = event.source.strip_prefix("/warren/") {
        properties = properties.with_app_id(publisher.into());
    }
    Outgoing {
        exchange: redeliver_exchange(to),
        routing_key: to.name().to_owned(),
        mandatory: true,
        body: serde_json::to_vec(event).expect("an envelope is JSON"),
        properties,
    }
}
