use serde_json::json;

use super::*;
use crate::queues::Waiting;

fn figures(placed: u32, pending: u32) -> Looked {
    let metrics = format!(
        "http_server_request_duration_seconds_bucket{{method=\"POST\",route=\"/v1/orders\",status=\"201\",le=\"+Inf\"}} {placed}\n\
         warren_outbox_pending {pending}\nwarren_queue_messages{{queue=\"order\",state=\"ready\"}} {pending}\n\
         warren_messages_processed_total{{queue=\"order\",event=\"a.b\",outcome=\"done\"}} {placed}\n"
    );
    Looked::Answers(Box::new(Figures::read(&metrics, r#"{"checks": {}}"#).unwrap()))
}

fn look(placed: u32, queued: Option<u32>) -> Look {
    let waiting = |queued| Waiting { queued: Some(queued), consumers: 1, retrying: 0, dead: 0 };
    Look {
        services: [(Service::Order, figures(placed, 3))].into(),
        queues: queued.map(|queued| Ok([(Service::Order, waiting(queued))].into())),
    }
}

#[test]
fn rates_are_what_counters_grew_by() {
    let (mut state, begin, at) = (State::default(), Instant::now(), Utc::now());
    for (step, placed) in [(0, 100), (1, 110), (2, 150)] {
        state.note(look(placed, Some(0)), begin + EVERY * step, at);
    }
    assert_eq!(state.point.unwrap().get("placed_per_second"), Some(20.0));
    assert_eq!(state.point.unwrap().get("outbox_order"), Some(3.0));
    // it has started anew
    state.note(look(8, Some(0)), begin + EVERY * 3, at);
    assert_eq!(state.point.unwrap().get("placed_per_second"), Some(4.0));
    let events = state.events();
    assert_eq!((&events[0]["event"], &events[0]["outcomes"]["done"]), (&json!("a.b"), &json!(8.0)));
}

#[test]
fn a_queue_that_is_never_empty_is_told_with_its_time() {
    let (mut state, begin, at) = (State::default(), Instant::now(), Utc::now());
    for step in 0..40 {
        state.note(look(1, Some(50)), begin + EVERY * step, at + EVERY * step);
    }
    assert_eq!(state.scene.waiting[&Service::Order], EVERY * 39);
    let (wrong, since) = &state.wrong[0];
    assert_eq!((wrong.key.as_str(), *since), ("long-order", at + EVERY * 31));
    state.note(look(1, Some(0)), begin + EVERY * 40, at);
    assert!(state.wrong.is_empty() && state.scene.waiting.is_empty());
}

#[test]
fn a_read_model_that_comes_no_closer_is_told_with_its_time() {
    let (mut state, begin, at) = (State::default(), Instant::now(), Utc::now());
    let behind = |behind: u32| {
        let metrics = format!("warren_projection_pending{{projection=\"daily-sales\"}} {behind}\n");
        let figures = Figures::read(&metrics, r#"{"checks": {}}"#).unwrap();
        Look { services: [(Service::Order, Looked::Answers(Box::new(figures)))].into(), queues: None }
    };
    // one that follows is behind at times, and comes closer in between
    for (step, events) in [(0, 0), (1, 5), (2, 3), (3, 4), (4, 4), (5, 80)] {
        state.note(behind(events), begin + EVERY * step, at);
    }
    assert_eq!(state.scene.still["daily-sales"], EVERY * 3);
    for step in 6..14 {
        state.note(behind(80), begin + EVERY * step, at);
    }
    assert_eq!(state.wrong[0].0.title, "The read model daily-sales stands still");
    state.note(behind(79), begin + EVERY * 14, at);
    assert!(state.wrong.is_empty(), "it moves");
}

#[test]
fn without_the_broker_the_services_own_counts_are_shown() {
    let mut state = State::default();
    state.note(look(1, None), Instant::now(), Utc::now());
    assert_eq!(state.scene.queues[&Service::Order].queued, Some(3));
    assert_eq!(state.scene.queues.len(), 1, "nobody tells of the others");
    let mut away = look(1, None);
    away.queues = Some(Err("refused".to_owned()));
    state.note(away, Instant::now(), Utc::now());
    assert_eq!(state.value(Range::Minutes, 0)["broker"]["error"], "refused");
}
