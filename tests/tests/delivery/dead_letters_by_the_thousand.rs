//! Many dead letters, operators who are interrupted, and two at once.

use std::collections::BTreeSet;
use std::time::Duration;

use chrono::{DateTime, Utc};
use end_to_end::broker::Message;
use end_to_end::operator::Operator;
use end_to_end::shop::{number, text};
use end_to_end::system::System;
use end_to_end::waiting::{PATIENCE, check, eventually};
use serde_json::{Value, json};
use sqlx::Row as _;

use crate::events::product_changed;
use crate::letters::{dead_letter, ids};

/// Notes each time that the handler of a product's change takes effect, also when it changes nothing, and refuses some.
/// `before insert` comes before `on conflict`.
const WATCHED: &str = "
    create table effect (sku text not null);
    create function watch() returns trigger language plpgsql as $$ begin
        if new.name = 'Broken' then raise exception 'refused by the test'; end if;
        insert into effect values (new.sku);
        return new;
    end $$;
    create trigger watch before insert on product for each row execute function watch();
";

/// A dead letter of `order` about a product of its own.
fn letter(number: usize, broken: bool) -> Message {
    let mut event = product_changed(&format!("sku-{number}"));
    if broken {
        event["data"]["name"] = json!("Broken");
    }
    dead_letter(Message::event(&event), "transient-exhausted", "TakeOverProduct")
}

fn id(letter: &Message) -> String {
    letter.properties.message_id().as_ref().expect("it has one").to_string()
}

/// The ids in the only group.
fn listed(groups: &[Value]) -> Vec<String> {
    let [group] = groups else { panic!("{} groups", groups.len()) };
    let ids = group["ids"].as_array().expect("ids").iter();
    ids.map(|id| id.as_str().expect("an id is text").to_owned()).collect()
}

/// How many effects there were, and of how many products.
async fn effects(system: &System) -> (i64, i64) {
    let rows = system.database("order").rows("select count(*), count(distinct sku) from effect").await;
    (rows[0].get(0), rows[0].get(1))
}

/// A system whose `order` has these dead letters.
async fn with_letters(letters: &[Message]) -> System {
    let system = System::start().await;
    system.database("order").execute(WATCHED).await;
    system.broker.put("order.dead", letters).await;
    system
}

#[tokio::test]
async fn of_ten_thousand_letters_those_that_still_fail_remain_and_the_others_take_effect_once() {
    const LETTERS: usize = 10_000;
    const RATE: usize = 100;
    let broken = |number: usize| number % 100 == 57;
    let letters: Vec<Message> = (0..LETTERS).map(|number| letter(number, broken(number))).collect();
    let system = with_letters(&letters).await;
    let ada = Operator::named("ada", &system);
    let groups = ada.groups("").await;
    assert!(listed(&groups).into_iter().eq(letters.iter().map(id)), "all, oldest first");

    // 1 + 2 + 5 + 10 + 20 are good, and one of the next 50 is not: it ends with that step, or as soon as it is seen.
    let canary = ada.dlq(&format!("replay --queue order --canary --rate {RATE} --json")).await.ended(1).json();
    let replayed = number(&canary, "replayed");
    assert!((58..=88).contains(&replayed), "{canary}");
    assert_eq!((number(&canary, "left"), &canary["stopped"]), (LETTERS as i64 - replayed, &json!(true)), "{canary}");
    assert_eq!(canary["failed"].as_array().map(Vec::len), Some(1), "{canary}");
    assert_eq!(text(&canary["failed"][0], "id"), id(&letters[57]));
    assert_eq!(effects(&system).await, (replayed - 1, replayed - 1));
    let log = ada.dlq("log --json").await.ended(0).json();
    let at = |line: usize| -> DateTime<Utc> { text(&log[line], "at").parse().expect("a time") };
    let took = (at(1) - at(0)).to_std().expect("it ended after it began");
    let least = Duration::from_secs_f64((replayed - 5) as f64 / RATE as f64);
    assert!(took >= least, "{replayed} at {RATE}/s in {took:?}");

    // Each run stops at one that fails, and the next goes on behind it.
    let good = i64::try_from(LETTERS - LETTERS / 100).expect("small");
    let mut runs = 0;
    while effects(&system).await.1 < good {
        let run = ada.dlq("replay --all --json").await.ended(1).json();
        assert_ne!(run["failed"], json!([]), "{run}");
        runs += 1;
        assert!(runs < LETTERS / 100, "each run gets further");
    }
    assert_eq!(effects(&system).await, (good, good), "each effect once");
    let remaining: BTreeSet<String> = ids(&system.take_dead("order").await).into_iter().collect();
    let expected: BTreeSet<String> = (0..LETTERS).filter(|n| broken(*n)).map(|n| id(&letters[n])).collect();
    assert!(remaining == expected, "{} remain", remaining.len());
    system.finish().await;
}

#[tokio::test]
async fn a_replay_that_is_killed_loses_nothing_and_the_next_one_ends_it() {
    const LETTERS: i64 = 2000;
    let letters: Vec<Message> = (0..2000).map(|number| letter(number, false)).collect();
    let system = with_letters(&letters).await;
    let ada = Operator::named("ada", &system);
    for killed_at in [1, 400, 800] {
        let mut replay = ada.begin("replay --queue order --rate 600");
        eventually(&format!("{killed_at} have taken effect"), PATIENCE, async || {
            let (effects, _) = effects(&system).await;
            check(effects >= killed_at, || effects.to_string())
        })
        .await;
        replay.kill().await.expect("it runs");
    }
    // What it had in hand is there again, and can be listed at once.
    let left = ada.groups("").await[0]["count"].as_i64().expect("a count");
    assert!(left <= LETTERS - 800, "{left} left of {LETTERS}");
    eventually("the others have taken effect", PATIENCE, async || {
        let (_, done) = effects(&system).await;
        check(left >= LETTERS - done, || format!("{left} left and {done} done of {LETTERS}"))
    })
    .await;
    ada.dlq("replay --queue order").await.ended(0);
    assert_eq!(effects(&system).await, (LETTERS, LETTERS), "each effect once");
    assert_eq!(system.broker.waiting("order.dead").await, Some(0));
    let log = ada.dlq("log --json").await.ended(0).json();
    let phases: Vec<&str> = log.as_array().expect("lines").iter().map(|line| text(line, "phase")).collect();
    assert_eq!(phases, ["begin", "begin", "begin", "begin", "end"], "an interruption shows");
    system.finish().await;
}

#[tokio::test]
async fn looking_often_changes_nothing() {
    // more than one channel takes, so that the order of giving back counts
    let letters: Vec<Message> = (0..1500).map(|number| letter(number, false)).collect();
    let system = with_letters(&letters).await;
    let ada = Operator::named("ada", &system);
    let first = ada.groups("--queue order").await;
    for _ in 0..30 {
        assert_eq!(ada.groups("--queue order").await, first, "all are there, in their order");
    }
    assert!(listed(&first).into_iter().eq(letters.iter().map(id)), "the oldest first");
    let mut look = ada.begin("list");
    eventually("it has letters in hand", PATIENCE, async || {
        let waiting = system.broker.waiting("order.dead").await;
        check(waiting < Some(1500) || look.try_wait().is_ok_and(|ended| ended.is_some()), || format!("{waiting:?}"))
    })
    .await;
    let _ = look.kill().await;
    // One that is killed cannot give them back in their order, but loses none.
    let all: BTreeSet<String> = letters.iter().map(id).collect();
    let again = listed(&ada.groups("--queue order").await);
    assert!(again.len() == 1500 && again.into_iter().collect::<BTreeSet<_>>() == all, "a look was killed");
    let found = system.take_dead("order").await;
    assert!(ids(&found).into_iter().collect::<BTreeSet<_>>() == all, "all are there");
    let bodies: BTreeSet<&[u8]> = letters.iter().map(|letter| letter.body.as_slice()).collect();
    assert!(found.iter().all(|found| bodies.contains(found.body.as_slice())), "as they were");
    assert_eq!(effects(&system).await, (0, 0));
    system.finish().await;
}

#[tokio::test]
async fn two_operators_do_not_get_in_each_others_way() {
    const LETTERS: i64 = 600;
    let letters: Vec<Message> = (0..600).map(|number| letter(number, false)).collect();
    let system = with_letters(&letters).await;
    let (ada, bob) = (Operator::named("ada", &system), Operator::named("bob", &system));
    let (replay, list, again) =
        tokio::join!(ada.dlq("replay --queue order --json"), bob.groups(""), bob.dlq("replay --all --json"));
    let replayed = [replay, again].map(|told| told.ended(0).json()["replayed"].as_i64().expect("a count"));
    assert_eq!(replayed.iter().sum::<i64>(), LETTERS, "{replayed:?}");
    let seen = list.iter().map(|group| group["count"].as_i64().expect("a count")).sum::<i64>();
    assert!(seen == 0 || seen == LETTERS, "a look sees all that are there, or waits: {seen}");
    assert_eq!(effects(&system).await, (LETTERS, LETTERS), "each effect once");
    system.finish().await;
}
