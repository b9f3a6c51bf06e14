//! What the service does when events arrive: one handler per file, and the list of them.

mod end_short_order;
mod reserve_order;
mod take_over_product;

use std::collections::HashSet;

use contracts::event::{Event, Service};
use contracts::inventory::{InventoryRejected, InventoryReserved, ProductChanged};
use contracts::order::{CancelReason, OrderCancelled};
use contracts::values::OrderId;
use messaging::context::Context;
use messaging::handler::{HandlerError, Key, Locker, Subscriptions};
use messaging::tx::{Head, Tx};
use tracing::warn;

use crate::order::command::Command;
use crate::payment::till::Till;
use crate::saga::{self, Moved, Step};
use crate::store;

/// All subscriptions of the service. `till` leads to the payment worker.
pub fn subscriptions(till: &Till) -> Subscriptions {
    Subscriptions::new(Service::Order, LockOrders)
        .on::<ProductChanged>(take_over_product::TakeOverProduct)
        .on::<InventoryReserved>(reserve_order::ReserveOrder { till: till.clone() })
        .on::<InventoryRejected>(end_short_order::EndShortOrder)
        .complete()
}

/// Locks the orders of a batch, in the order of their ids.
struct LockOrders;

impl Locker for LockOrders {
    async fn lock(&self, tx: &mut Tx, keys: &[Key]) -> Result<(), HandlerError> {
        let order = |key: &Key| match key {
            Key::Order(id) => Some(*id),
            Key::Customer(_) | Key::Sku(_) => None,
        };
        let ids: Vec<OrderId> = keys.iter().filter_map(order).collect();
        Ok(store::order::lock_only(tx, &ids).await?)
    }
}

/// Tells orders what inventory has answered. An answer about an order that this service does not have is answered with
/// its cancellation, so that nothing stays held for it.
async fn answer(
    tx: &mut Tx,
    steps: Vec<(OrderId, Context)>,
    command: &Command,
    till: Option<&Till>,
) -> Result<(), HandlerError> {
    let step = |(order_id, context): (OrderId, Context)| Step { order_id, command: command.clone(), context };
    let steps: Vec<Step> = steps.into_iter().map(step).collect();
    // the subscriber has locked them for the whole batch
    let orders = store::order::read(tx, &saga::ids(&steps)).await?;
    let moved = saga::advance_locked(tx, orders, &steps, till).await?;
    let unknown: Vec<&Step> =
        steps.iter().zip(moved).filter(|(_, moved)| *moved == Moved::Unknown).map(|(step, _)| step).collect();
    if unknown.is_empty() {
        return Ok(());
    }
    let now = tx.now().await?;
    let ids: Vec<OrderId> = unknown.iter().map(|step| step.order_id).collect();
    let mut new: HashSet<OrderId> = store::order::remember_unknown(tx, &ids, now).await?.into_iter().collect();
    for step in unknown.into_iter().filter(|step| new.remove(&step.order_id)) {
        let (order_id, correlation_id) = (step.order_id, step.context.correlation_id.as_str());
        warn!(%order_id, correlation_id, event = OrderCancelled::TYPE, "inventory knows an order that is not ours; cancelling it");
        let reason = CancelReason::UnknownOrder;
        tx.on_behalf_of(&step.context);
        tx.publish(&mut Head::NONE.clone(), &OrderCancelled { order_id, customer_id: None, reason }).await?;
    }
    Ok(())
}
