//! `warren catalog`: the list, the site, the AsyncAPI document, and the comparison with a real broker.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use reqwest::Method;
use serde_json::Value;

use crate::fake::{Fake, Ran, Reply, warren};
use crate::topology::Vhost;

/// A folder for one test, deleted with the value.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        Self(std::env::temp_dir().join(format!("warren-catalog-{}", uuid::Uuid::now_v7().simple())))
    }

    fn path(&self, name: &str) -> String {
        self.0.join(name).to_str().unwrap().to_owned()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn json(ran: &Ran) -> Value {
    serde_json::from_str(&ran.out).unwrap_or_else(|_| panic!("{ran:?}"))
}

#[test]
fn it_lists_the_events_and_tells_one_with_its_fields() {
    let list = warren(&["catalog"], &[]);
    assert_eq!(list.status, 0, "{list:?}");
    assert!(list.out.lines().any(|line| {
        let words: Vec<_> = line.split_whitespace().take(5).collect();
        words == ["order.confirmed", "v1", "order", "inventory,", "email"]
    }));
    let one = warren(&["catalog", "order.created"], &[]);
    for part in
        ["order.created v2:", "read by inventory", "lines[].sku, lines[].quantity", "\"dataschema\": \"urn:warren"]
    {
        assert!(one.out.contains(part), "{part} is not in\n{}", one.out);
    }
    let unknown = warren(&["catalog", "order.eaten"], &[]);
    assert_eq!((unknown.status, unknown.err.contains("there is no event order.eaten")), (2, true), "{unknown:?}");
}

#[test]
fn as_json_it_has_schemas_examples_and_readers() {
    let events = json(&warren(&["catalog", "--json"], &[]))["events"].as_array().unwrap().clone();
    assert_eq!(events.len(), 13);
    for event in &events {
        assert_eq!(event["versions"].as_array().unwrap().len(), event["version"].as_u64().unwrap() as usize);
        for version in event["versions"].as_array().unwrap() {
            assert_eq!(version["schema"]["$id"], version["example"]["dataschema"], "{event}");
        }
    }
}

/// What stands in `attribute="…"` of a page.
fn links(html: &str, attribute: &str) -> Vec<String> {
    let begin = format!("{attribute}=\"");
    html.split(&begin).skip(1).map(|rest| rest.split('"').next().unwrap().to_owned()).collect()
}

#[test]
fn the_site_has_a_page_per_event_and_its_links_work_from_the_file_system() {
    let folder = Folder::new();
    let ran = warren(&["catalog", "--html", &folder.path("site")], &[]);
    assert_eq!(ran.status, 0, "{ran:?}");
    let mut pages = vec![folder.0.join("site/index.html")];
    pages.extend(fs::read_dir(folder.0.join("site/events")).unwrap().map(|page| page.unwrap().path()));
    assert_eq!(pages.len(), 1 + 13);
    let mut reached = BTreeSet::new();
    for page in &pages {
        let html = fs::read_to_string(page).unwrap();
        assert!(
            html.contains("<svg") && !html.contains("<script") && links(&html, "src").is_empty(),
            "{}",
            page.display()
        );
        for link in links(&html, "href").into_iter().filter(|link| !link.starts_with("https://cloudevents.io")) {
            let target = page.parent().unwrap().join(&link);
            assert!(target.is_file(), "{} links to {link}", page.display());
            reached.insert(target.canonicalize().unwrap());
        }
    }
    assert!(pages.iter().all(|page| reached.contains(&page.canonicalize().unwrap())), "a page that nothing links to");
}

#[test]
fn a_page_tells_meaning_fields_example_readers_and_what_happens_on_failure() {
    let folder = Folder::new();
    warren(&["catalog", "--html", &folder.path("site")], &[]);
    let html = fs::read_to_string(folder.0.join("site/events/order.created.html")).unwrap();
    for part in [
        "An order was placed and priced.",
        "<code>lines[].quantity</code>",
        "whole number, 1 to 10000",
        "An example, as it travels",
        "https://json-schema.org",
        "<i class=\"k\">&quot;specversion&quot;</i>",
        "1s, 5s, 30s, 2m, 10m: 6 attempts",
        "<code>inventory.dead</code>",
        "As it was",
        "userId",
    ] {
        assert!(html.contains(part), "{part} is not in\n{html}");
    }
}

fn committed(name: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(name)).unwrap()
}

#[test]
fn the_committed_asyncapi_document_is_up_to_date() {
    let made = warren(&["catalog", "--asyncapi", "-"], &[]);
    assert_eq!(made.status, 0, "{made:?}");
    let fresh = made.out == committed("../../docs/asyncapi.json");
    assert!(fresh, "docs/asyncapi.json is stale: `cargo run -p warren -- catalog --asyncapi docs/asyncapi.json`");
}

#[test]
fn the_asyncapi_document_is_valid_by_the_official_schema() {
    let schema: Value = serde_json::from_str(&committed("tests/asyncapi/3.0.0.json")).unwrap();
    let validator = jsonschema::draft7::new(&schema).unwrap();
    let document: Value = serde_json::from_str(&committed("../../docs/asyncapi.json")).unwrap();
    let errors: Vec<_> = validator.iter_errors(&document).map(|error| error.instance_path().to_string()).collect();
    assert!(errors.is_empty(), "{errors:?}");
    let mut wrong = document.clone();
    let operation = wrong["operations"].as_object_mut().unwrap().values_mut().next().unwrap();
    operation["action"] = "shout".into();
    assert!(!validator.is_valid(&wrong), "the schema refuses what is wrong");
    // references lead somewhere
    let text = document.to_string();
    for reference in text.split("\"$ref\":\"#").skip(1).map(|rest| rest.split('"').next().unwrap()) {
        assert!(document.pointer(reference).is_some(), "{reference}");
    }
}

/// `/metrics` of a service that has seen one event of each type that it reads, and `unknown` others.
fn service(name: &'static str, events: &'static [&'static str], unknown: u64) -> Fake {
    Fake::start(move |_, request| {
        assert_eq!(request.path, "/metrics");
        let lines = events.iter().map(|event| {
            format!("warren_messages_processed_total{{queue=\"{name}\",event=\"{event}\",outcome=\"done\"}} 1\n")
        });
        Reply::Answer(200, Vec::new(), lines.collect::<String>() + &format!("warren_unknown_events_total {unknown}\n"))
    })
}

#[test]
fn a_live_check_names_what_is_not_as_the_catalogue_says() {
    let vhost = Vhost::new();
    let order = service("order", &["product.changed", "inventory.reserved"], 0);
    let inventory = service("inventory", &["order.created", "order.confirmed", "order.cancelled"], 3);
    let check = |more: &[&str]| {
        let variables = [
            ("AMQP_URL", vhost.amqp_url.as_str()),
            ("RABBITMQ_MANAGEMENT_URL", vhost.management_url.as_str()),
            ("ORDER_URL", order.url.as_str()),
            ("INVENTORY_URL", inventory.url.as_str()),
        ];
        warren(&[&["catalog", "check", "--live"], more].concat(), &variables)
    };
    assert_eq!(vhost.warren(&["apply", "--wait", "10s"], false).status, 0);
    assert!(vhost.manage(Method::PUT, "queues", "spy").is_success());
    assert!(vhost.manage(Method::DELETE, "queues", "email.dead").is_success());
    let ran = check(&["--json"]);
    let report = json(&ran);
    let of = |list: &str| -> BTreeSet<String> {
        let findings = report[list].as_array().unwrap().iter();
        findings.map(|f| format!("{}: {}", f["kind"].as_str().unwrap(), f["name"].as_str().unwrap())).collect()
    };
    let problems = of("problems");
    for problem in ["missing: email.dead", "undeclared-queue: spy", "unknown-events: inventory"] {
        assert!(problems.contains(problem), "{problem} is not in {problems:?}");
    }
    assert_eq!(of("notes"), ["never-seen: inventory.rejected by order".to_owned()].into());
    assert_eq!(ran.status, 1);
    let page = check(&[]);
    assert!(page.out.contains("email was not asked what it has seen: set EMAIL_URL"), "{}", page.out);
    assert!(page.out.contains("inventory was given 3 deliveries of events that it does not know"), "{}", page.out);
}
