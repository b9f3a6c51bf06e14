//! Callers without a token, with a bad one, without the scope, or who are customers.

use end_to_end::shop::{order_of, text};
use end_to_end::system::System;
use end_to_end::token::{ALL_SCOPES, Tokens, in_seconds};
use serde_json::json;

use crate::report::{Report, events};
use crate::routes::{ForCustomers, Things, routes};

/// A token that says it needs no signature (RFC 7519, section 6).
fn unsigned() -> String {
    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
    let claims = json!({"sub": "staff", "scope": ALL_SCOPES, "exp": in_seconds(3600)});
    format!("{}.{}.", BASE64.encode(r#"{"alg":"none","typ":"JWT"}"#), BASE64.encode(claims.to_string()))
}

fn bad_tokens(tokens: &Tokens) -> Vec<(&'static str, String)> {
    let claims = |exp: i64| json!({"sub": "staff", "scope": ALL_SCOPES, "exp": exp});
    vec![
        ("no JWT", "nonsense".to_owned()),
        ("another key", Tokens::new("another secret, just as long as the right one").staff()),
        ("expired", tokens.claims(&claims(in_seconds(-3600)))),
        ("never expires", tokens.claims(&json!({"sub": "staff", "scope": ALL_SCOPES}))),
        (
            "not yet valid",
            tokens.claims(
                &json!({"sub": "staff", "scope": ALL_SCOPES, "exp": in_seconds(7200), "nbf": in_seconds(3600)}),
            ),
        ),
        (
            "a customer_id that is none",
            tokens.claims(&json!({"scope": ALL_SCOPES, "exp": in_seconds(3600), "customer_id": "me"})),
        ),
        ("unsigned", unsigned()),
        ("cut off", tokens.staff()[..40].to_owned()),
    ]
}

#[tokio::test]
async fn nobody_gets_what_he_may_not_have() {
    let system = System::start().await;
    let things = Things::make(&system).await;
    let before = events(&system).await;
    let mut report = Report::default();
    for route in routes(&things) {
        let api = system.service(route.service).api();
        let name = route.name();
        let answer = route.call(&api.without_token(), &route.path).send().await;
        report.problem(&format!("{name} without a token"), &answer, 401, "unauthorized");
        report.holds(
            &format!("{name} without a token challenges"),
            answer.header("www-authenticate").is_some(),
            &answer,
        );
        for (what, token) in bad_tokens(&system.tokens) {
            let answer = route.call(&api.with_token(token), &route.path).send().await;
            report.problem(&format!("{name}, token: {what}"), &answer, 401, "unauthorized");
            report.holds(
                &format!("{name}, token: {what} challenges"),
                answer.header("www-authenticate").is_some(),
                &answer,
            );
        }
        let basic = route.call(&api.without_token(), &route.path).header("authorization", "Basic YTpi").send().await;
        report.problem(&format!("{name} with a password"), &basic, 401, "unauthorized");

        let others: Vec<&str> = ALL_SCOPES.split(' ').filter(|scope| *scope != route.scope).collect();
        for scopes in ["", "unheard:of", &others.join(" "), &route.scope.to_uppercase()] {
            let answer = route.call(&api.with_token(system.tokens.scopes(scopes)), &route.path).send().await;
            report.problem(&format!("{name} with scopes {scopes:?}"), &answer, 403, "forbidden");
        }
        // Who may not have it does not learn either whether it exists, or what is wrong with the request.
        for path in route.bad_path.iter().chain(&route.unknown) {
            let answer = route.call(&api.without_token(), path).send().await;
            report.problem(&format!("{name} as {path} without a token"), &answer, 401, "unauthorized");
            let answer = route.call(&api.with_token(system.tokens.scopes("")), path).send().await;
            report.problem(&format!("{name} as {path} without a scope"), &answer, 403, "forbidden");
        }
    }
    assert_eq!(events(&system).await, before, "something was done for somebody who may not");
    report.close();
    things.settle(&system).await;
    system.finish().await;
}

#[tokio::test]
async fn a_customer_has_his_own_and_nothing_else() {
    let system = System::start().await;
    let things = Things::make(&system).await;
    let before = events(&system).await;
    let mut report = Report::default();
    let stranger = system.tokens.customer(&things.other.id);
    for route in routes(&things) {
        let api = system.service(route.service).api();
        let answer = route.call(&api.with_token(&stranger), &route.path).send().await;
        let name = format!("{} for another customer", route.name());
        match route.customers {
            ForCustomers::Hidden => report.problem(&name, &answer, 404, "not-found"),
            ForCustomers::Forbidden => report.problem(&name, &answer, 403, "forbidden"),
            ForCustomers::Allowed => report.holds(&name, answer.status == 200, &answer),
        }
    }
    assert_eq!(events(&system).await, before, "something was done for another customer");
    report.close();

    let theirs = system.order.api().with_token(&stranger);
    assert!(theirs.list("/v1/orders").await.is_empty(), "a list is filtered to its reader");
    let of_the_other = theirs.get(&format!("/v1/orders?customer_id={}", things.customer.id)).await;
    assert!(of_the_other.status == 404 || of_the_other.json()["items"] == json!([]), "{of_the_other}");
    own_things(&system, &things).await;
    things.settle(&system).await;
    system.finish().await;
}

/// What a customer may do with what is theirs.
async fn own_things(system: &System, things: &Things) {
    let own = system.order.api().with_token(system.tokens.customer(&things.customer.id));
    let orders = own.list("/v1/orders").await;
    assert_eq!(orders.iter().map(|order| text(order, "id")).collect::<Vec<_>>(), [&things.order_id]);
    for path in ["", "/events"] {
        own.get(&format!("/v1/orders/{}{path}", things.order_id)).await.expect(200);
    }
    let path = format!("/v1/customers/{}", things.customer.id);
    assert_eq!(own.get(&path).await.expect(200)["email"], json!(things.customer.email));
    own.patch(&path, &json!({"name": things.customer.name})).await.expect(200);
    let order = own.post("/v1/orders", &order_of(&things.customer.id, &[("tea", 1)], "sandbox:ok")).await.expect(201);
    let id = text(&order, "id");
    own.post(&format!("/v1/orders/{id}/cancel"), &json!({})).await.expect(202);
    system
        .inventory
        .api()
        .with_token(system.tokens.customer(&things.customer.id))
        .get("/v1/products/tea")
        .await
        .expect(200);
}
