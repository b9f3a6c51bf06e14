//! The commands from outside: what they print, where, and with which exit status.

use crate::fake::{Fake, Ran, Reply, json, problem, warren};

const ID: &str = "0199c2b0-5a3e-7c11-9d51-2f4b8a6e0c77";

fn order(id: &str, status: &str) -> String {
    format!(
        r#"{{"id":"{id}","customer_id":"{ID}","status":"{status}","version":1,"lines":[{{"sku":"tea","name":"Tea","quantity":2,
        "unit_price":{{"amount":350,"currency":"EUR"}}}}],"total":{{"amount":700,"currency":"EUR"}},
        "payment":{{"method":"sandbox:ok","status":"none"}},"created_at":"2026-01-02T03:04:05Z","updated_at":"2026-01-02T03:04:05Z"}}"#
    )
    .replace('\n', "")
}

fn place(url: &str, more: &[&str]) -> Ran {
    let arguments = [&["order", "place", "--customer", ID, "--line", "tea=2"], more].concat();
    warren(&arguments, &[("ORDER_URL", url), ("WARREN_TOKEN", "t")])
}

#[test]
fn wrong_usage_is_status_2_and_says_what_is_wrong() {
    for (arguments, variables, part) in [
        (&[][..], &[][..], "Usage:"),
        (&["order", "place", "--customer", ID, "--line", "tea"], &[], "SKU=QUANTITY"),
        (&["token"], &[], "AUTH_HS256_SECRET"),
        (&["token", "--ttl", "forever"], &[("AUTH_HS256_SECRET", "s")], "30d"),
        (&["topology", "check"], &[], "AMQP_URL"),
        (&["audit"], &[], "ORDER_DATABASE_URL"),
        (&["audit", "--grace", "soon"], &[], "--grace"),
        (&["audit", "--only", "everything"], &[], "history"),
        (&["event", "resend", ID, "--to", "email"], &[], "AMQP_URL"),
        (&["event", "resend", ID, "--to", "shop"], &[], "not a service"),
        (&["topology", "show"], &[("RETRY_DELAYS", "soon")], "RETRY_DELAYS"),
        (&["order", "list"], &[("ORDER_URL", "nowhere")], "ORDER_URL"),
        (&["order", "list"], &[("WARREN_TOKEN", "a"), ("WARREN_TOKEN_FILE", "b")], "both set"),
        (&["order", "diff", ID, "4..2"], &[], "2..4"),
        (&["load", "--orders", "1", "--skus", "1"], &[], "--skus"),
    ] {
        let ran = warren(arguments, variables);
        assert_eq!(ran.status, 2, "{arguments:?}: {}", ran.err);
        assert!(ran.err.contains(part) && ran.out.is_empty(), "{arguments:?}: {}{}", ran.out, ran.err);
    }
}

#[test]
fn help_is_status_0_and_teaches_by_example() {
    for command in [&["help", "load"][..], &["token", "--help"], &["order", "help", "watch"], &["--help"]] {
        let ran = warren(command, &[]);
        assert_eq!(ran.status, 0);
        assert!(ran.out.contains("Examples:\n  ") && ran.out.contains("ORDER_URL"), "{}", ran.out);
        assert!(ran.out.lines().all(|line| line.chars().count() <= 100), "{}", ran.out);
    }
}

#[test]
fn a_problem_is_told_with_its_fields_on_standard_error() {
    let fake = Fake::start(|_, _| {
        json(
            422,
            r#"{"type":"/problems/unknown-sku","title":"Unknown sku","status":422,"detail":"No such product.",
            "errors":[{"pointer":"/lines/0/sku","detail":"tea is not known"}]}"#,
        )
    });
    let ran = place(&fake.url, &[]);
    assert_eq!((ran.status, ran.out.as_str()), (1, ""));
    assert_eq!(ran.err, "warren: Unknown sku: No such product. (422 unknown-sku)\n  /lines/0/sku: tea is not known\n");
}

#[test]
fn errors_say_what_to_do() {
    let stranger = Fake::start(|_, _| problem(401, "unauthorized", "Who are you?"));
    assert!(place(&stranger.url, &[]).err.contains("set WARREN_TOKEN, or AUTH_HS256_SECRET"));
    let busy = Fake::start(|_, _| {
        Reply::Answer(
            503,
            vec![("retry-after", "5".to_owned())],
            r#"{"type":"/problems/overloaded","title":"Overloaded"}"#.to_owned(),
        )
    });
    assert!(place(&busy.url, &[]).err.contains("try again in 5 s"));
    let other = Fake::start(|_, _| Reply::Answer(404, Vec::new(), "<html>".to_owned()));
    assert!(place(&other.url, &[]).err.contains("is that the right address? (ORDER_URL says where it is)"));
    let nobody = place("http://127.0.0.1:9", &[]);
    assert_eq!(nobody.status, 1);
    assert_eq!(
        nobody.err,
        "warren: cannot reach order at http://127.0.0.1:9: connection refused; does it run there? (ORDER_URL says where it is)\n"
    );
}

#[test]
fn an_order_whose_answer_was_lost_is_sent_again_under_the_same_key() {
    let fake = Fake::start(|before, _| match before {
        0 => Reply::Silence,
        1 => problem(409, "idempotency-key-in-use", "In use"),
        _ => json(201, order(ID, "pending")),
    });
    let ran = place(&fake.url, &["--json"]);
    assert_eq!((ran.status, ran.out.trim_end()), (0, &*order(ID, "pending")), "{}", ran.err);
    let requests = fake.requests();
    assert_eq!(requests.len(), 3);
    let key = requests[0].header("idempotency-key").unwrap();
    assert!(key.len() == 36 && requests.iter().all(|request| request.header("idempotency-key") == Some(key)));
    let body: serde_json::Value = serde_json::from_str(&requests[0].body).unwrap();
    assert_eq!(
        body,
        serde_json::json!({"customer_id": ID, "lines": [{"sku": "tea", "quantity": 2}], "payment_method": "sandbox:ok"})
    );
}

#[test]
fn two_orders_have_two_keys_and_one_token() {
    let fake = Fake::start(|_, _| json(201, order(ID, "pending")));
    let (first, _) = (place(&fake.url, &[]), place(&fake.url, &[]));
    assert!(first.out.contains("pending (version 1)") && first.out.contains("7.00 EUR"), "{}", first.out);
    let requests = fake.requests();
    assert_ne!(requests[0].header("idempotency-key"), requests[1].header("idempotency-key"));
    assert_eq!(requests[0].header("authorization"), Some("Bearer t"));
}

#[test]
fn a_nudge_is_told_in_words() {
    for (answer, told) in [
        (r#"{"order_id":"x","status":"pending","waits_for":"inventory"}"#, "is pending: it waits for inventory"),
        (r#"{"order_id":"x","status":"cancelled","waits_for":"refund"}"#, "is cancelled: it waits for its refund"),
        (r#"{"order_id":"x","status":"confirmed","waits_for":null}"#, "is confirmed: it waits for nothing"),
    ] {
        let fake = Fake::start(move |_, _| json(202, answer));
        let ran = warren(&["order", "nudge", ID], &[("ORDER_URL", &fake.url)]);
        assert!(ran.status == 0 && ran.out.contains(told), "{}{}", ran.out, ran.err);
        let request = &fake.requests()[0];
        assert_eq!((request.method.as_str(), request.path.clone()), ("POST", format!("/v1/ops/orders/{ID}/nudge")));
    }
}

#[test]
fn what_is_stuck_is_told_also_when_a_service_is_silent() {
    let stuck = format!(
        r#"{{"items":[{{"order_id":"{ID}","since":"2026-01-02T03:04:05Z","waits_for":"payment","reason":"not charged"}}]}}"#
    );
    let order = Fake::start(move |_, _| json(200, &stuck));
    let email = Fake::start(|_, _| json(200, r#"{"items":[]}"#));
    let variables =
        [("ORDER_URL", order.url.as_str()), ("EMAIL_URL", &email.url), ("INVENTORY_URL", "http://127.0.0.1:9")];
    let ran = warren(&["stuck"], &variables);
    assert_eq!(ran.status, 1);
    assert!(ran.out.contains(ID) && ran.out.contains("not charged"), "{}", ran.out);
    assert!(ran.err.contains("inventory does not answer: cannot reach inventory"), "{}", ran.err);
    let ran = warren(&["stuck", "--json"], &variables);
    let told: serde_json::Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!(
        (&told["items"][0]["waits_for"], &told["silent"][0]["service"]),
        (&"payment".into(), &"inventory".into())
    );
}

#[test]
fn a_token_is_made_where_only_the_secret_is_known() {
    let fake = Fake::start(|_, _| json(200, r#"{"items":[],"next_cursor":null}"#));
    let file = std::env::temp_dir().join(format!("warren-secret-{}", std::process::id()));
    std::fs::write(&file, "secret\n").unwrap();
    let ran =
        warren(&["order", "list"], &[("ORDER_URL", &fake.url), ("AUTH_HS256_SECRET_FILE", file.to_str().unwrap())]);
    assert_eq!(ran.status, 0, "{}", ran.err);
    std::fs::remove_file(&file).unwrap();
    let token = fake.requests()[0].header("authorization").unwrap().strip_prefix("Bearer ").unwrap().to_owned();
    let key = jsonwebtoken::DecodingKey::from_secret(b"secret");
    let claims =
        jsonwebtoken::decode::<serde_json::Value>(&token, &key, &jsonwebtoken::Validation::default()).unwrap().claims;
    assert!(claims["scope"].as_str().unwrap().contains("orders:read"));
}

#[test]
fn a_list_is_read_over_several_pages() {
    let fake = Fake::start(|_, request| {
        let count: usize = request.parameter("limit").unwrap().parse().unwrap();
        let items = vec![order(ID, "confirmed"); count].join(",");
        json(200, format!(r#"{{"items":[{items}],"next_cursor":"next"}}"#))
    });
    let variables = [("ORDER_URL", fake.url.as_str())];
    let ran = warren(&["order", "list", "--limit", "250", "--status", "confirmed", "--json"], &variables);
    assert_eq!(ran.status, 0, "{}", ran.err);
    let list: serde_json::Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!((list["items"].as_array().unwrap().len(), &list["next_cursor"]), (250, &serde_json::json!("next")));
    let asked: Vec<_> = fake.requests().iter().map(|request| request.query.clone()).collect();
    assert_eq!(asked, ["status=confirmed&limit=200", "status=confirmed&limit=50&cursor=next"]);
    let table = warren(&["order", "list", "--limit", "2"], &variables);
    assert_eq!(table.out.lines().count(), 3);
    assert!(table.out.starts_with("ORDER ") && table.err.contains("--cursor next"), "{}{}", table.out, table.err);
}

fn envelope(sequence: u32, name: &str) -> String {
    format!(
        r#"{{"type":"{name}","sequence":"{sequence}","time":"2026-01-02T03:04:05Z","data":{{"reason":"requested"}}}}"#
    )
}

#[test]
fn a_difference_names_the_event_that_made_it() {
    let at_version = |version: usize| {
        let status = ["", "pending", "reserved", "cancelled"][version];
        let shown = order(ID, status).replace("\"version\":1", &format!("\"version\":{version}"));
        if version == 3 { shown.replace("\"lines\"", "\"cancel_reason\":\"requested\",\"lines\"") } else { shown }
    };
    let fake = Fake::start(move |_, request| match request.parameter("version") {
        None => {
            let names = ["order.created", "order.reserved", "order.cancelled"];
            let items = (1..)
                .zip(names)
                .map(|(sequence, name)| envelope(sequence, name).replacen('{', &format!(r#"{{"id":"{ID}","#), 1));
            json(200, format!(r#"{{"items":[{}]}}"#, items.collect::<Vec<_>>().join(",")))
        }
        Some("9") => problem(404, "not-found", "Not found"),
        Some(version) => json(200, at_version(version.parse().unwrap())),
    });
    let variables = [("ORDER_URL", fake.url.as_str())];
    let page = warren(&["order", "diff", ID, "1..3"], &variables);
    assert_eq!(page.status, 0, "{}", page.err);
    let lines: Vec<_> = page.out.lines().collect();
    assert!(lines[2].starts_with("  2  order.reserved  2026-01-02T03:04:05.000Z"), "{}", page.out);
    assert_eq!(lines[3].split_whitespace().collect::<Vec<_>>(), ["status", "pending", "->", "reserved"]);
    assert!(page.out.contains("cancel_reason  none -> requested"), "{}", page.out);

    let told = warren(&["order", "diff", ID, "2..", "--json"], &variables);
    let told: serde_json::Value = serde_json::from_str(&told.out).unwrap();
    let (steps, changes) = (told["steps"].as_array().unwrap(), &told["steps"][0]["changes"]);
    assert_eq!((steps.len(), &steps[0]["event"], &steps[0]["version"]), (1, &"order.cancelled".into(), &3.into()));
    assert_eq!(changes[1], serde_json::json!({"field": "status", "from": "reserved", "to": "cancelled"}));
    assert_eq!((&told["from"], &told["to"]), (&2.into(), &3.into()));
    let beyond = warren(&["order", "diff", ID, "1..9"], &variables);
    assert_eq!((beyond.status, beyond.err.as_str()), (1, "warren: Not found: It is so. (404 not-found)\n"));
}

#[test]
fn a_stream_that_breaks_is_resumed_and_nothing_is_shown_twice() {
    let fake = Fake::start(|before, request| {
        assert_eq!(request.header("last-event-id"), (before > 0).then_some("2"));
        let event = |sequence, name| format!("id: {sequence}\nevent: {name}\ndata: {}\n\n", envelope(sequence, name));
        let events = match before {
            0 => event(1, "order.created") + &event(2, "order.reserved"),
            _ => event(2, "order.reserved") + ": heartbeat\n\n" + &event(3, "order.cancelled"),
        };
        Reply::Answer(200, vec![("content-type", "text/event-stream".to_owned())], events)
    });
    let ran = warren(&["order", "watch", ID, "--json"], &[("ORDER_URL", &fake.url)]);
    assert_eq!(ran.status, 0, "{}", ran.err);
    let expected = [envelope(1, "order.created"), envelope(2, "order.reserved"), envelope(3, "order.cancelled")];
    assert_eq!(ran.out.lines().collect::<Vec<_>>(), expected);
}

#[test]
fn without_a_stream_the_history_is_read_and_an_unknown_order_is_told() {
    let fake = Fake::start(|_, request| match request.path.ends_with("/events") {
        true => {
            json(200, format!(r#"{{"items":[{},{}]}}"#, envelope(1, "order.created"), envelope(2, "order.cancelled")))
        }
        false => problem(405, "method-not-allowed", "Method not allowed"),
    });
    let ran = warren(&["order", "watch", ID], &[("ORDER_URL", &fake.url)]);
    assert_eq!((ran.status, ran.out.lines().count()), (0, 2), "{}", ran.err);
    assert!(ran.out.contains("order.cancelled") && ran.out.ends_with("requested\n"), "{}", ran.out);
    let unknown = Fake::start(|_, _| problem(404, "not-found", "Not found"));
    let ran = warren(&["order", "watch", ID], &[("ORDER_URL", &unknown.url)]);
    assert_eq!((ran.status, ran.err.as_str()), (1, "warren: Not found: It is so. (404 not-found)\n"));
}

#[test]
fn the_topology_is_shown_without_a_broker_and_not_checked_without_one() {
    let shown = warren(&["topology", "show", "--json", "--retry-delays", "90s"], &[]);
    let topology: serde_json::Value = serde_json::from_str(&shown.out).unwrap();
    assert_eq!(topology["queues"][1]["name"], "order.retry.90s");
    let checked = warren(&["topology", "check"], &[("AMQP_URL", "amqp://127.0.0.1:9")]);
    assert_eq!(checked.status, 1);
    assert!(checked.err.starts_with("warren: cannot connect to the broker: "), "{}", checked.err);
}

#[test]
fn each_shell_gets_its_completions() {
    for (shell, part) in [
        ("bash", "complete -F _warren"),
        ("zsh", "#compdef warren"),
        ("fish", "complete -c warren"),
        ("elvish", "edit:completion"),
        ("powershell", "Register-ArgumentCompleter"),
    ] {
        let ran = warren(&["completions", shell], &[]);
        assert_eq!(ran.status, 0, "{}", ran.err);
        assert!(ran.out.contains(part) && ran.out.contains("rabbitmq-management-url"), "{shell}: {}", ran.out);
    }
    let ran = warren(&["completions", "basic"], &[]);
    assert!(ran.status == 2 && ran.err.contains("bash"), "{}", ran.err);
}
