//! An order was paid: its goods may go.

use contracts::event::Event;
use contracts::order::OrderConfirmed;
use contracts::values::OrderId;
use messaging::handler::{Handler, HandlerError, Key, Received};
use messaging::tx::Tx;
use tracing::{debug, info, warn};

use crate::reservation::Effect;
use crate::settlement::Settlement;

/// Commits what is held for an order: it leaves the house.
///
/// An order that was never seen is tried again later, as its creation may be on its way. One that has ended is left alone,
/// since a cancellation wins over a later confirmation.
#[derive(Debug, Clone, Copy)]
pub struct CommitStock;

/// A confirmation of an order whose creation did not come here yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the order is confirmed before it was created")]
struct NotCreatedYet;

impl Handler<OrderConfirmed> for CommitStock {
    fn keys(&self, event: &OrderConfirmed) -> Vec<Key> {
        vec![Key::Order(event.order_id)]
    }

    async fn handle(&self, tx: &mut Tx, event: &Received<OrderConfirmed>) -> Result<(), HandlerError> {
        self.handle_batch(tx, std::slice::from_ref(event)).await
    }

    async fn handle_batch(&self, tx: &mut Tx, events: &[Received<OrderConfirmed>]) -> Result<(), HandlerError> {
        let ids: Vec<OrderId> = events.iter().map(|event| event.order_id).collect();
        let mut settlement = Settlement::begin(tx, &ids).await?;
        for event in events {
            let order_id = event.order_id;
            let correlation_id = event.context.correlation_id.as_str();
            let state = settlement.state(order_id).ok_or_else(|| HandlerError::Again(Box::new(NotCreatedYet)))?;
            match state.confirm() {
                Effect::Move(kind, next) => {
                    settlement.apply(order_id, kind, next)?;
                    info!(%order_id, correlation_id, event = OrderConfirmed::TYPE, "stock committed");
                }
                Effect::None => debug!(%order_id, event = OrderConfirmed::TYPE, "committed already"),
                Effect::TooLate => {
                    let state = state.as_str();
                    warn!(%order_id, correlation_id, event = OrderConfirmed::TYPE, state, "confirmed too late: ignored");
                }
            }
        }
        Ok(settlement.store(tx).await?)
    }
}
