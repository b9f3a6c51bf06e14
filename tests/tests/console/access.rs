//! Who gets in, and what keeps others out.

use end_to_end::http::Api;
use end_to_end::system::System;
use end_to_end::token::in_seconds;
use end_to_end::waiting::{PATIENCE, check, eventually};
use reqwest::Method;
use serde_json::json;

use end_to_end::console::{Console, Told as _};

#[tokio::test]
async fn a_token_opens_what_it_permits_and_nothing_else() {
    let system = System::start().await;
    system.sell("tea", 100, 10).await;
    let customer = system.customer().await;
    let console = Console::of(&system).await;

    for path in ["/api/overview", "/api/catalogue", "/api/dead-letters/groups", "/api/s/order/v1/orders"] {
        console.get(path, None).send().await.is(401);
        console.get(path, Some("warren-console-1=guessed")).send().await.is(401);
    }
    for (bad, why) in [
        ("not a token", "three parts"),
        (&*system.tokens.claims(&json!({"sub": "late", "scope": "ops", "exp": in_seconds(-3600)})), "expired"),
        ("e30.eyJzdWIiOiJtYWxsb3J5Iiwic2NvcGUiOiJvcHMiLCJleHAiOjk5OTk5OTk5OTl9.c2ln", "not accepted"),
    ] {
        let refused = console.try_sign_in(bad).await;
        assert_eq!(refused.status, 401, "{}", refused.body);
        assert!(refused.body.contains(why), "{why}: {}", refused.body);
        assert!(!refused.headers.contains_key("set-cookie"));
    }

    let operator = console.sign_in(&system.tokens.staff()).await;
    let session = console.get("/api/session", Some(&operator)).send().await.is(200);
    assert_eq!((&session["ops"], &session["subject"]), (&json!(true), &json!("staff")));
    console.get("/api/dead-letters/groups", Some(&operator)).send().await.is(200);
    console.get("/api/s/order/v1/orders", Some(&operator)).send().await.is(200);

    let reader = console.sign_in(&system.tokens.scopes("orders:read")).await;
    console.get("/api/s/order/v1/orders", Some(&reader)).send().await.is(200);
    console.get("/api/overview", Some(&reader)).send().await.is(200);
    console.get("/api/s/email/v1/emails", Some(&reader)).send().await.is(403);
    let order = console.ask(Method::POST, "/api/s/order/v1/orders", Some(&reader)).json(&json!({}));
    order.send().await.is(403);
    for path in ["/api/dead-letters/groups", "/api/dead-letters/log", "/api/dead-letters/runs"] {
        console.get(path, Some(&reader)).send().await.is(403);
    }
    for (path, body) in [
        ("/api/dead-letters/replay", json!({})),
        ("/api/dead-letters/discard", json!({"ids": ["x"]})),
        ("/api/dead-letters/edit", json!({"id": "x", "body": "{}"})),
    ] {
        console.ask(Method::POST, path, Some(&reader)).json(&body).send().await.is(403);
    }

    // a customer's own token is no operator's, whatever its scopes
    let own = console.sign_in(&system.tokens.customer(&customer.id)).await;
    console.get("/api/dead-letters/groups", Some(&own)).send().await.is(403);
    console.get("/api/s/email/v1/emails", Some(&own)).send().await.is(403);

    console.ask(Method::DELETE, "/api/session", Some(&operator)).send().await.is(204);
    console.get("/api/overview", Some(&operator)).send().await.is(401);
    system.finish().await;
}

#[tokio::test]
async fn other_pages_cannot_use_a_browser_that_is_signed_in() {
    let system = System::start().await;
    let console = Console::of(&system).await;
    let cookie = console.sign_in(&system.tokens.staff()).await;

    let call = |origin: Option<&str>, own: bool| {
        let call = Api::new(console.url.clone(), None).call(Method::POST, "/api/dead-letters/replay");
        let mut call = call.header("cookie", &cookie).json(&json!({"dry_run": true}));
        if let Some(origin) = origin {
            call = call.header("origin", origin);
        }
        if own { call.header("x-warren-console", "1") } else { call }
    };
    call(Some(&console.url), true).send().await.is(200);
    call(Some(&console.url), false).send().await.is(403);
    call(None, true).send().await.is(403);
    call(Some("http://127.0.0.1:9"), true).send().await.is(403);
    call(Some("https://evil.example"), true).send().await.is(403);
    call(Some("null"), true).send().await.is(403);

    // a name that suddenly means this machine
    let rebound = console.get("/api/overview", Some(&cookie)).header("host", "evil.example").send().await;
    assert_eq!(rebound.status, 421, "{}", rebound.body);
    console.get("/api/overview", Some(&cookie)).header("sec-fetch-site", "cross-site").send().await.is(403);

    for path in ["/", "/orders", "/web/app.js", "/api/overview", "/no/such/page", "/api/no/such/route"] {
        let answer = console.get(path, Some(&cookie)).send().await;
        let header = |name: &str| answer.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let policy = header("content-security-policy");
        for part in [
            "default-src 'none'",
            "script-src 'self'",
            "style-src 'self'",
            "frame-ancestors 'none'",
            "trusted-types 'none'",
        ] {
            assert!(policy.contains(part), "{path}: {policy}");
        }
        assert!(!policy.contains("unsafe"), "{path}: {policy}");
        assert_eq!((header("x-frame-options"), header("x-content-type-options")), ("DENY", "nosniff"), "{path}");
        assert_eq!(header("referrer-policy"), "no-referrer", "{path}");
        assert!(!answer.headers.contains_key("access-control-allow-origin"), "{path}");
        if path.starts_with("/api/") {
            assert_eq!(header("cache-control"), "no-store", "{path}");
        }
    }
    system.finish().await;
}

#[tokio::test]
async fn while_no_service_answers_one_sees_what_is_down_and_no_letter() {
    let system = System::start().await;
    let console = Console::of(&system).await;
    let before = console.sign_in(&system.tokens.staff()).await;
    for service in [&system.order, &system.inventory, &system.email] {
        service.kill().await;
    }
    let cookie = console.sign_in(&system.tokens.staff()).await;
    let session = console.get("/api/session", Some(&cookie)).send().await.is(200);
    assert_eq!((&session["verified"], &session["ops"]), (&json!(false), &json!(false)));
    eventually("it says what is down", PATIENCE, async || {
        let now = console.get("/api/overview", Some(&cookie)).send().await.is(200);
        let titles: Vec<&str> =
            now["wrong"].as_array().expect("a list").iter().filter_map(|it| it["title"].as_str()).collect();
        let all = ["order", "inventory", "email"].map(|name| format!("{name} does not answer"));
        check(all.iter().all(|title| titles.contains(&title.as_str())), || format!("{titles:?}"))
    })
    .await;
    let stranger = "e30.eyJzdWIiOiJtYWxsb3J5Iiwic2NvcGUiOiJvcHMiLCJleHAiOjk5OTk5OTk5OTl9.c2ln";
    let stranger = console.sign_in(stranger).await;
    console.get("/api/overview", Some(&stranger)).send().await.is(200);
    console.get("/api/dead-letters/groups", Some(&cookie)).send().await.is(502);
    console.get("/api/s/order/v1/orders", Some(&before)).send().await.is(502);
    for service in [&system.order, &system.inventory, &system.email] {
        service.start_and_wait().await;
    }
    eventually("whose token is not good is sent away", PATIENCE, async || {
        let answer = console.get("/api/overview", Some(&stranger)).send().await;
        check(answer.status == 401, || answer.body)
    })
    .await;
    console.get("/api/overview", Some(&cookie)).send().await.is(200);
    eventually("it is an operator again", PATIENCE, async || {
        let answer = console.get("/api/dead-letters/groups", Some(&cookie)).send().await;
        check(answer.status == 200, || answer.body)
    })
    .await;
    system.finish().await;
}
