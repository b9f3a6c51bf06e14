//! An order was cancelled: its stock comes back.

use std::collections::HashSet;

use contracts::event::Event;
use contracts::order::OrderCancelled;
use contracts::values::OrderId;
use messaging::handler::{Handler, HandlerError, Key, Received};
use messaging::tx::Tx;
use tracing::{debug, info};

use crate::reservation::{Effect, State};
use crate::settlement::Settlement;
use crate::store;
use crate::store::reservation::New;

/// Releases what is held for an order, or takes back what was committed.
///
/// A cancellation that overtook its order leaves a marker for it: a released reservation without lines.
#[derive(Debug, Clone, Copy)]
pub struct ReleaseStock;

impl Handler<OrderCancelled> for ReleaseStock {
    fn keys(&self, event: &OrderCancelled) -> Vec<Key> {
        vec![Key::Order(event.order_id)]
    }

    async fn handle(&self, tx: &mut Tx, event: &Received<OrderCancelled>) -> Result<(), HandlerError> {
        self.handle_batch(tx, std::slice::from_ref(event)).await
    }

    async fn handle_batch(&self, tx: &mut Tx, events: &[Received<OrderCancelled>]) -> Result<(), HandlerError> {
        let ids: Vec<OrderId> = events.iter().map(|event| event.order_id).collect();
        let mut settlement = Settlement::begin(tx, &ids).await?;
        let mut early = HashSet::new();
        for event in events {
            let order_id = event.order_id;
            let correlation_id = event.context.correlation_id.as_str();
            match settlement.state(order_id).map(State::cancel) {
                None => {
                    if early.insert(order_id) {
                        info!(%order_id, correlation_id, event = OrderCancelled::TYPE, "cancelled before it was created");
                    }
                }
                Some(Effect::Move(kind, next)) => {
                    settlement.apply(order_id, kind, next)?;
                    info!(%order_id, correlation_id, event = OrderCancelled::TYPE, "stock {}", next.as_str());
                }
                Some(Effect::None | Effect::TooLate) => {
                    debug!(%order_id, event = OrderCancelled::TYPE, "nothing to give back");
                }
            }
        }
        mark(tx, early).await?;
        Ok(settlement.store(tx).await?)
    }
}

/// Leaves markers for orders that are cancelled before they came here.
async fn mark(tx: &mut Tx, early: HashSet<OrderId>) -> sqlx::Result<()> {
    if early.is_empty() {
        return Ok(());
    }
    let marker = |order_id| New { order_id, state: State::Released, lines: Vec::new(), sequence: 0 };
    let now = tx.now().await?;
    store::reservation::insert(tx, &early.into_iter().map(marker).collect::<Vec<_>>(), now).await
}
