//! A product's stock, and the movements that change it. Pure: no I/O, no async.
//!
//! Stock changes by a [`Movement`] and in no other way, and each movement is a row of the ledger, so the ledger adds up.

/// How much of a product there is. `on_hand >= reserved >= 0`, always.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Stock {
    /// In the house.
    pub on_hand: i64,
    /// Of these, promised to orders that are not paid yet.
    pub reserved: i64,
}

impl Stock {
    /// The most of one product that a person may put in: the largest integer that every JSON reader keeps exact
    /// (RFC 8259, section 6). What orders give back may go beyond it, and is still far from the end of 64 bits.
    pub const MAX_ON_HAND: i64 = (1 << 53) - 1;

    /// What can still be promised.
    pub const fn available(self) -> i64 {
        self.on_hand - self.reserved
    }

    /// The stock after a movement; `None` where there would be more promised than there is, or less than nothing.
    #[must_use]
    pub fn after(self, movement: Movement) -> Option<Stock> {
        let on_hand = self.on_hand.checked_add(movement.on_hand_delta)?;
        let reserved = self.reserved.checked_add(movement.reserved_delta)?;
        (on_hand >= reserved && reserved >= 0).then_some(Stock { on_hand, reserved })
    }
}

/// Why stock changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// By a person: goods arrived, were counted, or broke.
    Adjusted,
    /// Held for an order.
    Reserved,
    /// Gone to a customer.
    Committed,
    /// No longer held for an order.
    Released,
    /// Back from an order that had been committed.
    Returned,
}

impl Kind {
    /// All kinds.
    pub const ALL: [Kind; 5] = [Kind::Adjusted, Kind::Reserved, Kind::Committed, Kind::Released, Kind::Returned];

    /// The kind as it stands in the ledger and in answers.
    pub const fn as_str(self) -> &'static str {
        match self {
            Kind::Adjusted => "adjusted",
            Kind::Reserved => "reserved",
            Kind::Committed => "committed",
            Kind::Released => "released",
            Kind::Returned => "returned",
        }
    }
}

/// One change of a product's stock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Movement {
    /// Why.
    pub kind: Kind,
    /// What it adds to `on_hand`.
    pub on_hand_delta: i64,
    /// What it adds to `reserved`.
    pub reserved_delta: i64,
}

impl Movement {
    /// A movement of `quantity` pieces, which is above 0 but for [`Kind::Adjusted`], where it may be below.
    pub const fn of(kind: Kind, quantity: i64) -> Self {
        let (on_hand_delta, reserved_delta) = match kind {
            Kind::Adjusted | Kind::Returned => (quantity, 0),
            Kind::Reserved => (0, quantity),
            Kind::Committed => (-quantity, -quantity),
            Kind::Released => (0, -quantity),
        };
        Self { kind, on_hand_delta, reserved_delta }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn each_kind_moves_what_it_should() {
        let stock = Stock { on_hand: 10, reserved: 4 };
        for (kind, quantity, on_hand, reserved) in [
            (Kind::Adjusted, 5, 15, 4),
            (Kind::Adjusted, -6, 4, 4),
            (Kind::Reserved, 6, 10, 10),
            (Kind::Committed, 4, 6, 0),
            (Kind::Released, 3, 10, 1),
            (Kind::Returned, 2, 12, 4),
        ] {
            assert_eq!(stock.after(Movement::of(kind, quantity)), Some(Stock { on_hand, reserved }), "{kind:?}");
        }
    }

    #[test]
    fn a_movement_beyond_the_bounds_is_none() {
        let stock = Stock { on_hand: 10, reserved: 4 };
        for (kind, quantity) in [
            (Kind::Adjusted, -7),
            (Kind::Adjusted, i64::MAX),
            (Kind::Reserved, 7),
            (Kind::Committed, 5),
            (Kind::Released, 5),
            (Kind::Returned, i64::MAX),
        ] {
            assert_eq!(stock.after(Movement::of(kind, quantity)), None, "{kind:?}");
        }
    }

    proptest! {
        #[test]
        fn the_ledger_adds_up_and_nothing_is_oversold(
            moves in prop::collection::vec((0..Kind::ALL.len(), -20_i64..20), 0..60),
        ) {
            let mut stock = Stock::default();
            let mut ledger = (0, 0);
            for (kind, quantity) in moves {
                let kind = Kind::ALL[kind];
                let quantity = if kind == Kind::Adjusted { quantity } else { quantity.abs() };
                let movement = Movement::of(kind, quantity);
                if let Some(after) = stock.after(movement) {
                    stock = after;
                    ledger = (ledger.0 + movement.on_hand_delta, ledger.1 + movement.reserved_delta);
                }
                prop_assert!(stock.on_hand >= stock.reserved && stock.reserved >= 0);
                prop_assert_eq!(ledger, (stock.on_hand, stock.reserved));
            }
        }
    }
}
