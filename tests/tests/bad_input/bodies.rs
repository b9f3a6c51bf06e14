//! Bodies that are wrong: each field of each route, in every way that a field can be wrong.

use end_to_end::http::{Answer, Api};
use end_to_end::system::System;
use serde_json::{Map, Value, json};

use crate::report::{Report, events};
use crate::routes::{Route, Things, routes};

/// What a body may weigh.
const MAX_BYTES: usize = 256 * 1024;

/// A number that no 64-bit type holds, as text, since [`Value`] would not hold it either.
const HUGE: [&str; 4] =
    ["1e400", "-1e400", "99999999999999999999", "123456789012345678901234567890123456789012345678901234567890"];

#[tokio::test]
async fn every_field_of_every_body_is_checked() {
    let system = System::start().await;
    let things = Things::make(&system).await;
    let before = events(&system).await;
    let mut report = Report::default();
    for route in routes(&things) {
        let Some((body, optional)) = &route.body else { continue };
        let api = system.service(route.service).api();
        no_object(&mut report, &route, api, body).await;
        types_and_sizes(&mut report, &route, api, body).await;
        for pointer in pointers(body, "") {
            let is_optional = optional.contains(&pointer.as_str());
            wrong_values(&mut report, &route, api, body, &pointer, is_optional).await;
            missing_and_doubled(&mut report, &route, api, body, &pointer, is_optional).await;
        }
        for pointer in objects(body, "") {
            let mut more = body.clone();
            object(&mut more, &pointer).insert("unheard_of".to_owned(), json!(1));
            invalid(&mut report, &route, api, more.to_string(), &format!("{pointer}/unheard_of"), "an unknown field")
                .await;
        }
    }
    assert_eq!(events(&system).await, before, "something was done for a wrong body");
    report.close();
    things.settle(&system).await;
    system.finish().await;
}

async fn send(route: &Route, api: &Api, body: impl Into<Vec<u8>>) -> Answer {
    api.call(route.method.clone(), &route.path).body("application/json", body).send().await
}

/// It has to be 422 with an entry for `pointer`, or for something in it.
async fn invalid(report: &mut Report, route: &Route, api: &Api, body: String, pointer: &str, what: &str) {
    let answer = send(route, api, body).await;
    let case = format!("{} with {what} at {pointer}", route.name());
    report.problem(&case, &answer, 422, "invalid-body");
    if answer.status == 422 {
        let document = answer.json();
        let named = document["errors"].as_array().is_some_and(|errors| {
            errors.iter().any(|error| {
                error["detail"].is_string()
                    && error["pointer"]
                        .as_str()
                        .is_some_and(|named| pointer.starts_with(named) || named.starts_with(pointer))
            })
        });
        report.holds(&format!("{case} names the place"), named, &answer);
    }
}

async fn no_object(report: &mut Report, route: &Route, api: &Api, body: &Value) {
    for text in ["[]", "null", "1", "true", "\"text\"", "[{}]", &format!("[{body}]")] {
        let answer = send(route, api, text).await;
        report.problem(&format!("{} with {text}", route.name()), &answer, 422, "invalid-body");
    }
    let text = body.to_string();
    let cut = &text[..text.len() - 1];
    for broken in [
        "{",
        "",
        " ",
        "{a: 1}",
        "{'a': 1}",
        "nonsense",
        cut,
        &format!("{text}{text}"),
        &format!("{text},"),
        "{\"a\": NaN}",
        "{\"a\": Infinity}",
        "{\"a\": 01}",
        "{\"a\": \"\u{1}\"}",
    ] {
        // Where no body means an empty one, a cancellation would be taken at its word.
        if broken.trim().is_empty() && route.path.ends_with("/cancel") {
            continue;
        }
        let answer = send(route, api, broken).await;
        report.problem(&format!("{} with {broken:?}", route.name()), &answer, 400, "malformed-json");
    }
    let answer = send(route, api, [b"{\"name\": \"".as_slice(), &[0xff, 0xfe], b"\"}"].concat()).await;
    report.problem(&format!("{} not in UTF-8", route.name()), &answer, 400, "malformed-json");
    for depth in [200, 50_000] {
        let deep = format!("{{\"name\": {}{}}}", "[".repeat(depth), "]".repeat(depth));
        let answer = send(route, api, deep).await;
        let name = format!("{} nested {depth} times", route.name());
        if answer.status == 400 {
            report.problem(&name, &answer, 400, "malformed-json");
        } else {
            report.problem(&name, &answer, 422, "invalid-body");
        }
    }
}

async fn types_and_sizes(report: &mut Report, route: &Route, api: &Api, body: &Value) {
    let text = body.to_string();
    for content_type in [
        "text/plain",
        "application/x-www-form-urlencoded",
        "application/xml",
        "multipart/form-data; boundary=x",
        "application/json; charset=latin1",
        "json",
        "",
    ] {
        let answer = api.call(route.method.clone(), &route.path).body(content_type, text.clone()).send().await;
        report.problem(&format!("{} as {content_type:?}", route.name()), &answer, 415, "unsupported-media-type");
    }
    let answer = api.call(route.method.clone(), &route.path).untyped_body(text.clone()).send().await;
    report.problem(&format!("{} without a type", route.name()), &answer, 415, "unsupported-media-type");
    for size in [MAX_BYTES + 1, 2 * MAX_BYTES] {
        let padded = format!("{text}{}", " ".repeat(size - text.len()));
        let answer = send(route, api, padded).await;
        report.problem(&format!("{} with {size} bytes", route.name()), &answer, 413, "payload-too-large");
    }
    let zipped = api
        .call(route.method.clone(), &route.path)
        .header("content-encoding", "gzip")
        .body("application/json", text)
        .send()
        .await;
    report.problem(&format!("{} compressed", route.name()), &zipped, 415, "unsupported-media-type");
}

/// A value of every type that this field's is not.
async fn wrong_values(report: &mut Report, route: &Route, api: &Api, body: &Value, pointer: &str, optional: bool) {
    let right = body.pointer(pointer).expect("it was found there");
    let mut wrong = vec![
        json!([]),
        json!({}),
        json!([1]),
        json!({"a": 1}),
        json!(null),
        json!(true),
        json!(1),
        json!(1.5),
        json!(-1),
        json!("text"),
    ];
    let same_kind = |value: &Value| std::mem::discriminant(value) == std::mem::discriminant(right);
    // A threshold can be taken away; a name, an address or a reason can only be left out.
    let emptied = optional && pointer == "/low_stock_threshold";
    wrong.retain(|value| !(same_kind(value) || (emptied && value.is_null())));
    match right {
        Value::Number(_) => wrong.extend([json!(1.5), json!("1")]),
        Value::String(_) => wrong.extend(["\0", "a\0b", "a\u{7}b", "line\nline", "\u{85}", "\u{7f}"].map(Value::from)),
        _ => {}
    }
    for value in wrong {
        let mut changed = body.clone();
        *changed.pointer_mut(pointer).expect("it was found there") = value.clone();
        invalid(report, route, api, changed.to_string(), pointer, &value.to_string()).await;
    }
    if right.is_number() {
        for number in HUGE {
            let mut changed = body.clone();
            *changed.pointer_mut(pointer).expect("it was found there") = json!("HUGE");
            let text = changed.to_string().replace("\"HUGE\"", number);
            invalid(report, route, api, text, pointer, number).await;
        }
    }
}

async fn missing_and_doubled(
    report: &mut Report,
    route: &Route,
    api: &Api,
    body: &Value,
    pointer: &str,
    optional: bool,
) {
    let (parent, field) = pointer.rsplit_once('/').expect("a pointer");
    if field.parse::<usize>().is_ok() {
        return;
    }
    if !optional {
        let mut without = body.clone();
        object(&mut without, parent).remove(field);
        invalid(report, route, api, without.to_string(), pointer, "nothing").await;
    }
    let value = body.pointer(pointer).expect("it was found there");
    let mut doubled = body.clone();
    object(&mut doubled, parent).insert("DOUBLED".to_owned(), value.clone());
    let text = doubled.to_string().replace("\"DOUBLED\"", &format!("\"{field}\""));
    invalid(report, route, api, text, pointer, "the field twice").await;
}

/// The pointers of all values in a body.
fn pointers(value: &Value, at: &str) -> Vec<String> {
    let children: Vec<(String, &Value)> = match value {
        Value::Object(fields) => fields.iter().map(|(name, value)| (format!("{at}/{name}"), value)).collect(),
        Value::Array(items) => {
            items.iter().enumerate().map(|(index, value)| (format!("{at}/{index}"), value)).collect()
        }
        _ => Vec::new(),
    };
    children
        .into_iter()
        .flat_map(|(pointer, value)| [vec![pointer.clone()], pointers(value, &pointer)].concat())
        .collect()
}

/// The pointers of all objects in a body, itself included.
fn objects(value: &Value, at: &str) -> Vec<String> {
    let inside = pointers(value, at).into_iter().filter(|pointer| value.pointer(pointer).is_some_and(Value::is_object));
    std::iter::once(at.to_owned()).chain(inside).collect()
}

fn object<'a>(body: &'a mut Value, pointer: &str) -> &'a mut Map<String, Value> {
    body.pointer_mut(pointer).and_then(Value::as_object_mut).expect("an object")
}
