//! Bodies.

use axum::body::Body as HttpBody;
use axum::http::{Request, StatusCode};
use serde_json::{Value, json};

use super::{ID, fetch, good, kind, order, post_to, send};
use crate::http::MAX_BODY_BYTES;
use crate::http::extract::Errors;

#[tokio::test]
async fn a_good_body_comes_with_its_bytes() {
    let text = good().to_string();
    let (status, answer) = order(text.clone()).await;
    assert_eq!((status, &answer["bytes"]), (StatusCode::OK, &json!(text.len())));
    assert_eq!(answer["order"]["lines"][0]["quantity"], 2);
}

#[tokio::test]
async fn only_json_in_utf8_is_taken() {
    for good_type in [
        "application/json",
        "Application/JSON; charset=UTF-8",
        "application/merge-patch+json",
        "application/json;charset=\"utf-8\"",
    ] {
        assert_eq!(post_to("/orders", Some(good_type), good().to_string()).await.0, StatusCode::OK, "{good_type}");
    }
    for bad_type in [
        None,
        Some("text/plain"),
        Some("application/json; charset=latin1"),
        Some("application/jsonp"),
        Some("text/x+json"),
        Some(""),
    ] {
        let answer = post_to("/orders", bad_type, good().to_string()).await;
        assert_eq!(kind(&answer), (415, "unsupported-media-type"), "{bad_type:?}");
    }
    let zipped = Request::post("/orders").header("content-type", "application/json").header("content-encoding", "gzip");
    assert_eq!(
        kind(&send(zipped.body(HttpBody::from("{}")).expect("a request")).await),
        (415, "unsupported-media-type")
    );
}

#[tokio::test]
async fn what_is_not_json_is_malformed() {
    let late = format!("{{\"nonsense\": 1, \"lines\": [], \"customer\": \"{ID}\" ");
    for bad in [
        "",
        "{",
        "nonsense",
        "{\"a\": 01}",
        "{\"a\": 1,}",
        "{} {}",
        "{\"a\": \"\u{1}\"}",
        "\u{feff}{}",
        "{\"a\": NaN}",
        &late,
    ] {
        assert_eq!(kind(&order(bad.to_owned()).await), (400, "malformed-json"), "{bad}");
    }
    assert_eq!(kind(&order(&b"{\"a\": \"\xff\"}"[..]).await), (400, "malformed-json"));
}

#[tokio::test]
async fn what_is_json_but_no_order_says_where_it_is_not() {
    let with = |pointer: &str, value: Value| {
        let mut body = good();
        *body.pointer_mut(pointer).expect("there") = value;
        body.to_string()
    };
    let object = |more: &str| good().to_string().replacen('{', &format!("{{{more},"), 1);
    let cases = [
        ("[]".to_owned(), "", "expected an object"),
        ("null".to_owned(), "", "expected an object"),
        ("7".to_owned(), "", "expected an object"),
        ("{}".to_owned(), "/customer", "is required"),
        (object("\"extra\": 1"), "/extra", "is not a known field"),
        (object("\"a/b~c\": 1"), "/a~1b~0c", "is not a known field"),
        (object("\"speed\": \"fast\", \"speed\": \"fast\""), "/speed", "appears more than once"),
        (object("\"speed\": \"slow\""), "/speed", "expected one of normal, fast"),
        (object("\"speed\": 1"), "/speed", "expected a string, got a number"),
        (with("/lines", json!({})), "/lines", "expected an array, got an object"),
        (with("/lines/0", json!(["a", 2])), "/lines/0", "expected an object"),
        (with("/lines/0", json!({"sku": "a"})), "/lines/0/quantity", "is required"),
        (
            with("/lines/0/quantity", json!("2")),
            "/lines/0/quantity",
            "expected a whole number from 0 to 4294967295, got a string",
        ),
        (with("/lines/0/quantity", json!(-1)), "/lines/0/quantity", "expected a whole number from 0 to 4294967295"),
        (
            with("/lines/0/quantity", json!(2.5)),
            "/lines/0/quantity",
            "expected a whole number from 0 to 4294967295, got a number with a fraction or exponent",
        ),
        (
            with("/lines/0/quantity", json!(null)),
            "/lines/0/quantity",
            "expected a whole number from 0 to 4294967295, got null",
        ),
        (with("/lines/0/sku", json!(true)), "/lines/0/sku", "expected a string, got a boolean"),
        (
            good().to_string().replace("\"quantity\":2", "\"quantity\":2,\"quantity\":2"),
            "/lines/0/quantity",
            "appears more than once",
        ),
        (
            good().to_string().replace(":2", ":99999999999999999999"),
            "/lines/0/quantity",
            "expected a whole number from 0 to 4294967295, got a number with a fraction or exponent",
        ),
        (
            good().to_string().replace(":2", ":1e400"),
            "",
            "holds a number that is too large, a broken \\u escape, or too many levels",
        ),
        (
            good().to_string().replace("\"a\"", "\"\\ud800\""),
            "",
            "holds a number that is too large, a broken \\u escape, or too many levels",
        ),
        (
            format!("{{\"note\":{}1{}}}", "[".repeat(200), "]".repeat(200)),
            "",
            "holds a number that is too large, a broken \\u escape, or too many levels",
        ),
    ];
    for (body, pointer, detail) in cases {
        let answer = order(body.clone()).await;
        assert_eq!(kind(&answer), (422, "invalid-body"), "{body}");
        assert_eq!(answer.1["errors"], json!([{"pointer": pointer, "detail": detail}]), "{body}");
    }
}

#[tokio::test]
async fn values_out_of_range_are_told_all_at_once() {
    let body =
        json!({"customer": ID, "note": "a\u{0}", "lines": [{"sku": "a", "quantity": 0}, {"sku": "b", "quantity": 0}]});
    let answer = order(body.to_string()).await;
    assert_eq!(kind(&answer), (422, "invalid-body"));
    let pointers: Vec<&Value> =
        answer.1["errors"].as_array().expect("errors").iter().map(|error| &error["pointer"]).collect();
    assert_eq!(pointers, ["/lines/0/quantity", "/lines/1/quantity", "/note"]);
}

#[tokio::test]
async fn long_values_are_not_echoed() {
    let long = "x".repeat(10_000);
    for body in
        [json!({"customer": long}), json!({long.clone(): 1}), json!({"customer": ID, "speed": long, "lines": []})]
    {
        let answer = order(body.to_string()).await;
        assert_eq!(answer.0, StatusCode::UNPROCESSABLE_ENTITY);
        assert!(answer.1.to_string().len() < 600, "{answer:?}");
    }
    assert!(fetch(&format!("/list?status={long}")).await.1.to_string().len() < 600);
    assert!(fetch(&format!("/list?{long}=1")).await.1.to_string().len() < 600);
}

#[tokio::test]
async fn texts_are_what_people_can_read() {
    let complaint = |text: &str| {
        let mut errors = Errors::default();
        errors.text("/t", text, 1, 5);
        errors.into_result().err().map(|problem| problem.errors()[0].detail.clone())
    };
    for good in ["a", "ab de", "éééüü", "日本", "👩‍👩‍"] {
        assert_eq!(complaint(good), None, "{good:?}");
    }
    for bad in ["", "abcdef", "a\u{0}", "a\nb", "a\u{7f}", "a\u{85}b", "a\u{202e}b", "a\u{2066}", " a", "a ", "\u{a0}a"]
    {
        assert!(complaint(bad).is_some(), "{bad:?}");
    }
}

#[tokio::test]
async fn large_bodies_are_refused_whether_announced_or_not() {
    let largest = format!("{{\"nonsense\": \"{}\"}}", "x".repeat(MAX_BODY_BYTES - 16));
    assert_eq!(largest.len(), MAX_BODY_BYTES);
    assert_eq!(kind(&order(largest.clone()).await), (422, "invalid-body"));
    assert_eq!(kind(&order(largest.clone() + " ").await), (413, "payload-too-large"));
    let unannounced = HttpBody::from_stream(futures_util::stream::iter([Ok::<_, std::io::Error>(largest + " ")]));
    assert_eq!(kind(&order(unannounced).await), (413, "payload-too-large"));
    let waiting = Request::post("/orders").header("content-type", "application/json").header("expect", "100-continue");
    let waiting = waiting
        .header("content-length", "300000")
        .body(HttpBody::from_stream(futures_util::stream::pending::<Result<bytes::Bytes, std::io::Error>>()));
    assert_eq!(kind(&send(waiting.expect("a request")).await), (413, "payload-too-large"));
}

#[tokio::test(start_paused = true)]
async fn a_body_that_never_ends_is_given_up() {
    let never = HttpBody::from_stream(futures_util::stream::pending::<Result<bytes::Bytes, std::io::Error>>());
    assert_eq!(kind(&order(never).await), (408, "request-timeout"));
}

#[tokio::test]
async fn an_optional_body_may_be_absent() {
    assert_eq!(post_to("/cancel", None, "").await, (StatusCode::OK, "".into()));
    assert_eq!(post_to("/cancel", Some("application/json"), "").await.0, StatusCode::OK);
    assert_eq!(
        post_to("/cancel", Some("application/json"), "{\"reason\": \"late\"}").await,
        (StatusCode::OK, "late".into())
    );
    assert_eq!(kind(&post_to("/cancel", None, "{}").await), (415, "unsupported-media-type"));
    assert_eq!(kind(&post_to("/cancel", Some("application/json"), "{\"reason\": \"\"}").await), (422, "invalid-body"));
    assert_eq!(kind(&post_to("/cancel", Some("application/json"), "[]").await), (422, "invalid-body"));
    let null = post_to("/cancel", Some("application/json"), "{\"reason\": null}").await;
    assert_eq!(kind(&null), (422, "invalid-body"), "left out or a text, never null");
    assert_eq!(null.1["errors"][0]["pointer"], "/reason");
}
