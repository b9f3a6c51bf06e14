//! The catalogue: every event that exists, who publishes it and who reads it.
//!
//! Queues, bindings and rights on the broker follow from it. A new event is a struct in its publisher's file, one line
//! here, and one fixture per version.

use crate::envelope::Envelope;
use crate::event::{DecodeError, Event, Service};
use crate::inventory::{InventoryLow, InventoryRejected, InventoryReserved, ProductChanged};
use crate::order::{
    CustomerChanged, CustomerRegistered, OrderCancelled, OrderConfirmed, OrderCreated, OrderReserved, PaymentCompleted,
    PaymentFailed, PaymentRefunded,
};

use Service::{Email, Inventory, Order};

/// All events.
pub const CATALOGUE: &[EventType] = &[
    entry::<CustomerRegistered>(Order, &[Email], "a customer exists from now on"),
    entry::<CustomerChanged>(Order, &[Email], "a customer has another name or address now"),
    entry::<ProductChanged>(Inventory, &[Order], "a product is new, or its name, price or availability has changed"),
    entry::<OrderCreated>(Order, &[Inventory], "an order was placed and priced"),
    entry::<InventoryReserved>(Inventory, &[Order], "all lines of the order are held"),
    entry::<InventoryRejected>(Inventory, &[Order], "not all lines could be held, so none is"),
    entry::<OrderReserved>(Order, &[], "the order's stock is held; it waits for its payment"),
    entry::<PaymentCompleted>(Order, &[], "the money arrived"),
    entry::<PaymentFailed>(Order, &[], "the provider refused the payment for good"),
    entry::<PaymentRefunded>(Order, &[], "the money went back"),
    entry::<OrderConfirmed>(Order, &[Inventory, Email], "held and paid: the goods may go out"),
    entry::<OrderCancelled>(
        Order,
        &[Inventory, Email],
        "the order ended without goods; what was held or paid goes back",
    ),
    entry::<InventoryLow>(Inventory, &[Email], "the available stock fell below its threshold"),
];

/// One line of the catalogue.
#[derive(Debug, Clone, Copy)]
pub struct EventType {
    /// The type, which is the routing key.
    pub name: &'static str,
    /// The newest schema version; all from 1 to it are read.
    pub version: u16,
    /// Who publishes it.
    pub publisher: Service,
    /// Who reads it.
    pub consumers: &'static [Service],
    /// What it says, in one sentence.
    pub meaning: &'static str,
    /// Reads an event of this type as its consumers do, and forgets it: whether they would understand it.
    pub check: fn(&Envelope<'_>) -> Result<(), DecodeError>,
    /// Describes the data of the newest version.
    #[cfg(feature = "schema")]
    pub schema: fn() -> schemars::Schema,
}

const fn entry<E: Event + Shape>(
    publisher: Service,
    consumers: &'static [Service],
    meaning: &'static str,
) -> EventType {
    EventType {
        name: E::TYPE,
        version: E::VERSION,
        publisher,
        consumers,
        meaning,
        check: check::<E>,
        #[cfg(feature = "schema")]
        schema: crate::schema::of::<E>,
    }
}

#[cfg(not(feature = "schema"))]
use Sized as Shape;
/// What the catalogue asks of an event beside [`Event`]: where schemas are wanted, that its shape can be described.
#[cfg(feature = "schema")]
use schemars::JsonSchema as Shape;

fn check<E: Event>(envelope: &Envelope<'_>) -> Result<(), DecodeError> {
    envelope.event::<E>().map(drop)
}

/// The line of that event type.
pub fn find(name: &str) -> Option<&'static EventType> {
    CATALOGUE.iter().find(|event| event.name == name)
}

/// Whether an event of that type is about an order, so that its subject is the order's id.
pub fn is_about_an_order(name: &str) -> bool {
    [
        OrderCreated::TYPE,
        OrderReserved::TYPE,
        OrderConfirmed::TYPE,
        OrderCancelled::TYPE,
        InventoryReserved::TYPE,
        InventoryRejected::TYPE,
        PaymentCompleted::TYPE,
        PaymentFailed::TYPE,
        PaymentRefunded::TYPE,
    ]
    .contains(&name)
}

/// The events that `service` reads: the bindings of its queue.
pub fn consumed_by(service: Service) -> impl Iterator<Item = &'static EventType> {
    CATALOGUE.iter().filter(move |event| event.consumers.contains(&service))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_type_stands_once() {
        let names: std::collections::BTreeSet<_> = CATALOGUE.iter().map(|event| event.name).collect();
        assert_eq!(names.len(), CATALOGUE.len());
    }

    #[test]
    fn orders_are_the_subjects_of_all_but_customers_and_products() {
        for event in CATALOGUE {
            let other = ["customer.", "product.", "inventory.low"].iter().any(|start| event.name.starts_with(start));
            assert_eq!(is_about_an_order(event.name), !other, "{}", event.name);
        }
    }

    #[test]
    fn an_event_is_not_read_by_its_own_publisher() {
        for event in CATALOGUE {
            assert!(!event.consumers.contains(&event.publisher), "{}", event.name);
        }
    }

    #[test]
    fn the_happy_way_is_at_most_five_events_that_anybody_receives() {
        let happy = ["order.created", "inventory.reserved", "order.reserved", "payment.completed", "order.confirmed"];
        let received = happy.iter().filter(|name| find(name).is_some_and(|event| !event.consumers.is_empty())).count();
        assert!(received <= 5);
    }
}
