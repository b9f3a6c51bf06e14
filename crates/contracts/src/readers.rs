//! Which fields of an event each of its consumers reads: what a change of the event would be felt by.
//!
//! The list is kept by hand, beside the handlers; a test compares it with their source.

use crate::event::{Event, Service};
use crate::inventory::{InventoryLow, InventoryRejected, InventoryReserved, ProductChanged};
use crate::order::{CustomerChanged, CustomerRegistered, OrderCancelled, OrderConfirmed, OrderCreated};

use Service::{Email, Inventory, Order};

/// One consumer of one event.
#[derive(Debug, Clone, Copy)]
pub struct Reader {
    /// The event's type.
    pub event: &'static str,
    /// Who reads it.
    pub service: Service,
    /// What it does with it, in one sentence.
    pub purpose: &'static str,
    /// The fields that it reads, of the newest version: `lines[].sku` is the sku of each line.
    pub fields: &'static [&'static str],
}

/// All consumers of all events.
pub const READERS: &[Reader] = &[
    reader::<CustomerRegistered>(Email, "notes the recipient and welcomes them", &["customer_id", "name", "email"]),
    reader::<CustomerChanged>(Email, "sends later mails to the new address", &["customer_id", "name", "email"]),
    reader::<ProductChanged>(Order, "keeps its price list", &["sku", "name", "unit_price", "active"]),
    reader::<OrderCreated>(
        Inventory,
        "holds all lines of the order, or none",
        &["order_id", "lines[].sku", "lines[].quantity"],
    ),
    reader::<InventoryReserved>(Order, "charges the payment", &["order_id"]),
    reader::<InventoryRejected>(Order, "cancels the order", &["order_id"]),
    reader::<OrderConfirmed>(Inventory, "takes what it held off the shelf", &["order_id"]),
    reader::<OrderConfirmed>(
        Email,
        "confirms the order by mail",
        &["order_id", "customer_id", "lines[].name", "lines[].quantity", "lines[].unit_price", "total"],
    ),
    reader::<OrderCancelled>(Inventory, "gives back what it held", &["order_id"]),
    reader::<OrderCancelled>(Email, "explains the cancellation by mail", &["order_id", "customer_id", "reason"]),
    reader::<InventoryLow>(Email, "warns the operators by mail", &["sku", "name", "available", "threshold"]),
];

const fn reader<E: Event>(service: Service, purpose: &'static str, fields: &'static [&'static str]) -> Reader {
    Reader { event: E::TYPE, service, purpose, fields }
}

/// The consumers of that event, in the order of the list.
pub fn of(event: &str) -> impl Iterator<Item = &'static Reader> {
    READERS.iter().filter(move |reader| reader.event == event)
}

impl Reader {
    /// Whether a change at `place` touches what it reads: a field that it reads, one around it, or one inside of it.
    pub fn reads(&self, place: &str) -> bool {
        let within = |inner: &str, outer: &str| {
            outer.is_empty()
                || inner.strip_prefix(outer).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
        };
        self.fields.iter().any(|field| within(field, place) || within(place, field))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_is_read_with_what_is_around_and_inside_of_it() {
        let reader = of("order.created").next().unwrap();
        for place in ["", "lines", "lines[]", "lines[].sku", "order_id"] {
            assert!(reader.reads(place), "{place}");
        }
        for place in ["total", "total.amount", "line", "lines[].unit_price", "lines[].unit_price.amount", "order"] {
            assert!(!reader.reads(place), "{place}");
        }
        let mail = of("order.confirmed").find(|reader| reader.service == Service::Email).unwrap();
        assert!(mail.reads("total.amount") && mail.reads("lines[].unit_price.currency"));
    }
}
