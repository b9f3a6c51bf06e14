//! `warren topology` against a real RabbitMQ, in a vhost of its own.

use std::env;

use reqwest::{Method, StatusCode, Url};
use serde_json::{Value, json};

use crate::fake::{Ran, warren};

/// A vhost for one test; deleted with the value.
pub(crate) struct Vhost {
    pub(crate) amqp_url: String,
    pub(crate) management_url: String,
    name: String,
}

impl Vhost {
    pub(crate) fn new() -> Self {
        let mut amqp_url: Url = env::var("AMQP_URL").expect("set AMQP_URL to an administrator's URL").parse().unwrap();
        let management_url = env::var("RABBITMQ_MANAGEMENT_URL").expect("set RABBITMQ_MANAGEMENT_URL");
        let name = format!("test_{}", uuid::Uuid::now_v7().simple());
        amqp_url.set_path(&name);
        let vhost = Self { amqp_url: amqp_url.into(), management_url, name };
        assert!(vhost.manage(Method::PUT, "vhosts", "").is_success());
        vhost
    }

    /// Calls the management interface for something in this vhost.
    pub(crate) fn manage(&self, method: Method, what: &str, name: &str) -> StatusCode {
        self.call(method, &format!("{what}/{}/{name}", self.name), &json!({})).0
    }

    /// Puts a message straight into a queue.
    pub(crate) fn put(&self, queue: &str, body: &str) {
        let message = json!({"properties": {}, "routing_key": queue, "payload": body, "payload_encoding": "string"});
        let (status, answer) =
            self.call(Method::POST, &format!("exchanges/{}/amq.default/publish", self.name), &message);
        assert_eq!((status, &answer["routed"]), (StatusCode::OK, &json!(true)));
    }

    /// The names of all queues.
    pub(crate) fn queues(&self) -> Vec<String> {
        let (_, queues) = self.call(Method::GET, &format!("queues/{}", self.name), &Value::Null);
        queues.as_array().unwrap().iter().map(|queue| queue["name"].as_str().unwrap().to_owned()).collect()
    }

    /// Calls the management interface; the answer is null where it is no JSON.
    fn call(&self, method: Method, path: &str, body: &Value) -> (StatusCode, Value) {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut url: Url = self.management_url.parse().unwrap();
        let given = |part: Option<&str>| part.filter(|part| !part.is_empty()).unwrap_or("guest").to_owned();
        let (user, password) = (given(Some(url.username())), given(url.password()));
        url.set_username("").and_then(|()| url.set_password(None)).unwrap();
        url.set_path(format!("/api/{path}").trim_end_matches('/'));
        let call = async {
            let http = reqwest::Client::builder().no_proxy().build().unwrap();
            let answer = http.request(method, url).basic_auth(user, Some(password)).json(body).send().await.unwrap();
            (answer.status(), serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap_or_default())
        };
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(call)
    }

    pub(crate) fn warren(&self, arguments: &[&str], managed: bool) -> Ran {
        let mut variables = vec![("AMQP_URL", self.amqp_url.as_str())];
        if managed {
            variables.push(("RABBITMQ_MANAGEMENT_URL", &self.management_url));
        }
        warren(&[&["topology"], arguments].concat(), &variables)
    }

    /// `problem: name` of each difference.
    fn differences(&self, managed: bool) -> Vec<String> {
        let ran = self.warren(&["check", "--json"], managed);
        let report: Value = serde_json::from_str(&ran.out).unwrap_or_else(|_| panic!("{ran:?}"));
        let told = |difference: &Value| {
            format!("{}: {}", difference["problem"].as_str().unwrap(), difference["name"].as_str().unwrap())
        };
        let differences: Vec<String> = report["differences"].as_array().unwrap().iter().map(told).collect();
        assert_eq!(ran.status, i32::from(!differences.is_empty()), "{ran:?}");
        differences
    }
}

impl Drop for Vhost {
    fn drop(&mut self) {
        self.manage(Method::DELETE, "vhosts", "");
    }
}

#[test]
fn what_is_missing_is_told_and_made_and_looking_makes_nothing() {
    let vhost = Vhost::new();
    let missing = vhost.differences(false);
    assert_eq!(missing.len(), 10 + 21, "{missing:?}");
    assert_eq!(vhost.differences(true), missing);
    for _ in 0..2 {
        let applied = vhost.warren(&["apply", "--wait", "10s"], false);
        assert_eq!(applied.status, 0, "{applied:?}");
        assert!(applied.out.contains("10 exchanges, 21 queues and 32 bindings are there"), "{}", applied.out);
    }
    assert_eq!((vhost.differences(false), vhost.differences(true)), (vec![], vec![]));
    assert!(vhost.manage(Method::DELETE, "queues", "email.dead").is_success());
    for managed in [false, true] {
        assert_eq!(vhost.differences(managed), ["missing: email.dead"]);
    }
}

#[test]
fn rungs_of_an_earlier_schedule_are_named() {
    let vhost = Vhost::new();
    for delays in ["1s,5s,30s,2m,10m", "1s,7s"] {
        assert_eq!(vhost.warren(&["apply", "--retry-delays", delays], false).status, 0);
    }
    let left_over = ["email", "inventory", "order"].map(|service| format!("left-over: {service}.retry.7s"));
    assert_eq!(vhost.differences(true), left_over);
}

#[test]
fn a_broker_that_refuses_is_not_waited_for() {
    let vhost = Vhost::new();
    assert_eq!(vhost.warren(&["apply"], false).status, 0);
    assert!(vhost.manage(Method::DELETE, "queues", "order").is_success());
    // a queue without any of the arguments
    assert!(vhost.manage(Method::PUT, "queues", "order").is_success());
    let refused = vhost.warren(&["apply", "--wait", "60s"], false);
    assert_eq!(refused.status, 1);
    assert!(refused.err.contains("the broker refuses: PRECONDITION_FAILED - inequivalent arg"), "{}", refused.err);
    let checked = vhost.warren(&["check"], true);
    assert!(
        checked.out.contains("different: queue order: ") && checked.out.contains("x-queue-type"),
        "{}",
        checked.out
    );
}
