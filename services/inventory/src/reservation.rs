//! What becomes of an order's stock: the states of a reservation and what events do to it. Pure: no I/O, no async.
//!
//! Events may come twice and in any order, so what an event does depends on the state alone, and an end is an end: a
//! cancellation wins over a later confirmation.
//!
//! ```text
//! order.created ──► held ──order.confirmed──► committed ──order.cancelled──► returned
//!          │          └────order.cancelled──► released
//!          └──────► rejected
//! order.cancelled first ────────────────────► released, without lines
//! ```

use std::str::FromStr;

use contracts::order::CreatedLine;
use contracts::values::{Quantity, Sku};
use serde::{Deserialize, Serialize};

use crate::stock::Kind;

/// How much of a product an order takes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Line {
    /// Of what.
    pub sku: Sku,
    /// How many.
    pub quantity: Quantity,
}

/// What an order takes, each sku once, in the order of its lines.
///
/// # Errors
/// [`InvalidLines`] where the contract is broken: no line at all, or more of one sku than an order may have.
pub fn lines(ordered: &[CreatedLine]) -> Result<Vec<Line>, InvalidLines> {
    let mut lines: Vec<Line> = Vec::with_capacity(ordered.len());
    for line in ordered {
        match lines.iter_mut().find(|known| known.sku == line.sku) {
            Some(known) => {
                let sum = known.quantity.get() + line.quantity.get();
                known.quantity = Quantity::try_from(sum).map_err(|_| InvalidLines)?;
            }
            None => lines.push(Line { sku: line.sku.clone(), quantity: line.quantity }),
        }
    }
    if lines.is_empty() { Err(InvalidLines) } else { Ok(lines) }
}

/// Lines that no order can have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("data.lines: empty, or more of one sku than an order may have")]
pub struct InvalidLines;

/// Where a reservation stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum State {
    /// All lines are held; the order waits for its payment.
    Held,
    /// Not all lines could be held, so none is.
    Rejected,
    /// The goods are gone to the customer.
    Committed,
    /// The order was cancelled before the goods went, or before it came here at all.
    Released,
    /// The order was cancelled afterwards; the goods are back.
    Returned,
}

impl State {
    /// All states.
    pub const ALL: [State; 5] = [State::Held, State::Rejected, State::Committed, State::Released, State::Returned];

    /// The state as it is stored and answered.
    pub const fn as_str(self) -> &'static str {
        match self {
            State::Held => "held",
            State::Rejected => "rejected",
            State::Committed => "committed",
            State::Released => "released",
            State::Returned => "returned",
        }
    }

    /// What `order.confirmed` does.
    pub const fn confirm(self) -> Effect {
        match self {
            State::Held => Effect::Move(Kind::Committed, State::Committed),
            State::Committed => Effect::None,
            State::Rejected | State::Released | State::Returned => Effect::TooLate,
        }
    }

    /// What `order.cancelled` does.
    pub const fn cancel(self) -> Effect {
        match self {
            State::Held => Effect::Move(Kind::Released, State::Released),
            State::Committed => Effect::Move(Kind::Returned, State::Returned),
            State::Rejected | State::Released | State::Returned => Effect::None,
        }
    }
}

impl FromStr for State {
    type Err = UnknownState;
    fn from_str(text: &str) -> Result<Self, UnknownState> {
        Self::ALL.into_iter().find(|state| state.as_str() == text).ok_or(UnknownState)
    }
}

/// A text that is no [`State`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a state of a reservation")]
pub struct UnknownState;

/// What an event does to a reservation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// A movement of this kind for each line; the reservation is in this state then.
    Move(Kind, State),
    /// Nothing: it was done before, or there is nothing to do.
    None,
    /// Nothing, though something was meant: the order has already ended. Somebody should know.
    TooLate,
}

#[cfg(test)]
mod tests {
    use contracts::money::{Currency, Money};
    use proptest::prelude::*;

    use super::*;
    use crate::stock::{Movement, Stock};

    fn line(sku: &str, quantity: i64) -> CreatedLine {
        CreatedLine {
            sku: sku.parse().unwrap(),
            quantity: quantity.try_into().unwrap(),
            unit_price: Money::zero(Currency::EUR),
        }
    }

    #[test]
    fn lines_of_one_sku_become_one() {
        let merged = lines(&[line("b", 1), line("a", 2), line("b", 3)]).unwrap();
        let merged: Vec<_> = merged.iter().map(|line| (line.sku.as_str(), line.quantity.get())).collect();
        assert_eq!(merged, [("b", 4), ("a", 2)]);
    }

    #[test]
    fn lines_that_break_the_contract_are_refused() {
        assert_eq!(lines(&[]), Err(InvalidLines));
        assert_eq!(lines(&[line("a", 10_000), line("a", 1)]), Err(InvalidLines));
    }

    #[test]
    fn states_are_read_as_they_are_written() {
        for state in State::ALL {
            assert_eq!(state.as_str().parse(), Ok(state));
        }
        assert_eq!("lost".parse::<State>(), Err(UnknownState));
    }

    #[test]
    fn an_effect_repeated_is_none() {
        for state in State::ALL {
            if let Effect::Move(_, next) = state.confirm() {
                assert_eq!(next.confirm(), Effect::None);
            }
            if let Effect::Move(_, next) = state.cancel() {
                assert_eq!(next.cancel(), Effect::None);
            }
        }
    }

    proptest! {
        /// However often and in whatever order they come: once cancelled, all stock is back; confirmed alone, it is gone.
        #[test]
        fn the_outcome_does_not_depend_on_the_arrival(cancels in prop::collection::vec(any::<bool>(), 1..10)) {
            let start = Stock { on_hand: 5, reserved: 5 };
            let (mut state, mut stock) = (State::Held, start);
            for cancel in &cancels {
                let effect = if *cancel { state.cancel() } else { state.confirm() };
                if let Effect::Move(kind, next) = effect {
                    stock = stock.after(Movement::of(kind, 5)).expect("within the bounds");
                    state = next;
                }
            }
            let expected = if cancels.contains(&true) { Stock { on_hand: 5, reserved: 0 } } else { Stock::default() };
            prop_assert_eq!(stock, expected);
        }
    }
}
