//! What may be asked of an order, and which events follow from it.

use contracts::money::Money;
use contracts::order::{CancelReason, OrderCancelled, OrderReserved, PaymentCompleted, PaymentFailed, PaymentRefunded};

use super::{Order, OrderEvent, Status};

/// What somebody wants of an order, or has to tell it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// Inventory holds all of its lines.
    Reserve,
    /// Inventory is short.
    RunOut,
    /// The provider says that it is paid.
    Pay(PaymentResult),
    /// The provider refuses, for this reason.
    FailPayment(PaymentResult, String),
    /// It has waited for its payment for too long.
    GiveUp,
    /// The provider has given the money back.
    Refund(PaymentResult),
    /// Somebody cancels it, with a note.
    Cancel(Option<String>),
}

/// Which payment a provider speaks of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PaymentResult {
    /// The provider's own id.
    pub payment_id: String,
    /// How much.
    pub amount: Money,
}

/// A command that cannot be obeyed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// What is over cannot be cancelled again.
    #[error("the order is cancelled already")]
    AlreadyCancelled,
}

/// Which events follow from `command`. None where it comes late, twice or out of order and nothing is to be done.
///
/// # Errors
/// [`Refusal`] where whoever asked has to be told.
pub fn decide(order: &Order, command: &Command) -> Result<Vec<OrderEvent>, Refusal> {
    let cancelled = |reason| {
        OrderEvent::Cancelled(OrderCancelled { order_id: order.id, customer_id: Some(order.customer_id), reason })
    };
    let paid = |result: &PaymentResult| {
        let PaymentResult { payment_id, amount } = result.clone();
        OrderEvent::PaymentCompleted(PaymentCompleted { order_id: order.id, payment_id, amount })
    };
    Ok(match (command, order.status) {
        (Command::Reserve, Status::Pending) => vec![OrderEvent::Reserved(OrderReserved { order_id: order.id })],
        (Command::RunOut, Status::Pending) => vec![cancelled(CancelReason::OutOfStock)],
        // told before, or against what was told before
        (Command::Pay(result) | Command::FailPayment(result, _), _) if order.was_paid_by(&result.payment_id) => {
            Vec::new()
        }
        (Command::Pay(result), Status::Reserved) => vec![paid(result), OrderEvent::Confirmed(order.confirmed())],
        // recorded, and owed from then on
        (Command::Pay(result), _) => vec![paid(result)],
        (Command::FailPayment(result, reason), Status::Reserved) => {
            let PaymentResult { payment_id, amount } = result.clone();
            let failed = PaymentFailed { order_id: order.id, payment_id, amount, reason: reason.clone() };
            vec![OrderEvent::PaymentFailed(failed), cancelled(CancelReason::PaymentFailed)]
        }
        (Command::GiveUp, Status::Reserved) => vec![cancelled(CancelReason::PaymentTimeout)],
        (Command::Refund(result), _) if order.owes(&result.payment_id) => {
            let PaymentResult { payment_id, amount } = result.clone();
            vec![OrderEvent::PaymentRefunded(PaymentRefunded { order_id: order.id, payment_id, amount })]
        }
        (Command::Cancel(_), Status::Cancelled) => return Err(Refusal::AlreadyCancelled),
        (Command::Cancel(_), _) => vec![cancelled(CancelReason::Requested)],
        (Command::Reserve | Command::RunOut | Command::FailPayment(..) | Command::GiveUp | Command::Refund(_), _) => {
            Vec::new()
        }
    })
}
