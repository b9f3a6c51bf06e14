//! What is sold: the definition of a product, and what a change of it means. Pure: no I/O, no async.

use contracts::inventory::ProductChanged;
use contracts::money::Money;
use contracts::values::Sku;
use messaging::tx::Head;

use crate::stock::Stock;

/// What people decide about a product.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Definition {
    /// What people call it.
    pub name: String,
    /// The price of one.
    pub unit_price: Money,
    /// Whether it may be ordered.
    pub active: bool,
    /// Below which availability somebody is told; nobody is when `None`.
    pub low_stock_threshold: Option<i64>,
}

/// A product with its stock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Product {
    /// What it is ordered by.
    pub sku: Sku,
    /// What people decided.
    pub definition: Definition,
    /// Counts the definitions, from 1.
    pub version: i64,
    /// How much there is.
    pub stock: Stock,
    /// Its low stock was told, and it has not been back at the threshold since.
    pub low: bool,
    /// The last `product.changed`.
    pub head: Head,
}

/// What a new definition of a product means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// It says what the old one said.
    None,
    /// It matters in this service alone.
    Private,
    /// Others keep a copy of what changed.
    Public,
}

impl Product {
    /// A product that is new: without stock, and not announced yet.
    pub fn new(sku: Sku, definition: Definition) -> Self {
        Self { sku, definition, version: 1, stock: Stock::default(), low: false, head: Head::NONE }
    }

    /// Defines it anew.
    ///
    /// A threshold that the stock reaches ends an alarm. One that it misses begins none: only a fall does (see
    /// [`crate::shelf`]).
    pub fn redefine(&mut self, definition: Definition) -> Change {
        if self.definition == definition {
            return Change::None;
        }
        let before = self.changed();
        self.definition = definition;
        self.version += 1;
        self.low &= self.definition.low_stock_threshold.is_some_and(|threshold| self.stock.available() < threshold);
        if self.changed() == before { Change::Private } else { Change::Public }
    }

    /// The event that announces it as it is now.
    pub fn changed(&self) -> ProductChanged {
        ProductChanged {
            sku: self.sku.clone(),
            name: self.definition.name.clone(),
            unit_price: self.definition.unit_price,
            active: self.definition.active,
        }
    }
}

#[cfg(test)]
mod tests {
    use contracts::money::Currency;

    use super::*;

    fn tea() -> Definition {
        Definition {
            name: "Tea".to_owned(),
            unit_price: Money::new(499, Currency::EUR).unwrap(),
            active: true,
            low_stock_threshold: None,
        }
    }

    #[test]
    fn only_what_others_copy_is_announced() {
        let dollars = Money::new(499, "USD".parse().unwrap()).unwrap();
        for (definition, change) in [
            (tea(), Change::None),
            (Definition { low_stock_threshold: Some(3), ..tea() }, Change::Private),
            (Definition { name: "Green tea".to_owned(), ..tea() }, Change::Public),
            (Definition { unit_price: dollars, low_stock_threshold: Some(3), ..tea() }, Change::Public),
            (Definition { active: false, ..tea() }, Change::Public),
        ] {
            let mut product = Product::new("tea".parse().unwrap(), tea());
            assert_eq!(product.redefine(definition.clone()), change);
            assert_eq!(product.version, if change == Change::None { 1 } else { 2 });
            assert_eq!(product.definition, definition);
        }
    }

    #[test]
    fn a_threshold_that_is_reached_ends_the_alarm() {
        for (threshold, low) in [(Some(6), true), (Some(5), false), (None, false)] {
            let mut product =
                Product::new("tea".parse().unwrap(), Definition { low_stock_threshold: Some(9), ..tea() });
            (product.stock.on_hand, product.low) = (5, true);
            product.redefine(Definition { low_stock_threshold: threshold, ..tea() });
            assert_eq!(product.low, low, "{threshold:?}");
        }
    }
}
