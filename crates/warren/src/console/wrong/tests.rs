use super::*;
use crate::queues::Waiting;

fn queue(queued: u32, consumers: u32) -> Waiting {
    Waiting { queued: Some(queued), consumers, retrying: 0, dead: 0 }
}

/// Three services that answer, each with a consumer and an empty queue.
fn calm() -> Scene {
    Scene {
        services: Service::ALL.into_iter().map(|service| (service, Looked::Answers(Box::default()))).collect(),
        queues: Service::ALL.into_iter().map(|service| (service, queue(0, 1))).collect(),
        ..Scene::default()
    }
}

fn change(scene: &mut Scene, service: Service, change: impl FnOnce(&mut Figures)) {
    let Some(Looked::Answers(figures)) = scene.services.get_mut(&service) else { panic!("{service} is silent") };
    change(figures);
}

fn set<T>(map: &mut BTreeMap<String, T>, name: &str, value: T) {
    map.insert(name.to_owned(), value);
}

fn told(scene: &Scene) -> Vec<String> {
    all(scene).into_iter().map(|wrong| format!("{}: {}", wrong.title, wrong.detail)).collect()
}

#[test]
fn nothing_is_wrong_where_all_is_well() {
    assert_eq!(told(&calm()), [""; 0]);
}

#[test]
fn a_service_that_was_stopped_is_named_once_with_what_waits_for_it() {
    let mut scene = calm();
    scene.services.insert(Service::Inventory, Looked::Silent("connection refused".to_owned()));
    scene.queues.insert(Service::Inventory, queue(412, 0));
    let told = told(&scene);
    assert_eq!(told, ["inventory does not answer: connection refused. Orders stay pending. 412 messages wait for it."]);
}

/// What goes wrong.
type Trouble = fn(&mut Scene);

#[test]
fn each_trouble_is_told_in_words() {
    let troubles: [(&str, Trouble); 13] = [
        ("The mail server refuses", |scene| change(scene, Service::Email, |f| set(&mut f.breakers, "smtp", 2.0))),
        ("The payment provider fails", |scene| {
            change(scene, Service::Order, |f| set(&mut f.breakers, "payment-provider", 1.0))
        }),
        ("order cannot publish: A queue is full", |scene| {
            change(scene, Service::Order, |f| set(&mut f.breakers, "publish", 2.0))
        }),
        ("1 dead letter of email", |scene| scene.queues.get_mut(&Service::Email).unwrap().dead = 1),
        ("order is up, but not ready: database: connecting", |scene| {
            change(scene, Service::Order, |f| set(&mut f.not_ready, "database", "connecting".to_owned()))
        }),
        ("order answers slowly: One request in twenty takes longer than 3.000s", |scene| {
            scene.recent = [(Service::Order, Recent { latency: Some(3.0), ..Recent::default() })].into()
        }),
        ("The broker is not as the catalogue says: binding a", |scene| {
            scene.differences = vec!["binding a".to_owned()]
        }),
        ("The read model daily_sales is behind: By 5000 events", |scene| {
            change(scene, Service::Order, |f| set(&mut f.projections, "daily_sales", 5000.0))
        }),
        ("2 orders wait too long", |scene| change(scene, Service::Order, |f| f.stuck = 2.0)),
        ("A stock row is not what its ledger adds up to: 1 product differs", |scene| {
            change(scene, Service::Inventory, |f| set(&mut f.drift, "ledger", 1.0))
        }),
        ("Nobody takes what is in the queue order: 3 messages wait, and no consumer", |scene| {
            scene.queues.get_mut(&Service::Order).unwrap().clone_from(&queue(3, 0))
        }),
        ("The broker does not answer: RabbitMQ: refused", |scene| scene.broker = Some("refused".to_owned())),
        ("The queue inventory is long: 2000 messages wait", |scene| {
            scene.queues.get_mut(&Service::Inventory).unwrap().clone_from(&queue(2000, 1))
        }),
    ];
    for (words, trouble) in troubles {
        let mut scene = calm();
        trouble(&mut scene);
        let told = told(&scene);
        assert!(told.len() == 1 && told[0].starts_with(words), "{words}: {told:?}");
    }
}

#[test]
fn the_most_urgent_comes_first() {
    let mut scene = calm();
    scene.queues.get_mut(&Service::Order).unwrap().dead = 7;
    scene.services.insert(Service::Email, Looked::Silent("away".to_owned()));
    let urgent: Vec<bool> = all(&scene).iter().map(|wrong| wrong.urgent).collect();
    assert_eq!(urgent, [true, false]);
}

#[test]
fn every_runbook_that_is_named_is_there() {
    let rules = include_str!("rules.rs");
    let named = rules.split("runbook: \"").skip(1).filter_map(|rest| rest.split('"').next());
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/runbooks");
    for name in named {
        assert!(folder.join(format!("{name}.md")).exists(), "{name}");
    }
}
