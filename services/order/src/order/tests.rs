//! The saga's table, line by line, and what holds for every way through it.

use proptest::prelude::*;

use super::command::{Command, PaymentResult, Refusal, decide};
use super::*;

fn eur(amount: i64) -> Money {
    Money::new(amount, contracts::money::Currency::EUR).unwrap()
}

fn order() -> Order {
    let line =
        Line { sku: "tea".parse().unwrap(), name: "Tea".into(), quantity: 2.try_into().unwrap(), unit_price: eur(250) };
    Order::place(CustomerId::new(), vec![line], eur(500), "sandbox:ok".into(), OrderId::new(), Utc::now())
}

fn result(id: &str) -> PaymentResult {
    PaymentResult { payment_id: id.into(), amount: eur(500) }
}

/// Obeys each command in turn; refusals change nothing.
fn after(commands: &[Command]) -> Order {
    let mut order = order();
    for command in commands {
        obey(&mut order, command);
    }
    order
}

fn obey(order: &mut Order, command: &Command) -> Vec<OrderEvent> {
    let events = decide(order, command).unwrap_or_default();
    for event in &events {
        let note = match command {
            Command::Cancel(note) => note.as_deref(),
            _ => None,
        };
        order.apply(event, order.head().next(Utc::now()), note);
    }
    events
}

fn state(order: &Order) -> (Status, PaymentStatus, Option<CancelReason>) {
    (order.status, order.payment.status, order.cancel_reason)
}

#[test]
fn the_happy_way() {
    let order = after(&[Command::Reserve, Command::Pay(result("p"))]);
    assert_eq!(state(&order), (Status::Confirmed, PaymentStatus::Completed, None));
    assert_eq!((order.version, order.payment.id.as_deref()), (4, Some("p")));
}

#[test]
fn what_ends_an_order() {
    use CancelReason::{OutOfStock, PaymentFailed, PaymentTimeout, Requested};
    let fail = Command::FailPayment(result("p"), "declined".into());
    let cancel = Command::Cancel(Some("changed my mind".into()));
    for (commands, payment, reason) in [
        (vec![Command::RunOut], PaymentStatus::None, OutOfStock),
        (vec![Command::Reserve, fail], PaymentStatus::Failed, PaymentFailed),
        (vec![Command::Reserve, Command::GiveUp], PaymentStatus::None, PaymentTimeout),
        (vec![cancel.clone()], PaymentStatus::None, Requested),
        (vec![Command::Reserve, cancel.clone()], PaymentStatus::None, Requested),
        (vec![Command::Reserve, Command::Pay(result("p")), cancel], PaymentStatus::Completed, Requested),
    ] {
        assert_eq!(state(&after(&commands)), (Status::Cancelled, payment, Some(reason)), "{commands:?}");
    }
}

#[test]
fn a_payment_that_comes_too_late_is_recorded_once() {
    let mut order = after(&[Command::Reserve, Command::GiveUp]);
    assert_eq!(obey(&mut order, &Command::Pay(result("p"))).len(), 1);
    assert_eq!(obey(&mut order, &Command::Pay(result("p"))).len(), 0);
    assert_eq!(order.owed, ["p"]);
    obey(&mut order, &Command::Refund(result("p")));
    assert_eq!(state(&order), (Status::Cancelled, PaymentStatus::Refunded, Some(CancelReason::PaymentTimeout)));
    assert_eq!(obey(&mut order, &Command::Pay(result("p"))).len(), 0, "it was told before");
    assert_eq!(obey(&mut order, &Command::Refund(result("p"))).len(), 0);
}

#[test]
fn a_payment_that_comes_too_early_goes_back_and_is_not_the_order_s_own() {
    let mut order = after(&[Command::Pay(result("early")), Command::Reserve]);
    assert_eq!((order.payment.status, &order.payment.id), (PaymentStatus::Pending, &None));
    assert_eq!(order.unrefunded().collect::<Vec<_>>(), ["early"]);
    assert_eq!(obey(&mut order, &Command::FailPayment(result("early"), "now it says so".into())).len(), 0);
    obey(&mut order, &Command::Pay(result("own")));
    assert_eq!(obey(&mut order, &Command::Refund(result("early"))).len(), 1);
    assert_eq!(state(&order), (Status::Confirmed, PaymentStatus::Completed, None), "its own payment stands");
    assert_eq!(order.unrefunded().collect::<Vec<_>>(), ["own"]);
    obey(&mut order, &Command::Cancel(None));
    assert_eq!(order.owed, ["own"]);
}

#[test]
fn of_two_payments_the_first_stands() {
    let mut order = after(&[Command::Reserve, Command::Pay(result("one")), Command::Pay(result("two"))]);
    assert_eq!((order.payment.id.as_deref(), order.owed.as_slice()), (Some("one"), &["two".to_owned()][..]));
    obey(&mut order, &Command::Refund(result("two")));
    assert_eq!(state(&order), (Status::Confirmed, PaymentStatus::Completed, None));
    assert_eq!(obey(&mut order, &Command::Refund(result("one"))).len(), 0, "nobody owes it");
}

#[test]
fn only_a_cancelled_order_refuses_to_be_cancelled() {
    let order = after(&[Command::Cancel(None)]);
    assert_eq!(decide(&order, &Command::Cancel(None)), Err(Refusal::AlreadyCancelled));
}

fn any_command() -> impl Strategy<Value = Command> {
    let payment = || prop_oneof![Just("own"), Just("other"), Just("third")].prop_map(result);
    prop_oneof![
        Just(Command::Reserve),
        Just(Command::RunOut),
        payment().prop_map(Command::Pay),
        payment().prop_map(|result| Command::FailPayment(result, "declined".into())),
        Just(Command::GiveUp),
        payment().prop_map(Command::Refund),
        Just(Command::Cancel(None)),
    ]
}

proptest! {
    #[test]
    fn whatever_happens_in_whatever_order(commands in proptest::collection::vec(any_command(), 0..16)) {
        let mut order = order();
        let mut balance = std::collections::BTreeMap::<String, i32>::new();
        for command in &commands {
            let before = order.clone();
            let events = obey(&mut order, command);
            for event in &events {
                match event {
                    OrderEvent::PaymentCompleted(event) => *balance.entry(event.payment_id.clone()).or_default() += 1,
                    OrderEvent::PaymentRefunded(event) => *balance.entry(event.payment_id.clone()).or_default() -= 1,
                    _ => {}
                }
            }
            prop_assert_eq!(order.version, before.version + events.len() as i64, "one version per event");
            prop_assert!(order.updated_at >= before.updated_at);
            if before.status == Status::Cancelled {
                prop_assert_eq!(order.status, Status::Cancelled, "what is over stays over");
                prop_assert_eq!(order.cancel_reason, before.cancel_reason);
            }
            if before.status == Status::Confirmed && order.status != Status::Confirmed {
                prop_assert_eq!(order.cancel_reason, Some(CancelReason::Requested), "only a request undoes a confirmation");
            }
            if order.status == Status::Confirmed {
                prop_assert_eq!(order.payment.status, PaymentStatus::Completed);
            }
            prop_assert!(balance.values().all(|paid| (0..=1).contains(paid)), "{balance:?}");
            let kept: Vec<&str> = balance.iter().filter(|(_, paid)| **paid == 1).map(|(id, _)| id.as_str()).collect();
            let mut unrefunded: Vec<&str> = order.unrefunded().collect();
            unrefunded.sort_unstable();
            unrefunded.dedup();
            prop_assert_eq!(&unrefunded, &kept, "it knows what it was paid");
            let own = order.payment.id.as_deref().filter(|_| order.status == Status::Confirmed);
            let owed = order.owed.iter().map(String::as_str);
            prop_assert_eq!(owed.chain(own).count(), kept.len(), "all but its own payment goes back, once");
        }
    }
}
