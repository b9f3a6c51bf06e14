use serde_json::json;

use super::*;

#[test]
fn everything_starts_as_starting() {
    let report = Health::new().report(Role::All);
    assert!(!report.is_ok());
    assert_eq!(
        serde_json::to_value(&report).expect("JSON"),
        json!({"status": "unavailable", "checks": {"broker": "starting", "database": "starting", "migrations": "starting",
                                                   "consumer": "starting", "relay": "starting"}})
    );
}

#[test]
fn http_needs_the_database_alone() {
    let health = Health::new();
    health.ok(Check::Database);
    health.ok(Check::Migrations);
    health.fail(Check::Broker, "connecting");
    let http = health.report(Role::Http);
    assert!(http.is_ok());
    assert_eq!(
        serde_json::to_value(&http).expect("JSON"),
        json!({"status": "ok", "checks": {"database": "ok", "migrations": "ok"}})
    );
    assert!(!health.report(Role::All).is_ok());
    for check in [Check::Broker, Check::Consumer, Check::Relay] {
        health.ok(check);
    }
    assert!(health.report(Role::All).is_ok());
    health.show_breakers(|| [("smtp", "open")].into());
    let all = health.report(Role::All);
    assert!(all.is_ok(), "who protects itself works");
    assert_eq!(serde_json::to_value(&all).expect("JSON")["breakers"], json!({"smtp": "open"}));
    assert!(serde_json::to_value(health.report(Role::Http)).expect("JSON").get("breakers").is_none());
    health.set(Check::Relay, Err("another copy leads".to_owned()));
    assert_eq!(health.reason(Check::Relay).as_deref(), Some("another copy leads"));
    assert_eq!(health.reason(Check::Broker), None);
}
