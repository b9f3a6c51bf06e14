use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use tracing::{error, info, info_span};

use super::*;

fn logged(format: Format, color: bool, events: impl FnOnce()) -> Vec<String> {
    let lines = Arc::new(Mutex::new(Vec::new()));
    let write = {
        let lines = Arc::clone(&lines);
        move |line: &str| lines.lock().expect("lines").push(line.to_owned())
    };
    let subscriber =
        Registry::default().with(filter("").expect("default")).with(Log { service: "order", format, color, write });
    tracing::subscriber::with_default(subscriber, events);
    std::mem::take(&mut lines.lock().expect("lines"))
}

fn a_story() {
    let _outer = info_span!("request", correlation_id = "c-1", order_id = "outer").entered();
    let inner = info_span!("step", late = tracing::field::Empty).entered();
    inner.record("late", 7);
    info!(order_id = "o-1", event = "order.created", ok = true, note = "two words", "order placed");
    tracing::debug!("not at this level");
}

#[test]
fn pretty_lines_are_short_and_aligned() {
    let lines = logged(Format::Pretty, false, a_story);
    assert_eq!(lines.len(), 1);
    let (time, rest) = lines[0].split_at("12:34:56.789".len());
    assert!(time.bytes().filter(u8::is_ascii_digit).count() == 9, "{time}");
    assert_eq!(
        rest,
        "  INFO order     order placed               order_id=o-1 event=order.created ok=true note=\"two words\" late=7 correlation_id=c-1\n"
    );
}

#[test]
fn only_a_terminal_gets_colours() {
    assert!(!logged(Format::Pretty, false, a_story)[0].contains('\x1b'));
    assert!(logged(Format::Pretty, true, a_story)[0].contains("\x1b[32m INFO\x1b[0m"));
}

#[test]
fn json_lines_have_the_fields_at_top_level() {
    let lines = logged(Format::Json, false, a_story);
    let mut line: Value = serde_json::from_str(&lines[0]).expect("JSON");
    let at = line.as_object_mut().expect("an object").remove("timestamp").expect("a time");
    at.as_str().expect("text").parse::<chrono::DateTime<Utc>>().expect("RFC 3339");
    assert_eq!(
        line,
        json!({"level": "INFO", "service": "order", "message": "order placed", "target": "service_kit::telemetry::tests",
               "order_id": "o-1", "event": "order.created", "ok": true, "note": "two words", "late": 7, "correlation_id": "c-1"})
    );
}

#[test]
fn one_event_is_one_line_whatever_is_in_it() {
    let nasty = || error!(level = "mine", detail = "a\nb\x1b[2J\"", "first\nsecond \x1b[31m");
    for format in [Format::Pretty, Format::Json] {
        let lines = logged(format, false, nasty);
        assert_eq!(lines[0].matches('\n').count(), 1, "{}", lines[0]);
        assert!(!lines[0].contains('\x1b'));
    }
    let line: Value = serde_json::from_str(&logged(Format::Json, false, nasty)[0]).expect("JSON");
    assert_eq!(line["level"], "ERROR");
    assert_eq!(line["message"], "first\nsecond \x1b[31m");
}

#[test]
fn errors_are_shown_with_their_causes() {
    #[derive(Debug, thiserror::Error)]
    #[error("cannot connect")]
    struct Outer(#[source] std::io::Error);
    let error = Outer(std::io::Error::other("refused"));
    let lines = logged(Format::Pretty, false, || error!(error = &error as &dyn std::error::Error, "away"));
    assert!(lines[0].ends_with("error=\"cannot connect: refused\"\n"), "{}", lines[0]);
}

#[test]
fn a_wrong_filter_is_named() {
    assert!(filter("info,sqlx=debug").is_ok());
    let error = filter("info,sqlx=loud").expect_err("no such level");
    assert!(error.starts_with("RUST_LOG is \"info,sqlx=loud\": "), "{error}");
}
