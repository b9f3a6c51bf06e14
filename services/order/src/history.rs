//! The history of an order, read back from the log: the same events that made the row, folded again.

pub mod verify;

use chrono::{DateTime, Utc};
use contracts::event::{DecodeError, Event};
use contracts::order::{
    OrderCancelled, OrderConfirmed, OrderCreated, OrderReserved, PaymentCompleted, PaymentFailed, PaymentRefunded,
};
use messaging::event_log::LoggedEvent;
use messaging::tx::Head;
use serde_json::value::RawValue;

use crate::order::{Line, Order, OrderEvent};

/// A history that cannot be folded: the log holds something that this build did not write.
#[derive(Debug, thiserror::Error)]
pub enum HistoryError {
    /// An event cannot be read.
    #[error("{event} at sequence {sequence}: {source}")]
    Unreadable {
        /// Its type.
        event: String,
        /// Its sequence.
        sequence: i64,
        /// Why.
        source: DecodeError,
    },
    /// The first event is not the creation, or there is none.
    #[error("the history does not begin with the order's creation")]
    NoBeginning,
}

/// Reads an event of an order from the log.
///
/// # Errors
/// [`HistoryError::Unreadable`].
pub fn read(event: &LoggedEvent) -> Result<OrderEvent, HistoryError> {
    let unreadable =
        |source| HistoryError::Unreadable { event: event.event_type.clone(), sequence: event.sequence, source };
    let data: &RawValue = serde_json::from_str(&event.data)
        .map_err(|_| unreadable(DecodeError::Malformed("data: not JSON".to_owned())))?;
    let version = event.version;
    let read = match event.event_type.as_str() {
        OrderCreated::TYPE => OrderCreated::from_version(version, data).map(OrderEvent::Created),
        OrderReserved::TYPE => OrderReserved::from_version(version, data).map(OrderEvent::Reserved),
        PaymentCompleted::TYPE => PaymentCompleted::from_version(version, data).map(OrderEvent::PaymentCompleted),
        PaymentFailed::TYPE => PaymentFailed::from_version(version, data).map(OrderEvent::PaymentFailed),
        PaymentRefunded::TYPE => PaymentRefunded::from_version(version, data).map(OrderEvent::PaymentRefunded),
        OrderConfirmed::TYPE => OrderConfirmed::from_version(version, data).map(OrderEvent::Confirmed),
        OrderCancelled::TYPE => OrderCancelled::from_version(version, data).map(OrderEvent::Cancelled),
        _ => Err(DecodeError::UnknownType),
    };
    read.map_err(unreadable)
}

/// Where in its history an order is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Point {
    /// After the event with this sequence.
    Version(i64),
    /// After the last event up to this time, inclusive.
    Time(DateTime<Utc>),
}

impl Point {
    fn includes(self, event: &LoggedEvent) -> bool {
        match self {
            Point::Version(version) => event.sequence <= version,
            Point::Time(time) => event.time <= time,
        }
    }
}

/// Folds the events up to `until`. What no event holds, and never changes, comes from the order's `current` row: the
/// names of its lines, and the note of a cancellation. Events after `current` are left out, since its row knows no note of
/// theirs.
///
/// # Errors
/// [`HistoryError`]; `None` when nothing had happened by then.
pub fn fold(events: &[LoggedEvent], current: &Order, until: Point) -> Result<Option<Order>, HistoryError> {
    let mut order: Option<Order> = None;
    for logged in events.iter().take_while(|event| event.sequence <= current.version && until.includes(event)) {
        let event = read(logged)?;
        let head = Head { sequence: logged.sequence, time: logged.time };
        match (&mut order, &event) {
            (None, OrderEvent::Created(created)) => order = Some(begin(created, current, head)),
            (None, _) => return Err(HistoryError::NoBeginning),
            (Some(order), event) => order.apply(event, head, current.cancel_note.as_deref()),
        }
    }
    Ok(order)
}

fn begin(created: &OrderCreated, current: &Order, head: Head) -> Order {
    let name = |index: usize| current.lines.get(index).map(|line| line.name.clone()).unwrap_or_default();
    let lines = created.lines.iter().enumerate().map(|(index, line)| Line {
        sku: line.sku.clone(),
        name: name(index),
        quantity: line.quantity,
        unit_price: line.unit_price,
    });
    let method = created.payment_method.clone();
    Order::place(created.customer_id, lines.collect(), created.total, method, created.order_id, head.time)
}
