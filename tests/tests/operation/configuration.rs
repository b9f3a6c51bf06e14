//! Configuration: wrong values stop the start with one line that names the variable, and secrets come from files.

use std::collections::BTreeMap;
use std::time::Duration;

use end_to_end::service::{SERVICES, run};
use end_to_end::shop::text;
use end_to_end::system::System;
use end_to_end::token::in_seconds;
use serde_json::json;
use tokio::time::timeout;

/// Every variable that the interface promises, and whose it is; empty where all have it.
const VARIABLES: [(&str, &[&str]); 30] = [
    ("HTTP_ADDR", &[]),
    ("DATABASE_URL", &[]),
    ("AMQP_URL", &[]),
    ("AUTH_JWKS_FILE", &[]),
    ("AUTH_HS256_SECRET", &[]),
    ("AUTH_DISABLED", &[]),
    ("AUTH_ISSUER", &[]),
    ("AUTH_AUDIENCE", &[]),
    ("RETRY_DELAYS", &[]),
    ("TOPOLOGY", &[]),
    ("OUTBOX_MAX", &[]),
    ("INBOX_RETENTION", &[]),
    ("EVENT_RETENTION", &[]),
    ("IDEMPOTENCY_RETENTION", &["order", "inventory"]),
    ("DATABASE_MAX_CONNECTIONS", &[]),
    ("SHUTDOWN_TIMEOUT", &[]),
    ("PREFETCH", &[]),
    ("CONSUMER_BATCH", &[]),
    ("HOLD_LIMIT", &[]),
    ("PAYMENT_TIMEOUT", &["order"]),
    ("PAYMENT_WEBHOOK_SECRET", &["order"]),
    ("SMTP_URL", &["email"]),
    ("EMAIL_FROM", &["email"]),
    ("EMAIL_OPS", &["email"]),
    ("LOG_FORMAT", &[]),
    ("OTEL_EXPORTER_OTLP_ENDPOINT", &[]),
    ("OTEL_EXPORTER_OTLP_HEADERS", &[]),
    ("OTEL_SERVICE_NAME", &[]),
    ("OTEL_TRACES_SAMPLER", &[]),
    ("OTEL_TRACES_SAMPLER_ARG", &[]),
];

/// Values that are wrong; empty is unset.
const WRONG: [(&str, &str, &str); 34] = [
    ("order", "HTTP_ADDR", "nonsense"),
    ("order", "DATABASE_URL", ""),
    ("order", "DATABASE_URL", "mysql://h/d"),
    ("order", "AMQP_URL", ""),
    ("order", "AMQP_URL", "http://127.0.0.1"),
    ("inventory", "AMQP_URL", "amqp://a,nonsense"),
    ("order", "AUTH_HS256_SECRET", ""),
    ("order", "AUTH_JWKS_FILE", "/nowhere/keys.json"),
    ("order", "AUTH_DISABLED", "perhaps"),
    ("order", "RETRY_DELAYS", "1s,soon"),
    ("order", "RETRY_DELAYS", "0s"),
    ("inventory", "TOPOLOGY", "guess"),
    ("inventory", "OUTBOX_MAX", "-1"),
    ("inventory", "OUTBOX_MAX", "many"),
    ("email", "INBOX_RETENTION", "30"),
    ("email", "EVENT_RETENTION", "for ever"),
    ("order", "IDEMPOTENCY_RETENTION", "1 fortnight"),
    ("order", "DATABASE_MAX_CONNECTIONS", "0"),
    ("order", "SHUTDOWN_TIMEOUT", "30"),
    ("inventory", "PREFETCH", "0"),
    ("inventory", "CONSUMER_BATCH", "0"),
    ("inventory", "HOLD_LIMIT", "20"),
    ("order", "PAYMENT_TIMEOUT", "a while"),
    ("order", "PAYMENT_WEBHOOK_SECRET", "secret"),
    ("order", "PAYMENT_WEBHOOK_SECRET", "whsec_%%%"),
    ("email", "SMTP_URL", ""),
    ("email", "SMTP_URL", "http://mail.example"),
    ("email", "EMAIL_FROM", "nobody"),
    ("email", "EMAIL_OPS", "nobody"),
    ("order", "LOG_FORMAT", "xml"),
    ("order", "OTEL_EXPORTER_OTLP_ENDPOINT", "localhost:4317"),
    ("order", "OTEL_EXPORTER_OTLP_HEADERS", "no pair"),
    ("inventory", "OTEL_TRACES_SAMPLER", "sometimes"),
    ("email", "OTEL_TRACES_SAMPLER_ARG", "2"),
];

/// How long a service may take to find out that its configuration is wrong.
const PROMPTLY: Duration = Duration::from_secs(15);

/// A configuration with which a service would start, if there were a server at the other end.
fn right(service: &str) -> BTreeMap<String, String> {
    let mut variables: BTreeMap<String, String> = [
        ("HTTP_ADDR", "127.0.0.1:1"),
        ("DATABASE_URL", "postgres://nobody@127.0.0.1:1/nothing"),
        ("AMQP_URL", "amqp://127.0.0.1:1"),
        ("AUTH_HS256_SECRET", "a secret that is long enough to be one"),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .into();
    if service == "email" {
        variables.insert("SMTP_URL".to_owned(), "smtp://127.0.0.1:1".to_owned());
        variables.insert("EMAIL_FROM".to_owned(), "shop@warren.test".to_owned());
    }
    variables
}

#[tokio::test]
async fn wrong_configuration_is_one_line_that_names_the_variable() {
    let mut faults = Vec::new();
    for (service, name, value) in WRONG {
        let mut variables = right(service);
        variables.insert(name.to_owned(), value.to_owned());
        if name == "AUTH_JWKS_FILE" || name == "AUTH_DISABLED" {
            variables.remove("AUTH_HS256_SECRET");
        }
        let Ok(run) = timeout(PROMPTLY, run(service, &[], &variables)).await else {
            faults.push(format!("{service} with {name}={value:?}: started"));
            continue;
        };
        let said = format!("{}{}", run.stdout, run.stderr);
        let code = run.status.code();
        if code.is_none_or(|code| code == 0) || said.trim().lines().count() != 1 || !said.contains(name) {
            faults.push(format!("{service} with {name}={value:?}: exit status {code:?}: {said}"));
        }
        let secret = ["DATABASE_URL", "AMQP_URL", "PAYMENT_WEBHOOK_SECRET"].contains(&name) && !value.is_empty();
        if secret && said.contains(value) {
            faults.push(format!("{service} shows the value of {name}: {said}"));
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[tokio::test]
async fn keys_exclude_each_other() {
    for (name, value) in [("AUTH_DISABLED", "true"), ("AUTH_JWKS_FILE", "/nowhere/keys.json")] {
        let mut variables = right("order");
        variables.insert(name.to_owned(), value.to_owned());
        let run = run("order", &[], &variables).await;
        assert!(
            !run.status.success() && run.stderr.trim().lines().count() == 1 && run.stderr.contains(name),
            "{run:?}"
        );
    }
}

#[tokio::test]
async fn help_lists_every_variable() {
    for service in SERVICES {
        // No configuration at all is needed to ask for help.
        let help = run(service, &["--help"], &BTreeMap::new()).await;
        assert!(help.status.success(), "{help:?}");
        let its_own = VARIABLES.iter().filter(|(_, of)| of.is_empty() || of.contains(&service)).map(|(name, _)| *name);
        let missing: Vec<&str> = its_own.filter(|name| !help.stdout.contains(name)).collect();
        assert!(missing.is_empty(), "{service} --help does not tell of {missing:?}");
    }
}

#[tokio::test]
async fn secrets_come_from_files() {
    let system = System::setup().prepare().await;
    system.migrate().await;
    let folder = std::env::temp_dir().join(format!("warren-secrets-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a folder");
    for service in SERVICES {
        let service = system.service(service);
        for name in
            ["DATABASE_URL", "AMQP_URL", "AUTH_HS256_SECRET", "PAYMENT_WEBHOOK_SECRET", "SMTP_URL", "RETRY_DELAYS"]
        {
            let Some(value) = service.variables().get(name).cloned() else { continue };
            let file = folder.join(format!("{}-{name}", service.name));
            std::fs::write(&file, format!("{value}\n")).expect("a file");
            service.set(name, None);
            service.set(&format!("{name}_FILE"), file.to_str());
        }
        service.start_and_wait().await;
    }
    system.sell("tea", 100, 10).await;
    let customer = system.customer().await;
    let order = system.place(&customer, &[("tea", 1)]).await;
    assert_eq!(text(&system.settled(text(&order, "id")).await, "status"), "confirmed");
    system.finish().await;
    let _ = std::fs::remove_dir_all(folder);
}

#[tokio::test]
async fn tokens_are_verified_as_configured() {
    let system = System::setup().env("AUTH_ISSUER", "https://id.example").env("AUTH_AUDIENCE", "warren").start().await;
    let claims = |issuer: &str, audience: &str| {
        let claims = json!({"scope": "orders:read", "exp": in_seconds(600), "iss": issuer, "aud": audience});
        system.order.api().with_token(system.tokens.claims(&claims))
    };
    let ours = claims("https://id.example", "warren");
    ours.get("/v1/orders").await.expect(200);
    for other in [claims("https://other.example", "warren"), claims("https://id.example", "other")] {
        other.get("/v1/orders").await.problem(401, "unauthorized");
    }
    let neither = system.order.api().with_token(system.tokens.staff());
    neither.get("/v1/orders").await.problem(401, "unauthorized");

    // Without authentication everybody may do everything, and the log warns of it.
    for name in SERVICES {
        let service = system.service(name);
        for variable in ["AUTH_HS256_SECRET", "AUTH_ISSUER", "AUTH_AUDIENCE"] {
            service.set(variable, None);
        }
        service.set("AUTH_DISABLED", Some("true"));
        service.restart().await;
        let warned = service.log().lines().any(|line| line.contains("WARN") && line.contains("AUTH_DISABLED"));
        assert!(warned, "{name} does not warn");
    }
    system.order.api().without_token().get("/v1/orders").await.expect(200);
    system.finish().await;
}

#[tokio::test]
async fn without_its_secret_there_is_no_webhook() {
    let system = System::setup().prepare().await;
    system.migrate().await;
    system.order.set("PAYMENT_WEBHOOK_SECRET", None);
    for service in SERVICES {
        system.service(service).start_and_wait().await;
    }
    let answer = system.provider().call("hook-1", &json!({})).await;
    answer.problem(404, "not-found");
    system.finish().await;
}
