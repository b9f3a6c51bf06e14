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
    assert_eq!(
        told,
        [
            "inventory does not answer: Connection refused: nothing listens at its address, so it does not run. Orders are \
             taken, and stay pending. 412 messages wait for it."
        ]
    );
}

/// What goes wrong with a scene.
type Trouble = fn(&mut Scene);

#[test]
fn each_trouble_is_told_in_words() {
    let troubles: [(&str, Trouble); 24] = [
        ("The mail server refuses", |scene| change(scene, Service::Email, |f| set(&mut f.breakers, "smtp", 2.0))),
        ("The payment provider fails", |scene| {
            change(scene, Service::Order, |f| set(&mut f.breakers, "payment-provider", 1.0))
        }),
        ("order cannot publish: relay: paused: no answer", |scene| {
            change(scene, Service::Order, |f| {
                set(&mut f.breakers, "publish", 2.0);
                set(&mut f.not_ready, "relay", "paused: no answer".to_owned());
            })
        }),
        ("1 dead letter of email: What it", |scene| scene.queues.get_mut(&Service::Email).unwrap().dead = 1),
        ("1 dead letter of email: no event that can be read (malformed)", |scene| {
            scene.queues.get_mut(&Service::Email).unwrap().dead = 1;
            change(scene, Service::Email, |f| set(&mut f.dead, "malformed", 1.0));
        }),
        ("The database of order does not answer: database: connecting. No orders are taken.", |scene| {
            change(scene, Service::Order, |f| set(&mut f.not_ready, "database", "connecting".to_owned()))
        }),
        ("email has no connection to the broker: broker: connecting", |scene| {
            change(scene, Service::Email, |f| set(&mut f.not_ready, "broker", "connecting".to_owned()))
        }),
        ("order is up, but not ready: consumer: starting. Orders are taken, and do not move on.", |scene| {
            change(scene, Service::Order, |f| set(&mut f.not_ready, "consumer", "starting".to_owned()))
        }),
        ("Somebody holds a lock in the database of order: A statement of order has waited 4.0s", |scene| {
            scene.recent = [(Service::Order, Recent { lock_wait: 4.0, ..Recent::default() })].into()
        }),
        ("order answers slowly: One request in twenty takes longer than 3.0s", |scene| {
            scene.recent = [(Service::Order, Recent { latency: Some(3.0), ..Recent::default() })].into()
        }),
        ("The broker is not as the catalogue says: On the broker, queue a is missing", |scene| {
            scene.setup.mismatches = vec![Mismatch { told: "queue a is missing".to_owned(), lost: None }]
        }),
        ("order.created does not reach inventory: the binding is missing: On the broker, binding", |scene| {
            scene.setup.mismatches = vec![lost_binding()]
        }),
        ("The read model daily-sales is behind: 5000 events are not in it yet.", |scene| {
            change(scene, Service::Order, |f| set(&mut f.projections, "daily-sales", 5000.0))
        }),
        (
            "The read model daily-sales stands still: 80 events are not in it yet, and it has come no closer for 42s",
            |scene| {
                change(scene, Service::Order, |f| set(&mut f.projections, "daily-sales", 80.0));
                scene.still = [("daily-sales".to_owned(), Duration::from_secs(42))].into();
            },
        ),
        ("2 orders were lost on the way to inventory", |scene| {
            stuck(scene, "inventory", 2.0);
            scene.quiet = Some(Duration::from_secs(10));
        }),
        ("2 orders wait too long for inventory", |scene| {
            stuck(scene, "inventory", 2.0);
            scene.quiet = Some(Duration::from_secs(8));
        }),
        ("1000 orders or more wait too long for the payment", |scene| stuck(scene, "payment", 1000.0)),
        ("2 dead letters of email: What they", |scene| {
            scene.queues.get_mut(&Service::Email).unwrap().dead = 2;
            change(scene, Service::Email, |f| set(&mut f.dead, "malformed", 1.0));
        }),
        ("The console cannot ask the broker: RabbitMQ: refused. Services are connected", |scene| {
            scene.broker = Some("refused".to_owned())
        }),
        ("The broker takes nothing from email: it has raised an alarm: broker: blocked", |scene| {
            let blocked = "blocked by an alarm of the broker".to_owned();
            change(scene, Service::Email, |f| set(&mut f.not_ready, "broker", blocked))
        }),
        ("2 orders wait too long for the payment", |scene| stuck(scene, "payment", 2.0)),
        ("A stock row is not what its ledger adds up to: 1 product differs", |scene| {
            change(scene, Service::Inventory, |f| set(&mut f.drift, "ledger", 1.0))
        }),
        ("Nobody takes what is in the queue order: 3 messages wait, and no consumer", |scene| {
            scene.queues.get_mut(&Service::Order).unwrap().clone_from(&queue(3, 0))
        }),
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

fn stuck(scene: &mut Scene, waits_for: &str, number: f64) {
    change(scene, Service::Order, |figures| {
        figures.stuck = number;
        set(&mut figures.stuck_for, waits_for, number);
    });
}

fn lost_binding() -> Mismatch {
    Mismatch {
        told: "binding events --order.created--> inventory is missing".to_owned(),
        lost: Some(("order.created".to_owned(), "inventory".to_owned())),
    }
}

/// Titles, each with what it follows from.
fn linked(scene: &Scene) -> Vec<(String, Option<String>)> {
    all(scene).into_iter().map(|wrong| (wrong.title, wrong.follows)).collect()
}

/// One thing, and what follows from it.
fn from(cause: &str, effects: &[&str]) -> Vec<(String, Option<String>)> {
    let effects = effects.iter().map(|effect| ((*effect).to_owned(), Some(cause.to_owned())));
    std::iter::once((cause.to_owned(), None)).chain(effects).collect()
}

#[test]
fn the_cause_stands_above_what_follows_from_it() {
    let mut scene = calm();
    stuck(&mut scene, "inventory", 2.0);
    scene.services.insert(Service::Inventory, Looked::Silent("no answer in time".to_owned()));
    let waits = "2 orders wait too long for inventory";
    assert_eq!(linked(&scene), from("inventory does not answer", &[waits]));

    let mut scene = calm();
    stuck(&mut scene, "inventory", 1.0);
    change(&mut scene, Service::Order, |figures| figures.oldest = 30.0);
    scene.setup.mismatches = vec![lost_binding()];
    assert_eq!(
        linked(&scene),
        from(
            "order.created does not reach inventory: the binding is missing",
            &["Events of order are not published", "1 order waits too long for inventory"]
        )
    );

    let mut scene = calm();
    change(&mut scene, Service::Order, |figures| set(&mut figures.projections, "daily-sales", 80.0));
    scene.still = [("daily-sales".to_owned(), Duration::from_secs(42))].into();
    scene.recent = [(Service::Order, Recent { lock_wait: 4.0, requests: (9.0, 9.0), ..Recent::default() })].into();
    let told = all(&scene);
    assert_eq!(
        linked(&scene),
        from(
            "Somebody holds a lock in the database of order",
            &["Requests to order fail", "The read model daily-sales stands still"]
        )
    );
    assert!(told[0].urgent && told[1].urgent && !told[2].urgent, "what leads to something urgent is urgent: {told:?}");

    let mut scene = calm();
    stuck(&mut scene, "inventory", 1.0);
    scene.queues.get_mut(&Service::Inventory).unwrap().dead = 1;
    assert_eq!(linked(&scene), from("1 dead letter of inventory", &["1 order waits too long for inventory"]));
}

#[test]
fn the_broker_is_the_cause_where_no_service_is_connected() {
    let mut scene = calm();
    for service in Service::ALL {
        change(&mut scene, service, |figures| set(&mut figures.not_ready, "broker", "not connected".to_owned()));
    }
    scene.broker = Some("connection refused".to_owned());
    let unconnected = Service::ALL.map(|service| format!("{service} has no connection to the broker"));
    let mut told = linked(&scene);
    told[1..].sort();
    let mut expected = from("The broker does not answer", &unconnected.each_ref().map(String::as_str));
    expected[1..].sort();
    assert_eq!(told, expected);
}

#[test]
fn what_is_refused_while_too_many_events_wait_follows_from_why_they_wait() {
    let mut scene = calm();
    change(&mut scene, Service::Order, |figures| {
        set(&mut figures.breakers, "publish", 2.0);
        set(&mut figures.not_ready, "relay", "paused: a queue is full".to_owned());
    });
    scene.queues.insert(Service::Email, queue(500, 1));
    scene.recent = [(Service::Order, Recent { requests: (9.0, 9.0), ..Recent::default() })].into();
    let told = linked(&scene);
    let effects = ["order cannot publish", "Requests to order fail"];
    assert_eq!(told, from("The queue email is full", &effects));
}

#[test]
fn a_full_queue_is_named_with_who_cannot_publish() {
    let mut scene = calm();
    change(&mut scene, Service::Order, |figures| {
        set(&mut figures.breakers, "publish", 2.0);
        set(&mut figures.not_ready, "relay", "paused: a queue is full".to_owned());
        (figures.outbox, figures.oldest) = (3.0, 20.0);
    });
    scene.queues.insert(Service::Inventory, queue(2, 0));
    scene.queues.insert(Service::Email, queue(1, 1));
    scene.setup.limits = [(Service::Inventory, 2), (Service::Email, 500)].into();
    scene.services.insert(Service::Inventory, Looked::Silent("no answer in time".to_owned()));
    let full = "The queue inventory is full";
    let follows = |effect: &str| (effect.to_owned(), Some(full.to_owned()));
    assert_eq!(
        linked(&scene),
        [
            (full.to_owned(), None),
            ("inventory does not answer".to_owned(), None),
            follows("order cannot publish"),
            follows("Events of order are not published"),
        ]
    );
    let told = told(&scene);
    assert!(told[0].contains("A policy of the broker lets it hold 2; it holds 2 messages. Nobody takes"), "{told:?}");

    // at the limit of the catalogue it is its consumer that is missed
    scene.setup.limits.clear();
    let full = all(&scene).into_iter().find(|wrong| wrong.title == full).unwrap();
    assert_eq!(full.follows.as_deref(), Some("inventory does not answer"));
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
    let rules = [
        include_str!("books.rs"),
        include_str!("broker.rs"),
        include_str!("lately.rs"),
        include_str!("orders.rs"),
        include_str!("service.rs"),
    ];
    let named = rules.iter().flat_map(|rules| rules.split("runbook: \"").skip(1));
    let named = named.filter_map(|rest| rest.split('"').next());
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/runbooks");
    for name in named {
        assert!(folder.join(format!("{name}.md")).exists(), "{name}");
    }
}
