//! Every state of small worlds, and long histories of larger ones.

use proptest::prelude::*;
use stateright::{Checker, Model};

use crate::promises::{violated, violated_at_rest};
use crate::steps::{Step, happen, possible};
use crate::world::{Method, Mistake, Plan, Repeats, Setting, World};

fn plan(lines: &[(usize, i64)], method: Method) -> Plan {
    Plan { lines: lines.to_vec(), method }
}

fn setting(plans: Vec<Plan>, stock: &[i64]) -> Setting {
    Setting {
        plans,
        stock: stock.to_vec(),
        webhooks: 1,
        cancellations: true,
        crashes: true,
        repeats: Repeats::Recognised,
        mistake: None,
    }
}

/// Goes through every state that can be reached, and says how many they are: with inboxes, and without.
fn explore(setting: &Setting) -> [usize; 2] {
    [Repeats::Recognised, Repeats::Everything].map(|repeats| {
        let setting = Setting { repeats, ..setting.clone() };
        let checker = setting.clone().checker().threads(2).spawn_bfs().join();
        for property in ["the promises hold", "every order can come to its end, and then all adds up"] {
            let found = checker.discovery(property);
            assert!(found.is_none(), "{property}: {:?}", found.map(|path| explain(&setting, &path.into_actions())));
        }
        checker.assert_properties();
        checker.unique_state_count()
    })
}

/// A history, and what is wrong at its end.
fn explain(setting: &Setting, history: &[Step]) -> String {
    let mut world = World::new(setting);
    history.iter().for_each(|step| happen(&mut world, setting, *step));
    format!("{:?} after {history:#?}", violated(&world, setting).or_else(|| violated_at_rest(&world, setting)))
}

#[test]
fn two_orders_for_the_last_piece() {
    let states = explore(&setting(vec![plan(&[(0, 1)], Method::Ok), plan(&[(0, 1)], Method::Ok)], &[1]));
    assert!(states.iter().all(|count| *count > 10_000), "{states:?}");
}

#[test]
fn two_orders_of_two_lines_each_that_cannot_both_be_had() {
    let plans = vec![plan(&[(0, 1), (1, 2)], Method::Ok), plan(&[(1, 2), (0, 2)], Method::Flaky)];
    explore(&Setting { crashes: false, ..setting(plans, &[2, 3]) });
}

#[test]
fn a_provider_that_has_to_be_asked_again_by_workers_that_stop() {
    explore(&setting(vec![plan(&[(0, 1)], Method::Flaky)], &[1]));
}

#[test]
fn an_order_that_is_paid_by_hand_twice_too_late_or_not_at_all() {
    let plans = vec![plan(&[(0, 1)], Method::Manual)];
    explore(&Setting { webhooks: 2, ..setting(plans, &[1]) });
}

#[test]
fn one_pays_by_hand_and_one_at_once() {
    let plans = vec![plan(&[(0, 1)], Method::Manual), plan(&[(0, 1)], Method::Ok)];
    explore(&Setting { crashes: false, ..setting(plans, &[1]) });
}

#[test]
fn three_orders_for_two_pieces() {
    let plans = vec![plan(&[(0, 1)], Method::Ok), plan(&[(0, 1)], Method::Declined), plan(&[(0, 2)], Method::Ok)];
    explore(&Setting { cancellations: false, crashes: false, ..setting(plans, &[2]) });
}

/// The shortest way to a violation, if there is one.
fn caught(mistake: Mistake, plans: Vec<Plan>) -> bool {
    let careless = Setting { mistake: Some(mistake), ..setting(plans, &[2]) };
    let checker = careless.checker().spawn_bfs().join();
    checker.discoveries().keys().any(|name| name.contains("promises") || name.contains("adds up"))
}

#[test]
fn mistakes_are_found() {
    for mistake in [Mistake::NoMarker, Mistake::NoRefund, Mistake::WithdrawsClaims, Mistake::HoldsTwice] {
        assert!(caught(mistake, vec![plan(&[(0, 1)], Method::Ok)]), "{mistake:?} was not found");
    }
    assert!(caught(Mistake::TrustsOldClaims, vec![plan(&[(0, 1)], Method::Flaky)]), "an old answer counted");
    assert!(caught(Mistake::NoDeadline, vec![plan(&[(0, 1)], Method::Manual)]), "an order that waits for ever");
}

fn plans() -> impl Strategy<Value = Vec<Plan>> {
    let method = prop::sample::select(vec![Method::Ok, Method::Declined, Method::Flaky, Method::Manual]);
    let lines = prop::collection::btree_map(0..3_usize, 1..4_i64, 1..=3);
    let plan = (lines, method).prop_map(|(lines, method)| Plan { lines: lines.into_iter().collect(), method });
    prop::collection::vec(plan, 1..7)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    /// Larger worlds than can be explored, through a long history of whatever comes.
    #[test]
    fn long_histories_keep_the_promises(
        plans in plans(),
        stock in prop::collection::vec(0..8_i64, 3),
        everything in any::<bool>(),
        choices in prop::collection::vec(any::<u16>(), 0..400),
    ) {
        let repeats = if everything { Repeats::Everything } else { Repeats::Recognised };
        let setting = Setting { webhooks: 2, repeats, ..setting(plans, &stock) };
        let mut world = World::new(&setting);
        let mut history = Vec::new();
        for choice in choices {
            let steps = possible(&world, &setting);
            let Some(step) = steps.get(usize::from(choice) % steps.len().max(1)) else { break };
            happen(&mut world, &setting, *step);
            history.push(*step);
            prop_assert_eq!(violated(&world, &setting), None, "after {:?}", history);
        }
        prop_assert_eq!(violated_at_rest(&world, &setting), None, "after {:?}", history);
    }
}
