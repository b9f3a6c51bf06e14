//! What must hold in every state, and what must hold once everything has come to rest.

use inventory::reservation::State as Reservation;
use order::order::Status;

use crate::payments::Row;
use crate::steps::{Step, happen, lines_of, possible};
use crate::world::{PaymentId, Setting, World};

/// How many rounds a world may take to come to rest. Each brings every order at least one step further.
const ROUNDS: usize = 64;

/// What does not hold now, if anything: whatever has happened, in whatever order.
pub fn violated(world: &World, setting: &Setting) -> Option<&'static str> {
    if world.broken.is_some() {
        return world.broken;
    }
    if world.stock.iter().any(|(on_hand, reserved)| on_hand < reserved || *reserved < 0) {
        return Some("oversold");
    }
    if world.stock != world.ledger {
        return Some("the ledger does not add up to the stock");
    }
    for (number, (on_hand, reserved)) in world.stock.iter().enumerate() {
        let sum = |state| pieces(world, number, state);
        if *reserved != sum(Reservation::Held) {
            return Some("what is reserved is not what is held for orders");
        }
        if *on_hand != setting.stock[number] - sum(Reservation::Committed) {
            return Some("what is gone is not what was committed");
        }
    }
    (0..setting.plans.len()).find_map(|index| disagreement(world, index))
}

fn pieces(world: &World, number: usize, state: Reservation) -> i64 {
    let sku = crate::world::sku(number);
    let indices = world.reservations.iter().filter(|(_, held)| **held == state).map(|(index, _)| *index);
    let lines = indices.flat_map(|index| lines_of(world, index));
    lines.filter(|line| line.sku == sku).map(|line| line.quantity.get()).sum()
}

/// Where `order` and `inventory` disagree in a way that no message on its way explains.
fn disagreement(world: &World, index: usize) -> Option<&'static str> {
    let order = world.order(index)?;
    let reservation = world.reservations.get(&index);
    match (order.status, reservation) {
        (Status::Reserved, Some(Reservation::Held))
        | (Status::Confirmed, Some(Reservation::Held | Reservation::Committed)) => {}
        (Status::Reserved | Status::Confirmed, _) => return Some("an order goes on without its stock"),
        (Status::Pending, Some(Reservation::Committed | Reservation::Released | Reservation::Returned)) => {
            return Some("an order lost its stock before it was told");
        }
        (Status::Pending | Status::Cancelled, _) => {}
    }
    let is_paid = kept(world, index).iter().any(|id| order.payment.id.as_deref() == Some(&id.text()));
    (order.status == Status::Confirmed && !is_paid).then_some("an order is confirmed and not paid")
}

/// The payments of an order for which money was taken and not given back.
fn kept(world: &World, index: usize) -> Vec<PaymentId> {
    world.charged.difference(&world.refunded).copied().filter(|id| id.order() == index).collect()
}

/// Lets everything happen that happens by itself in the end: messages come, workers work, deadlines pass. Nobody places or
/// cancels any more, no worker stops, and no webhook comes.
#[must_use]
pub fn at_rest(world: &World, setting: &Setting) -> World {
    let mut world = world.clone();
    for _ in 0..ROUNDS {
        let before = world.clone();
        let at_once = |step: &Step| matches!(step, Step::Come(_) | Step::Claim(_) | Step::Ask(_) | Step::Record(_));
        for step in possible(&world, setting).into_iter().filter(at_once) {
            happen(&mut world, setting, step);
        }
        if world == before {
            let in_time = |step: &Step| matches!(step, Step::TakeOver(_) | Step::GiveUp(_));
            match possible(&world, setting).into_iter().find(in_time) {
                Some(step) => happen(&mut world, setting, step),
                None => return world,
            }
        }
    }
    world.broken = Some("it does not come to rest");
    world
}

/// What does not hold at rest, if anything. From every state the way there must be open, so this is asked in all of them.
pub fn violated_at_rest(world: &World, setting: &Setting) -> Option<&'static str> {
    let world = at_rest(world, setting);
    if let Some(violation) = violated(&world, setting) {
        return Some(violation);
    }
    for index in 0..setting.plans.len() {
        let Some(order) = world.order(index) else { continue };
        let kept = kept(&world, index);
        let reservation = world.reservations.get(&index);
        match order.status {
            Status::Pending | Status::Reserved => return Some("an order does not come to its end"),
            Status::Confirmed if reservation != Some(&Reservation::Committed) => {
                return Some("a confirmed order's stock is not committed");
            }
            Status::Confirmed if kept.len() != 1 => return Some("a confirmed order is not paid exactly once"),
            Status::Cancelled if !kept.is_empty() => return Some("money is kept for a cancelled order"),
            Status::Cancelled if matches!(reservation, None | Some(Reservation::Held | Reservation::Committed)) => {
                return Some("a cancelled order's stock did not come back");
            }
            Status::Confirmed | Status::Cancelled => {}
        }
        if !order.owed.is_empty() {
            return Some("money is owed for ever");
        }
    }
    let open = |row: &Row| !matches!(row, Row::Completed | Row::Failed | Row::Withdrawn | Row::Refunded);
    world.payments.values().any(open).then_some("a payment is left open")
}
