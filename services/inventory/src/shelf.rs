//! The products that a transaction has locked, in memory: orders are allocated over them one after the other, and what
//! became of them is written at once. Pure: no I/O, no async.

use std::collections::{BTreeMap, BTreeSet};

use contracts::inventory::{InventoryLow, Shortage};
use contracts::values::{OrderId, Sku};
use messaging::tx::Head;

use crate::reservation::Line;
use crate::stock::{Kind, Movement, Stock};

/// A product on the shelf: what allocation needs of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    /// What people call it.
    pub name: String,
    /// Below which availability it is low.
    pub threshold: Option<i64>,
    /// How much there is.
    pub stock: Stock,
    /// `inventory.low` was published, and the stock has not been back at its threshold since.
    pub low: bool,
    /// The last event of the subject `SKU/low`.
    pub low_head: Head,
}

impl Item {
    /// Changes the stock, and says whether it fell below its threshold by that; `None` leaves all as it was (see
    /// [`Stock::after`]).
    ///
    /// Only a fall is worth a mail: whoever brings less than the threshold, or sets another, knows it.
    fn book(&mut self, movement: Movement) -> Option<bool> {
        let after = self.stock.after(movement)?;
        let fell = after.available() < self.stock.available();
        let below = self.threshold.is_some_and(|threshold| after.available() < threshold);
        let news = below && fell && !self.low;
        self.stock = after;
        self.low = below && (fell || self.low);
        Some(news)
    }
}

/// A row of the ledger.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Of which product.
    pub sku: Sku,
    /// What changed.
    pub movement: Movement,
    /// For which order, if it was for one.
    pub order_id: Option<OrderId>,
    /// Why, in a person's words, if it was one.
    pub reason: Option<String>,
}

/// Stock that the shelf does not have although a reservation says so. A bug, or somebody's hand in the database.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the stock does not cover its reservations")]
pub struct Inconsistent;

/// The locked products and what happens to them. A sku that is not on it is unknown, which is having none of it.
#[derive(Debug)]
pub struct Shelf {
    items: BTreeMap<Sku, Item>,
    changed: BTreeSet<Sku>,
    entries: Vec<Entry>,
}

impl Shelf {
    /// With these products.
    pub fn new(items: BTreeMap<Sku, Item>) -> Self {
        Self { items, changed: BTreeSet::new(), entries: Vec::new() }
    }

    /// Holds all lines of an order, each sku once, or none of them. The events tell which products ran low by it.
    ///
    /// # Errors
    /// What is short; nothing has changed then.
    pub fn hold(&mut self, order_id: OrderId, lines: &[Line]) -> Result<Vec<InventoryLow>, Vec<Shortage>> {
        let short: Vec<Shortage> = lines
            .iter()
            .filter_map(|line| {
                let available = self.items.get(&line.sku).map_or(0, |item| item.stock.available());
                (available < line.quantity.get()).then(|| Shortage {
                    sku: line.sku.clone(),
                    requested: line.quantity,
                    available,
                })
            })
            .collect();
        if !short.is_empty() {
            return Err(short);
        }
        let low = self.book_all(order_id, Kind::Reserved, lines);
        Ok(low.expect("each sku stands once, and there is enough of all"))
    }

    /// Moves all lines of a reservation: commits, releases or returns them. Nothing runs low by that.
    ///
    /// # Errors
    /// [`Inconsistent`]; the shelf is then good for nothing but being dropped.
    pub fn settle(&mut self, order_id: OrderId, kind: Kind, lines: &[Line]) -> Result<(), Inconsistent> {
        self.book_all(order_id, kind, lines).map(|_| ()).ok_or(Inconsistent)
    }

    /// Changes the stock of one product by hand. `None`, and nothing has changed, where less would be left than is
    /// promised.
    pub fn adjust(&mut self, sku: &Sku, delta: i64, reason: String) -> Option<Vec<InventoryLow>> {
        let movement = Movement::of(Kind::Adjusted, delta);
        self.book(Entry { sku: sku.clone(), movement, order_id: None, reason: Some(reason) })
            .map(|low| low.into_iter().collect())
    }

    fn book_all(&mut self, order_id: OrderId, kind: Kind, lines: &[Line]) -> Option<Vec<InventoryLow>> {
        let mut low = Vec::new();
        for line in lines {
            let movement = Movement::of(kind, line.quantity.get());
            low.extend(self.book(Entry { sku: line.sku.clone(), movement, order_id: Some(order_id), reason: None })?);
        }
        Some(low)
    }

    fn book(&mut self, entry: Entry) -> Option<Option<InventoryLow>> {
        let item = self.items.get_mut(&entry.sku)?;
        let news = item.book(entry.movement)?;
        let low = item.threshold.filter(|_| news).map(|threshold| InventoryLow {
            sku: entry.sku.clone(),
            name: item.name.clone(),
            available: item.stock.available(),
            threshold,
        });
        if !self.changed.contains(&entry.sku) {
            self.changed.insert(entry.sku.clone());
        }
        self.entries.push(entry);
        Some(low)
    }

    /// The product of that sku.
    pub fn get(&self, sku: &Sku) -> Option<&Item> {
        self.items.get(sku)
    }

    /// The last event of `SKU/low`, to publish the next one after it.
    pub fn low_head(&mut self, sku: &Sku) -> Option<&mut Head> {
        self.items.get_mut(sku).map(|item| &mut item.low_head)
    }

    /// The products that changed, by sku, as they are now.
    pub fn changed(&self) -> impl Iterator<Item = (&Sku, &Item)> {
        self.changed.iter().filter_map(|sku| self.items.get_key_value(sku))
    }

    /// The rows for the ledger, in the order in which they happened.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }
}

#[cfg(test)]
mod tests;
