//! What this service does on events: the list of its subscriptions.

mod commit;
mod hold;
mod lock;
mod release;

use contracts::event::Service;
use contracts::order::{OrderCancelled, OrderConfirmed, OrderCreated};
use messaging::handler::Subscriptions;

pub use commit::CommitStock;
pub use hold::HoldStock;
pub use lock::OrdersThenProducts;
pub use release::ReleaseStock;

/// The subscriptions. Within a batch, all events of a type come before those of the next, as they do in an order's life.
pub fn subscriptions() -> Subscriptions {
    Subscriptions::new(Service::Inventory, OrdersThenProducts)
        .on::<OrderCreated>(HoldStock)
        .on::<OrderConfirmed>(CommitStock)
        .on::<OrderCancelled>(ReleaseStock)
        .complete()
}
