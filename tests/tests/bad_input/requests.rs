//! Requests whose path, query, method or headers are wrong.

use end_to_end::system::System;
use reqwest::Method;

use crate::report::{Report, events};
use crate::routes::{Things, routes};

#[tokio::test]
async fn paths_queries_and_methods_are_checked() {
    let system = System::start().await;
    let things = Things::make(&system).await;
    let before = events(&system).await;
    let mut report = Report::default();
    for route in routes(&things) {
        let api = system.service(route.service).api();
        let name = route.name();
        if let Some(path) = &route.bad_path {
            let answer = route.call(api, path).send().await;
            report.problem(&format!("{name} as {path}"), &answer, 400, "invalid-path");
        }
        if let Some(path) = &route.unknown {
            let answer = route.call(api, path).send().await;
            report.problem(&format!("{name} as {path}"), &answer, 404, "not-found");
        }
        let separator = if route.path.contains('?') { '&' } else { '?' };
        for query in ["unheard_of=1", "unheard_of", "limit=1&limit=2"] {
            let answer = route.call(api, &format!("{}{separator}{query}", route.path)).send().await;
            report.problem(&format!("{name} with {query}"), &answer, 400, "invalid-query");
        }
        let answer = api.call(Method::DELETE, &route.path).send().await;
        report.problem(&format!("{name} deleted"), &answer, 405, "method-not-allowed");
        let allowed = answer.header("allow").is_some_and(|allow| allow.contains(route.method.as_str()));
        report.holds(&format!("{name} deleted says what is allowed"), allowed, &answer);
    }
    for service in ["order", "inventory", "email"] {
        let api = system.service(service).api();
        for path in ["/", "/v1", "/v1/nothing", "/v2/orders", "/v1/orders/", "/v1/orders//events", "/.env", "/v1/%00"] {
            let answer = api.get(path).await;
            report.holds(&format!("{service} GET {path}"), [400, 404].contains(&answer.status), &answer);
            report.holds(
                &format!("{service} GET {path} is a problem"),
                answer.header("content-type") == Some("application/problem+json"),
                &answer,
            );
        }
        report.problem(&format!("{service} GET /nothing"), &api.get("/nothing").await, 404, "not-found");
    }
    assert_eq!(events(&system).await, before, "something was done for a wrong request");
    report.close();
    things.settle(&system).await;
    system.finish().await;
}

#[tokio::test]
async fn parameters_of_lists_are_checked() {
    let system = System::start().await;
    let things = Things::make(&system).await;
    let mut report = Report::default();
    for (service, list) in [
        ("order", "/v1/orders"),
        ("inventory", "/v1/products"),
        ("inventory", "/v1/products/tea/movements"),
        ("email", "/v1/emails"),
    ] {
        let api = system.service(service).api();
        for limit in ["0", "201", "-1", "1.5", "many", "", "99999999999999999999", "%00", "1%20", "%2B1"] {
            let answer = api.get(&format!("{list}?limit={limit}")).await;
            report.problem(&format!("{list} limit {limit}"), &answer, 400, "invalid-query");
        }
        for cursor in ["x", "AAAA", "e30", "%00", "eyJhIjoxfQ", &"A".repeat(3000), "W10="] {
            let answer = api.get(&format!("{list}?cursor={cursor}")).await;
            report.problem(&format!("{list} cursor {cursor}"), &answer, 400, "invalid-cursor");
        }
        for limit in ["1", "200"] {
            let answer = api.get(&format!("{list}?limit={limit}")).await;
            report.holds(&format!("{list} limit {limit}"), answer.status == 200, &answer);
        }
    }
    for (service, query) in [
        ("order", "/v1/orders?status=lost"),
        ("order", "/v1/orders?status="),
        ("order", "/v1/orders?status=Pending"),
        ("order", "/v1/orders?customer_id=me"),
        ("order", "/v1/orders?customer_id="),
        ("order", "/v1/orders?created_from=yesterday"),
        ("order", "/v1/orders?created_to=2026-01-32T00:00:00Z"),
        ("order", "/v1/orders?created_from=2026-01-01T00:00:00Z&created_from=2026-01-01T00:00:00Z"),
        ("order", "/v1/reports/daily-sales?from=2026-02-30&to=2026-03-01"),
        ("order", "/v1/reports/daily-sales?from=today&to=today"),
        ("order", "/v1/reports/daily-sales?from=2026-01-01T00:00:00Z&to=2026-01-02"),
        ("email", "/v1/emails?order_id=x"),
        ("email", "/v1/emails?customer_id=x"),
        ("email", "/v1/emails?status=lost"),
        ("order", "/readyz?role=everything"),
    ] {
        let answer = system.service(service).api().get(query).await;
        report.problem(query, &answer, 400, "invalid-query");
    }
    for version in ["0", "-1", "%2B1", "1.0", "", "one"] {
        let answer = system.order.api().get(&format!("/v1/orders/{}?version={version}", things.order_id)).await;
        report.problem(&format!("version {version}"), &answer, 400, "invalid-query");
    }
    for service in ["order", "inventory", "email"] {
        for path in ["/livez", "/readyz", "/metrics", "/docs", "/openapi.json"] {
            let answer = system.service(service).api().without_token().get(&format!("{path}?unheard_of=1")).await;
            report.problem(&format!("{service} {path}?unheard_of=1"), &answer, 400, "invalid-query");
        }
    }
    report.close();
    things.settle(&system).await;
    system.finish().await;
}
