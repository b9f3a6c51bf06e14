//! The events that this service handles.

mod confirm_order;
mod explain_cancellation;
mod note_change;
mod warn_of_low_stock;
mod welcome_customer;

use contracts::event::Service;
use contracts::inventory::InventoryLow;
use contracts::order::{CustomerChanged, CustomerRegistered, OrderCancelled, OrderConfirmed};
use messaging::handler::{NoLocks, Subscriptions};

use crate::outgoing::Outgoing;

pub use confirm_order::ConfirmOrder;
pub use explain_cancellation::ExplainCancellation;
pub use note_change::NoteChange;
pub use warn_of_low_stock::WarnOfLowStock;
pub use welcome_customer::WelcomeCustomer;

/// The list. `has_operators` is whether there is anybody to warn of low stock.
///
/// Nothing is locked beforehand: a mail is a row of its own, and each statement locks recipients in the order of their ids.
pub fn subscriptions(outgoing: &Outgoing, has_operators: bool) -> Subscriptions {
    Subscriptions::new(Service::Email, NoLocks)
        .on::<CustomerRegistered>(WelcomeCustomer::new(outgoing.clone()))
        .on::<CustomerChanged>(NoteChange::new(outgoing.clone()))
        .on::<OrderConfirmed>(ConfirmOrder::new(outgoing.clone()))
        .on::<OrderCancelled>(ExplainCancellation::new(outgoing.clone()))
        .on::<InventoryLow>(WarnOfLowStock::new(outgoing.clone(), has_operators))
        .complete()
}
