//! The state: what the databases hold, what the provider has done, and which messages are on their way.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{Hash, Hasher};

use chrono::DateTime;
use contracts::money::{Currency, Money};
use contracts::order::CancelReason;
use contracts::values::{CustomerId, OrderId, Sku};
use inventory::reservation::State as Reservation;
use messaging::tx::Head;
use order::order::{Line, Order};
use uuid::Uuid;

use crate::payments::{Answer, Row};

/// How an order is paid.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Method {
    /// The provider takes the money at once.
    Ok,
    /// The provider refuses.
    Declined,
    /// The provider fails once in a transient way, then takes the money.
    Flaky,
    /// The provider tells by a webhook, with a payment id of its own.
    Manual,
}

/// One order that may be placed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// How many of which sku, by its number.
    pub lines: Vec<(usize, i64)>,
    /// How it is paid.
    pub method: Method,
}

/// What is explored: some orders over some stock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setting {
    /// The orders.
    pub plans: Vec<Plan>,
    /// How much there is of each sku at first.
    pub stock: Vec<i64>,
    /// How many payments of its own the provider may report for each [`Method::Manual`] order.
    pub webhooks: u8,
    /// Whether people cancel.
    pub cancellations: bool,
    /// Whether workers stop around their calls, and others take over what they have claimed.
    pub crashes: bool,
    /// Whether messages and answers come again after they took effect.
    pub repeats: Repeats,
    /// What this world does wrong, to see that it would be found.
    pub mistake: Option<Mistake>,
}

/// What comes again after it took effect. Neither world is the easier one: what comes again may do harm, and may mend what
/// was forgotten the first time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Repeats {
    /// Nothing: inboxes recognise it.
    Recognised,
    /// Everything, for ever, as if there were no inboxes.
    Everything,
}

/// Something that a careless system would do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mistake {
    /// A cancellation that overtakes its order leaves no marker in inventory.
    NoMarker,
    /// Money that is owed is not given back.
    NoRefund,
    /// A cancellation withdraws a payment of which the provider was asked already.
    WithdrawsClaims,
    /// An order that is known is held once more when its creation comes again.
    HoldsTwice,
    /// What a provider answered to a worker whose claim was taken over counts as if it were the last word.
    TrustsOldClaims,
    /// An order that waits for its payment waits for ever.
    NoDeadline,
}

/// A message, as its consumer sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Message {
    /// `order.created`, to inventory.
    Created(usize),
    /// `order.confirmed`, to inventory.
    Confirmed(usize),
    /// `order.cancelled`, to inventory.
    Cancelled(usize),
    /// `inventory.reserved`, to order.
    Reserved(usize),
    /// `inventory.rejected`, to order.
    Rejected(usize),
}

/// A payment's id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum PaymentId {
    /// The one that the shop has started for an order.
    Own(usize),
    /// The provider's own, for an order that is paid by hand.
    Foreign(usize, u8),
}

impl PaymentId {
    /// The order that it is for.
    pub fn order(self) -> usize {
        match self {
            Self::Own(order) | Self::Foreign(order, _) => order,
        }
    }

    /// The id as the services know it.
    pub fn text(self) -> String {
        format!("{self:?}")
    }
}

/// An order of the service, compared by all of it and hashed by what changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Placed(pub Order);

impl Hash for Placed {
    fn hash<H: Hasher>(&self, state: &mut H) {
        let Order { status, payment, owed, cancel_reason, .. } = &self.0;
        (status, payment.status, &payment.id, owed, cancel_reason).hash(state);
    }
}

/// The state of everything.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct World {
    /// The rows of `orders`; `None` before one is placed.
    pub orders: Vec<Option<Placed>>,
    /// The rows of `payment`.
    pub payments: BTreeMap<PaymentId, Row>,
    /// What was published and can come: in any order, at any time.
    pub messages: BTreeSet<Message>,
    /// The rows of `reservation`.
    pub reservations: BTreeMap<usize, Reservation>,
    /// `on_hand` and `reserved` of each sku.
    pub stock: Vec<(i64, i64)>,
    /// The sums of the ledger for each sku.
    pub ledger: Vec<(i64, i64)>,
    /// The payments for which the provider has taken money, and those for which it has given money back.
    pub charged: BTreeSet<PaymentId>,
    /// See `charged`.
    pub refunded: BTreeSet<PaymentId>,
    /// How often the provider was asked to charge, as far as that matters.
    pub asked: BTreeMap<PaymentId, u8>,
    /// What the provider has answered and can be recorded: at any time, or never.
    pub told: BTreeSet<Answer>,
    /// What may never happen, if it has.
    pub broken: Option<&'static str>,
}

impl World {
    /// Before anything has happened.
    pub fn new(setting: &Setting) -> Self {
        let stock: Vec<(i64, i64)> = setting.stock.iter().map(|on_hand| (*on_hand, 0)).collect();
        Self {
            orders: vec![None; setting.plans.len()],
            payments: BTreeMap::new(),
            messages: BTreeSet::new(),
            reservations: BTreeMap::new(),
            ledger: stock.clone(),
            stock,
            charged: BTreeSet::new(),
            refunded: BTreeSet::new(),
            asked: BTreeMap::new(),
            told: BTreeSet::new(),
            broken: None,
        }
    }

    /// The order, if it was placed.
    pub fn order(&self, index: usize) -> Option<&Order> {
        self.orders[index].as_ref().map(|placed| &placed.0)
    }

    /// Why the order is over, if it is.
    pub fn cancelled(&self, index: usize) -> Option<CancelReason> {
        self.order(index).and_then(|order| order.cancel_reason)
    }
}

/// The order's id.
pub fn order_id(index: usize) -> OrderId {
    OrderId(Uuid::from_u128(index as u128 + 1))
}

/// The sku's name.
///
/// # Panics
/// Never: it is one.
pub fn sku(index: usize) -> Sku {
    format!("sku-{index}").parse().expect("a sku")
}

/// The price of one of anything.
///
/// # Panics
/// Never: it is money.
pub fn price() -> Money {
    Money::zero(Currency::EUR)
}

/// The head of every event: time and version are the same in all states, so that states differ by what matters.
pub const HEAD: Head = Head { sequence: 1, time: DateTime::UNIX_EPOCH };

/// An order as it is placed.
///
/// # Panics
/// When the plan has a quantity that no order can have.
pub fn place(index: usize, plan: &Plan) -> Order {
    let line = |(number, quantity): &(usize, i64)| Line {
        sku: sku(*number),
        name: String::new(),
        quantity: (*quantity).try_into().expect("a quantity"),
        unit_price: price(),
    };
    let lines = plan.lines.iter().map(line).collect();
    let method = format!("{:?}", plan.method);
    Order::place(CustomerId(Uuid::from_u128(1)), lines, price(), method, order_id(index), HEAD.time)
}
