//! An order was placed: holds its stock.

use std::collections::BTreeSet;

use contracts::event::Event;
use contracts::inventory::{InventoryRejected, InventoryReserved};
use contracts::order::OrderCreated;
use contracts::values::{OrderId, Sku};
use messaging::handler::{Handler, HandlerError, Key, Received};
use messaging::tx::{Head, Tx};
use tracing::{debug, info};

use crate::reservation::{self, State};
use crate::shelf::Shelf;
use crate::store::reservation::New;
use crate::{stockroom, store};

/// Holds all lines of an order, or none, and answers which.
///
/// An order that is known already is left alone: it came before under another event id, or its cancellation overtook it.
#[derive(Debug, Clone, Copy)]
pub struct HoldStock;

impl Handler<OrderCreated> for HoldStock {
    fn keys(&self, event: &OrderCreated) -> Vec<Key> {
        let skus = event.lines.iter().map(|line| Key::Sku(line.sku.clone()));
        std::iter::once(Key::Order(event.order_id)).chain(skus).collect()
    }

    async fn handle(&self, tx: &mut Tx, event: &Received<OrderCreated>) -> Result<(), HandlerError> {
        self.handle_batch(tx, std::slice::from_ref(event)).await
    }

    async fn handle_batch(&self, tx: &mut Tx, events: &[Received<OrderCreated>]) -> Result<(), HandlerError> {
        let ids: Vec<OrderId> = events.iter().map(|event| event.order_id).collect();
        let skus: BTreeSet<&Sku> = events.iter().flat_map(|event| &event.lines).map(|line| &line.sku).collect();
        let mut known = store::reservation::known(tx, &ids).await?;
        let mut shelf = stockroom::take(tx, &Vec::from_iter(skus)).await?;
        let mut new = Vec::with_capacity(events.len());
        for event in events {
            if known.insert(event.order_id) {
                new.push(hold(tx, &mut shelf, event).await?);
            } else {
                debug!(order_id = %event.order_id, event = OrderCreated::TYPE, "the order is known already");
            }
        }
        if !new.is_empty() {
            let now = tx.now().await?;
            store::reservation::insert(tx, &new, now).await?;
            stockroom::put_back(tx, &shelf).await?;
        }
        Ok(())
    }
}

/// Holds one order if it can be, and publishes the answer.
async fn hold(tx: &mut Tx, shelf: &mut Shelf, event: &Received<OrderCreated>) -> Result<New, HandlerError> {
    tx.on_behalf_of(&event.context);
    let order_id = event.order_id;
    let correlation_id = event.context.correlation_id.as_str();
    let lines = reservation::lines(&event.lines).map_err(|error| HandlerError::reject(error.to_string()))?;
    let mut head = Head::NONE;
    let state = match shelf.hold(order_id, &lines) {
        Ok(low) => {
            tx.publish(&mut head, &InventoryReserved { order_id }).await?;
            info!(%order_id, correlation_id, event = OrderCreated::TYPE, "stock held");
            stockroom::publish_low(tx, shelf, low).await?;
            State::Held
        }
        Err(short) => {
            let skus = short.len();
            info!(%order_id, correlation_id, event = OrderCreated::TYPE, skus_short = skus, "order rejected");
            tx.publish(&mut head, &InventoryRejected { order_id, short }).await?;
            State::Rejected
        }
    };
    Ok(New { order_id, state, lines, sequence: head.sequence })
}
