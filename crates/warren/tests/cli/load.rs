//! `warren load` against a shop that confirms every order at once, and against one that breaks a promise.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Command, Stdio};
use std::sync::Mutex;

use crate::fake::{Fake, Ran, Reply, Request, json, problem, warren};
use serde_json::{Value, json as value};

const TIME: &str = "2026-01-02T03:04:05Z";

/// What the shop knows, and what is wrong with it.
#[derive(Default)]
struct Shop {
    orders: BTreeMap<String, Value>,
    by_key: BTreeMap<String, String>,
    on_hand: BTreeMap<String, i64>,
    customers: u32,
    /// Orders are answered and forgotten from this one on.
    forgets_from: Option<usize>,
    /// Each mail is sent twice.
    mails_twice: bool,
}

impl Shop {
    /// A second order under the same key is the first; each tenth request is refused for the moment.
    fn place(&mut self, number: usize, request: &Request) -> Reply {
        if number.is_multiple_of(10) {
            let busy = r#"{"type":"/problems/overloaded","title":"Overloaded"}"#.to_owned();
            return Reply::Answer(503, vec![("retry-after", "0".to_owned())], busy);
        }
        let key = request.header("idempotency-key").unwrap().to_owned();
        let next = format!("0199c2b0-5a3e-7c11-9d51-{:012}", self.by_key.len());
        let id = self.by_key.entry(key).or_insert(next).clone();
        let body: Value = serde_json::from_str(&request.body).unwrap();
        if self.forgets_from.is_none_or(|first| self.by_key.len() <= first) && !self.orders.contains_key(&id) {
            for line in body["lines"].as_array().unwrap() {
                *self.on_hand.get_mut(line["sku"].as_str().unwrap()).unwrap() -= line["quantity"].as_i64().unwrap();
            }
            let order = value!({"id": id, "customer_id": body["customer_id"], "status": "confirmed", "lines": body["lines"],
                "created_at": TIME, "updated_at": "2026-01-02T03:04:06Z"});
            self.orders.insert(id.clone(), order);
        }
        let location = vec![("location", format!("/v1/orders/{id}"))];
        Reply::Answer(201, location, value!({"id": id, "status": "confirmed"}).to_string())
    }

    fn product(&self, sku: &str) -> Value {
        let on_hand = self.on_hand[sku];
        value!({"sku": sku, "active": true, "stock": {"on_hand": on_hand, "reserved": 0, "available": on_hand}})
    }

    fn answer(&mut self, number: usize, request: &Request) -> Reply {
        let path: Vec<&str> = request.path.split('/').skip(2).collect();
        match (request.method.as_str(), &path[..]) {
            ("GET", ["products"]) => list(self.on_hand.keys().map(|sku| self.product(sku)).collect()),
            ("PUT", ["products", sku]) => {
                self.on_hand.insert((*sku).to_owned(), 0);
                json(201, self.product(sku))
            }
            ("POST", ["products", sku, "stock"]) => {
                let delta = serde_json::from_str::<Value>(&request.body).unwrap()["delta"].as_i64().unwrap();
                *self.on_hand.get_mut(*sku).unwrap() += delta;
                json(200, "{}")
            }
            ("POST", ["customers"]) => {
                self.customers += 1;
                json(201, value!({"id": format!("0199c2b0-5a3e-7c11-9d51-c{:011}", self.customers)}))
            }
            ("POST", ["orders"]) => self.place(number, request),
            ("GET", ["orders", id]) => {
                self.orders.get(*id).map_or(problem(404, "not-found", "Not found"), |order| json(200, order))
            }
            ("GET", ["orders"]) => {
                let open = request.parameter("status").is_some();
                list(self.of(request).filter(|_| !open).cloned().collect())
            }
            ("GET", ["emails"]) => {
                let mail = |order: &Value| value!({"order_id": order["id"], "template": "order-confirmed", "status": "sent", "sent_at": "2026-01-02T03:04:07Z"});
                let mails: Vec<Value> = self.of(request).map(mail).collect();
                list(if self.mails_twice { [mails.clone(), mails].concat() } else { mails })
            }
            _ => problem(404, "not-found", "Not found"),
        }
    }

    fn of<'a>(&'a self, request: &'a Request) -> impl Iterator<Item = &'a Value> {
        let customer = request.parameter("customer_id").unwrap();
        self.orders.values().filter(move |order| order["customer_id"] == customer)
    }
}

fn list(items: Vec<Value>) -> Reply {
    json(200, value!({"items": items, "next_cursor": null}))
}

fn load(shop: Shop, more: &[&str]) -> (Ran, Vec<Request>) {
    let shop = Mutex::new(shop);
    let fake = Fake::start(move |number, request| shop.lock().unwrap().answer(number, request));
    let variables = ["ORDER_URL", "INVENTORY_URL", "EMAIL_URL"].map(|name| (name, fake.url.as_str()));
    let arguments = [&["load", "--orders", "50", "--skus", "5", "--customers", "3"], more].concat();
    let ran = warren(&arguments, &variables);
    (ran, fake.requests())
}

#[test]
fn a_good_shop_passes_although_it_is_busy_now_and_then() {
    let (ran, requests) = load(Shop::default(), &["--json"]);
    assert_eq!(ran.status, 0, "{}{}", ran.out, ran.err);
    let report: Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!((&report["ok"], &report["orders"]["accepted"]), (&value!(true), &value!(50)));
    assert_eq!(report["orders"]["found"], value!({"confirmed": 50}));
    assert!(report["repeated"]["overloaded"].as_u64().unwrap() >= 5, "{report}");
    assert_eq!(report["latency_ms"]["to_mail"]["count"], 50);
    // beside the 50: the warm-up, and what was refused for the moment
    let posts: Vec<_> =
        requests.iter().filter(|request| request.method == "POST" && request.path == "/v1/orders").collect();
    let keys: std::collections::BTreeSet<_> =
        posts.iter().filter_map(|request| request.header("idempotency-key")).collect();
    assert_eq!(keys.len(), 51);
}

#[test]
fn a_fixed_rate_takes_its_time() {
    let (ran, _) = load(Shop::default(), &["--json", "--rate", "100"]);
    assert_eq!(ran.status, 0, "{}{}", ran.out, ran.err);
    let report: Value = serde_json::from_str(&ran.out).unwrap();
    let per_second = report["throughput"]["accepted_per_second"].as_f64().unwrap();
    assert!(per_second <= 102.5, "{per_second}: the last of 50 orders starts after 490 ms");
}

#[test]
fn a_lost_order_is_status_1() {
    // one for the warm-up, and 46 of 50
    let (ran, _) = load(Shop { forgets_from: Some(47), ..Shop::default() }, &[]);
    assert_eq!(ran.status, 1, "{}{}", ran.out, ran.err);
    assert!(ran.out.contains("WRONG every accepted order exists: 4: "), "{}", ran.out);
}

#[test]
fn a_second_mail_is_status_1() {
    let (ran, _) = load(Shop { mails_twice: true, ..Shop::default() }, &[]);
    assert_eq!(ran.status, 1, "{}{}", ran.out, ran.err);
    assert!(ran.out.contains("WRONG every final order has exactly one mail, and it is sent: 50: "), "{}", ran.out);
    assert!(ran.out.contains("ok    stock adds up"), "{}", ran.out);
}

#[test]
fn step_by_step_it_waits_for_a_line_before_orders_are_placed() {
    let shop = Mutex::new(Shop::default());
    let fake = Fake::start(move |number, request| shop.lock().unwrap().answer(number, request));
    let orders =
        || fake.requests().iter().filter(|request| request.method == "POST" && request.path == "/v1/orders").count();
    let mut child = Command::new(env!("CARGO_BIN_EXE_warren"))
        .args(["load", "--orders", "20", "--skus", "5", "--customers", "3", "--step-by-step"])
        .env_clear()
        .envs(["ORDER_URL", "INVENTORY_URL", "EMAIL_URL"].map(|name| (name, fake.url.as_str())))
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut said = BufReader::new(child.stderr.take().unwrap()).lines().map(Result::unwrap);
    let mut go_on = child.stdin.take().unwrap();

    assert!(said.any(|line| line.starts_with("next: placing orders")));
    let before = orders();
    go_on.write_all(b"\n").unwrap();
    assert!(said.any(|line| line.starts_with("next: checking orders")));
    assert!(before <= 2 && orders() >= before + 20, "{before} of {}", orders());
    drop(go_on);
    assert_eq!(said.last().as_deref(), Some("waiting for mails, customer by customer"));
    assert!(child.wait().unwrap().success());
}
