//! What was held for orders comes to its end: committed, released or returned, for many orders at once.

use std::collections::{BTreeSet, HashMap};

use contracts::values::{OrderId, Sku};
use messaging::handler::HandlerError;
use messaging::tx::Tx;

use crate::reservation::{Line, State};
use crate::shelf::Shelf;
use crate::stock::Kind;
use crate::{stockroom, store};

/// The reservations of a batch of orders, which are locked, with the products that they are made of.
#[derive(Debug)]
pub struct Settlement {
    reservations: HashMap<OrderId, (State, Vec<Line>)>,
    shelf: Shelf,
    moved: Vec<(OrderId, State)>,
}

impl Settlement {
    /// Of these orders.
    ///
    /// # Errors
    /// When the database cannot be asked.
    pub async fn begin(tx: &mut Tx, ids: &[OrderId]) -> sqlx::Result<Self> {
        let reservations = store::reservation::read(tx, ids).await?;
        let lines = reservations.values().flat_map(|(_, lines)| lines);
        let skus: BTreeSet<&Sku> = lines.map(|line| &line.sku).collect();
        let shelf = stockroom::take(tx, &Vec::from_iter(skus)).await?;
        Ok(Self { reservations, shelf, moved: Vec::new() })
    }

    /// Where the reservation of an order stands by now; `None` where there is none.
    pub fn state(&self, id: OrderId) -> Option<State> {
        self.reservations.get(&id).map(|(state, _)| *state)
    }

    /// Moves the lines of a reservation, which is in `next` then.
    ///
    /// # Errors
    /// When the stock does not cover the reservation: again later, since the database has to be mended first.
    pub fn apply(&mut self, id: OrderId, kind: Kind, next: State) -> Result<(), HandlerError> {
        if let Some((state, lines)) = self.reservations.get_mut(&id) {
            self.shelf.settle(id, kind, lines).map_err(|error| HandlerError::Again(Box::new(error)))?;
            *state = next;
            self.moved.push((id, next));
        }
        Ok(())
    }

    /// Stores what was moved.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn store(self, tx: &mut Tx) -> sqlx::Result<()> {
        for state in State::ALL {
            let ids: Vec<OrderId> = self.moved.iter().filter(|(_, moved)| *moved == state).map(|(id, _)| *id).collect();
            if !ids.is_empty() {
                let now = tx.now().await?;
                store::reservation::set_state(tx, &ids, state, now).await?;
            }
        }
        stockroom::put_back(tx, &self.shelf).await
    }
}
