//! What happens to payments: the rows of the table `payment`, as its statements change them, and the provider.

use order::order::command::{Command, PaymentResult};
use order::order::{OrderEvent, Status};

use crate::steps::advance;
use crate::world::{Message, Method, Mistake, PaymentId, Setting, World, price};

/// The state of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Row {
    /// To be charged.
    Due,
    /// Somebody else tells the result.
    Waiting,
    /// A worker is at it, or has left it.
    Claimed(Claim),
    /// Paid.
    Completed,
    /// Refused.
    Failed,
    /// Not wanted any more.
    Withdrawn,
    /// To be given back.
    RefundDue,
    /// A worker is at giving it back, or has left it.
    Refunding,
    /// Given back.
    Refunded,
}

/// A claim: which one, so that what an earlier one was answered is known to be old, and whether its worker has asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Claim {
    /// Its number, up to [`CLAIMS`].
    pub number: u8,
    /// Whether the provider was asked under it.
    pub asked: bool,
}

/// An answer of the provider, and the claim under which it was given.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Answer {
    /// About which payment.
    pub id: PaymentId,
    /// To which question.
    pub task: Task,
    /// What was said.
    pub told: Told,
    /// The number of the claim.
    pub claim: u8,
}

/// How many claims of one payment are told apart: an answer may be recorded after this many, less one, have followed.
const CLAIMS: u8 = 2;

/// What a worker asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Task {
    /// Take the money.
    Charge,
    /// Give it back.
    Refund,
}

/// What the provider answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Told {
    /// Done.
    Completed,
    /// Refused for good.
    Declined,
    /// By a webhook, later.
    Later,
    /// Not now.
    Again,
}

/// How often [`Method::Flaky`] fails before it succeeds.
const FLAKES: u8 = 1;

fn result(id: PaymentId) -> PaymentResult {
    PaymentResult { payment_id: id.text(), amount: price() }
}

/// A worker claims a row, and commits that before it asks.
pub fn claim(world: &mut World, id: PaymentId) {
    let Some(row) = world.payments.get_mut(&id) else { return };
    if *row == Row::Due {
        // A new claim is none of those that were answered.
        world.told.retain(|answer| answer.id != id || answer.task != Task::Charge);
    }
    *row = match *row {
        Row::Due => Row::Claimed(Claim { number: 0, asked: false }),
        Row::RefundDue => Row::Refunding,
        other => other,
    };
}

/// The time of a claim is over, and another worker takes it over.
pub fn take_over(world: &mut World, id: PaymentId) {
    if let Some(Row::Claimed(claim)) = world.payments.get_mut(&id) {
        *claim = Claim { number: (claim.number + 1) % CLAIMS, asked: false };
        let number = claim.number;
        world.told.retain(|answer| answer.id != id || answer.claim != number);
    }
}

/// The provider is asked about a claimed row.
pub fn ask(world: &mut World, setting: &Setting, id: PaymentId) {
    let (task, claim) = match world.payments.get_mut(&id) {
        Some(Row::Claimed(claim)) if !claim.asked => {
            claim.asked = true;
            (Task::Charge, claim.number)
        }
        Some(Row::Refunding) => (Task::Refund, 0),
        _ => return,
    };
    let told = match (task, setting.plans[id.order()].method) {
        (Task::Refund, _) => {
            world.refunded.insert(id);
            Told::Completed
        }
        (Task::Charge, Method::Ok) => {
            world.charged.insert(id);
            Told::Completed
        }
        (Task::Charge, Method::Flaky) => {
            let asked = world.asked.entry(id).or_default();
            *asked = (*asked + 1).min(FLAKES + 1);
            if *asked > FLAKES {
                world.charged.insert(id);
                Told::Completed
            } else {
                Told::Again
            }
        }
        (Task::Charge, Method::Declined) => Told::Declined,
        (Task::Charge, Method::Manual) => Told::Later,
    };
    world.told.insert(Answer { id, task, told, claim });
}

/// An answer is recorded with the order's next step, in one transaction.
pub fn record(world: &mut World, setting: &Setting, answer: Answer) {
    let Answer { id, task, told, claim } = answer;
    let command = match (task, told) {
        (Task::Charge, Told::Completed) => Some(Command::Pay(result(id))),
        (Task::Charge, Told::Declined) => Some(Command::FailPayment(result(id), String::new())),
        (Task::Refund, Told::Completed) => Some(Command::Refund(result(id))),
        _ => None,
    };
    if let Some(command) = command {
        advance(world, setting, id.order(), &command);
    }
    let next = match (task, told) {
        (Task::Charge, Told::Completed) => Row::Completed,
        (Task::Charge, Told::Declined) => Row::Failed,
        (Task::Charge, Told::Later) => Row::Waiting,
        (Task::Charge, Told::Again) => Row::Due,
        (Task::Refund, Told::Completed) => Row::Refunded,
        (Task::Refund, _) => Row::RefundDue,
    };
    let waits = world.order(id.order()).is_some_and(|order| order.status == Status::Reserved);
    let Some(row) = world.payments.get_mut(&id) else { return };
    let undone = matches!(next, Row::Due | Row::Waiting);
    let applies = match (task, *row) {
        // An earlier claim's "not now" says nothing about what a later one has done.
        (Task::Charge, Row::Claimed(current)) => {
            !undone || current.number == claim || setting.mistake == Some(Mistake::TrustsOldClaims)
        }
        (Task::Refund, Row::Refunding) => true,
        (Task::Charge, Row::Due | Row::Waiting | Row::Withdrawn) => next == Row::Completed,
        _ => false,
    };
    if applies {
        *row = if undone && !waits { Row::Withdrawn } else { next };
    }
}

/// What an order's event means for its payments: intents, withdrawals and refunds.
pub fn follow(world: &mut World, setting: &Setting, index: usize, event: &OrderEvent, newly_owed: &[String]) {
    match event {
        OrderEvent::Reserved(_) => {
            world.payments.insert(PaymentId::Own(index), Row::Due);
        }
        OrderEvent::Confirmed(_) | OrderEvent::Cancelled(_) => withdraw(world, setting, index),
        _ => {}
    }
    if setting.mistake == Some(Mistake::NoRefund) {
        return;
    }
    let known = (0..setting.webhooks).map(|number| PaymentId::Foreign(index, number)).chain([PaymentId::Own(index)]);
    for id in known.filter(|id| newly_owed.contains(&id.text())) {
        world.payments.insert(id, Row::RefundDue);
    }
}

fn withdraw(world: &mut World, setting: &Setting, index: usize) {
    let careless = setting.mistake == Some(Mistake::WithdrawsClaims);
    for (_, row) in world.payments.iter_mut().filter(|(id, _)| id.order() == index) {
        if matches!(*row, Row::Due | Row::Waiting) || (careless && matches!(*row, Row::Claimed(_))) {
            *row = Row::Withdrawn;
        }
    }
}

/// The provider reports a payment of its own by a webhook, as often as it likes. One that the shop refuses with 409 is the
/// provider's to give back, so nothing is taken.
pub fn webhook(world: &mut World, setting: &Setting, id: PaymentId, completed: bool) {
    let Some(order) = world.order(id.order()) else { return };
    let was_completed =
        matches!(world.payments.get(&id), Some(Row::Completed | Row::RefundDue | Row::Refunding | Row::Refunded));
    let has_another = order.unrefunded().any(|other| other != id.text());
    let is_news = completed || order.status == Status::Reserved;
    if was_completed || has_another || !is_news {
        return;
    }
    let command = if completed {
        world.charged.insert(id);
        Command::Pay(result(id))
    } else {
        Command::FailPayment(result(id), String::new())
    };
    advance(world, setting, id.order(), &command);
    let row = world.payments.entry(id).or_insert(Row::Waiting);
    if !matches!(*row, Row::RefundDue | Row::Refunding | Row::Refunded) {
        *row = if completed { Row::Completed } else { Row::Failed };
    }
}

/// Whether an order has waited long enough for its payment to be given up, whenever that is.
pub fn may_be_overdue(world: &World, index: usize) -> bool {
    let reserved = world.order(index).is_some_and(|order| order.status == Status::Reserved);
    let waits =
        |(id, row): (&PaymentId, &Row)| id.order() == index && matches!(row, Row::Due | Row::Waiting | Row::Claimed(_));
    reserved && world.payments.iter().any(waits)
}

/// The message that tells inventory of an order's event, where one does.
pub fn message(index: usize, event: &OrderEvent) -> Option<Message> {
    match event {
        OrderEvent::Created(_) => Some(Message::Created(index)),
        OrderEvent::Confirmed(_) => Some(Message::Confirmed(index)),
        OrderEvent::Cancelled(_) => Some(Message::Cancelled(index)),
        _ => None,
    }
}
