//! What can happen: people place and cancel, messages come, workers work, time passes.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use inventory::reservation::{Effect, Line, State as Reservation, lines};
use inventory::shelf::{Item, Shelf};
use inventory::stock::{Kind, Stock};
use messaging::tx::Head;
use order::order::Status;
use order::order::command::{Command, decide};

use crate::payments::{self, Answer, Row};
use crate::world::{HEAD, Message, Method, Mistake, PaymentId, Placed, Repeats, Setting, World, order_id, place, sku};

/// One step of anybody. Each is one transaction, or one call to the provider.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Step {
    /// A customer places an order.
    Place(usize),
    /// Somebody cancels an order.
    Cancel(usize),
    /// A message comes, for the first time or again.
    Come(Message),
    /// A worker claims a payment.
    Claim(PaymentId),
    /// The time of a claim is over, and another worker takes it over.
    TakeOver(PaymentId),
    /// The provider is asked about a claimed payment.
    Ask(PaymentId),
    /// An answer of the provider is recorded.
    Record(Answer),
    /// The worker that has an answer stops before it records it.
    Crash(Answer),
    /// The provider reports a payment by webhook: completed or failed.
    Webhook(PaymentId, bool),
    /// An order has waited for its payment for too long.
    GiveUp(usize),
}

/// Everything that can happen next.
pub fn possible(world: &World, setting: &Setting) -> Vec<Step> {
    let mut steps = Vec::new();
    for (index, plan) in setting.plans.iter().enumerate() {
        let Some(order) = world.order(index) else {
            steps.push(Step::Place(index));
            continue;
        };
        if setting.cancellations && order.status != Status::Cancelled {
            steps.push(Step::Cancel(index));
        }
        if plan.method == Method::Manual {
            let ids = (0..setting.webhooks).map(|number| PaymentId::Foreign(index, number));
            steps.extend(ids.flat_map(|id| [Step::Webhook(id, true), Step::Webhook(id, false)]));
        }
        if payments::may_be_overdue(world, index) && setting.mistake != Some(Mistake::NoDeadline) {
            steps.push(Step::GiveUp(index));
        }
    }
    steps.extend(world.messages.iter().copied().map(Step::Come));
    for (id, row) in &world.payments {
        match row {
            Row::Due | Row::RefundDue => steps.push(Step::Claim(*id)),
            Row::Claimed(claim) if claim.asked && setting.crashes => steps.push(Step::TakeOver(*id)),
            Row::Claimed(claim) if claim.asked => {}
            Row::Claimed(_) | Row::Refunding => steps.push(Step::Ask(*id)),
            _ => {}
        }
    }
    for answer in &world.told {
        steps.push(Step::Record(*answer));
        if setting.crashes {
            steps.push(Step::Crash(*answer));
        }
    }
    steps
}

/// Lets a step happen.
pub fn happen(world: &mut World, setting: &Setting, step: Step) {
    match step {
        Step::Place(index) => {
            world.orders[index] = Some(Placed(place(index, &setting.plans[index])));
            world.messages.insert(Message::Created(index));
        }
        Step::Cancel(index) => advance(world, setting, index, &Command::Cancel(None)),
        Step::Come(message) => {
            if handle(world, setting, message) && setting.repeats == Repeats::Recognised {
                world.messages.remove(&message);
            }
        }
        Step::Claim(id) => payments::claim(world, id),
        Step::TakeOver(id) => payments::take_over(world, id),
        Step::Ask(id) => payments::ask(world, setting, id),
        Step::Record(answer) => {
            if !world.told.contains(&answer) {
                return;
            }
            payments::record(world, setting, answer);
            if setting.repeats == Repeats::Recognised {
                world.told.remove(&answer);
            }
        }
        Step::Crash(answer) => {
            world.told.remove(&answer);
        }
        Step::Webhook(id, completed) => payments::webhook(world, setting, id, completed),
        Step::GiveUp(index) => advance(world, setting, index, &Command::GiveUp),
    }
}

/// A message comes to its consumer. Returns whether it took effect; one that did not comes again, as a retry does.
fn handle(world: &mut World, setting: &Setting, message: Message) -> bool {
    match message {
        Message::Reserved(index) => advance(world, setting, index, &Command::Reserve),
        Message::Rejected(index) => advance(world, setting, index, &Command::RunOut),
        Message::Created(index) => hold(world, setting, index),
        Message::Confirmed(index) => {
            if !world.reservations.contains_key(&index) {
                return false;
            }
            settle(world, index, Reservation::confirm);
        }
        Message::Cancelled(index) => release(world, setting, index),
    }
    true
}

/// Obeys a command about one order: what `saga::advance` does, without a database.
pub fn advance(world: &mut World, setting: &Setting, index: usize, command: &Command) {
    let Some(Placed(order)) = &world.orders[index] else { return };
    let mut order = order.clone();
    let Ok(events) = decide(&order, command) else { return };
    for event in events {
        let owed_before = order.owed.clone();
        order.apply(&event, HEAD, None);
        let newly_owed: Vec<String> = order.owed.iter().filter(|id| !owed_before.contains(id)).cloned().collect();
        payments::follow(world, setting, index, &event, &newly_owed);
        world.messages.extend(payments::message(index, &event));
    }
    world.orders[index] = Some(Placed(order));
}

/// The lines of an order, as inventory reads them.
pub fn lines_of(world: &World, index: usize) -> Vec<Line> {
    world.order(index).and_then(|order| lines(&order.created().lines).ok()).unwrap_or_default()
}

fn hold(world: &mut World, setting: &Setting, index: usize) {
    if world.reservations.contains_key(&index) && setting.mistake != Some(Mistake::HoldsTwice) {
        return;
    }
    let lines = lines_of(world, index);
    let mut shelf = take(world);
    if shelf.hold(order_id(index), &lines).is_ok() {
        world.reservations.insert(index, Reservation::Held);
        world.messages.insert(Message::Reserved(index));
    } else if let Entry::Vacant(unanswered) = world.reservations.entry(index) {
        unanswered.insert(Reservation::Rejected);
        world.messages.insert(Message::Rejected(index));
    }
    put_back(world, &shelf);
}

fn release(world: &mut World, setting: &Setting, index: usize) {
    match world.reservations.entry(index) {
        Entry::Occupied(_) => settle(world, index, Reservation::cancel),
        Entry::Vacant(unanswered) if setting.mistake != Some(Mistake::NoMarker) => {
            unanswered.insert(Reservation::Released);
        }
        Entry::Vacant(_) => {}
    }
}

/// Moves a reservation.
fn settle(world: &mut World, index: usize, effect: impl Fn(Reservation) -> Effect) {
    let Some(Effect::Move(kind, next)) = world.reservations.get(&index).map(|state| effect(*state)) else { return };
    let lines = lines_of(world, index);
    let mut shelf = take(world);
    match shelf.settle(order_id(index), kind, &lines) {
        Ok(()) => {
            world.reservations.insert(index, next);
            put_back(world, &shelf);
        }
        Err(_) => world.broken = Some("the stock does not cover its reservations"),
    }
}

fn take(world: &World) -> Shelf {
    let item = |(on_hand, reserved): &(i64, i64)| Item {
        name: String::new(),
        threshold: None,
        stock: Stock { on_hand: *on_hand, reserved: *reserved },
        low: false,
        low_head: Head::NONE,
    };
    let items: BTreeMap<_, _> = world.stock.iter().enumerate().map(|(number, row)| (sku(number), item(row))).collect();
    Shelf::new(items)
}

fn put_back(world: &mut World, shelf: &Shelf) {
    for (number, (row, sums)) in world.stock.iter_mut().zip(&mut world.ledger).enumerate() {
        let sku = sku(number);
        if let Some(item) = shelf.get(&sku) {
            *row = (item.stock.on_hand, item.stock.reserved);
        }
        for entry in shelf.entries().iter().filter(|entry| entry.sku == sku) {
            debug_assert_ne!(entry.movement.kind, Kind::Adjusted, "nobody adjusts here");
            sums.0 += entry.movement.on_hand_delta;
            sums.1 += entry.movement.reserved_delta;
        }
    }
}
