//! `warren audit`: a system at rest keeps its promises; whatever breaks one is named.

use end_to_end::operator::{Operator, broken, offenders};
use end_to_end::service::SERVICES;
use end_to_end::shop::text;
use end_to_end::system::System;
use end_to_end::waiting::{PATIENCE, check, eventually};
use uuid::Uuid;

/// Orders of all kinds, all of them at their end, and everything told to everybody.
async fn busy(system: &System) -> Vec<String> {
    system.sell("tea", 100, 50).await;
    system.sell("ink", 250, 1).await;
    let customer = system.customer().await;
    let mut ids = Vec::new();
    for (lines, method) in [
        (&[("tea", 2), ("ink", 1)][..], "sandbox:ok"),
        (&[("tea", 1)], "sandbox:flaky"),
        (&[("tea", 1)], "sandbox:declined"),
        (&[("ink", 3)], "sandbox:ok"),
        (&[("tea", 3)], "sandbox:ok"),
    ] {
        let order = system.place_paid_by(&customer, lines, method).await;
        let id = text(&order, "id").to_owned();
        system.settled(&id).await;
        ids.push(id);
    }
    system.cancel(&ids[4]).await;
    system.payment_reaches(&ids[4], "refunded").await;
    at_rest(system).await;
    ids
}

/// Waits until everything published has taken effect and no mail is on its way.
async fn at_rest(system: &System) {
    let mut operator = Operator::of(system);
    // without the broker nothing is excused
    operator.set("AMQP_URL", "");
    eventually("the system is at rest", PATIENCE, async || {
        let audit = operator.audit().await;
        let notes: Vec<String> = audit["checks"]
            .as_array()
            .into_iter()
            .flatten()
            .flat_map(|check| check["notes"].as_array().into_iter().flatten())
            .map(ToString::to_string)
            .collect();
        check(audit["ok"] == true && notes.is_empty(), || audit.to_string())
    })
    .await;
}

#[tokio::test]
async fn a_system_that_keeps_its_promises_passes_the_audit() {
    let system = System::start().await;
    busy(&system).await;
    let operator = Operator::of(&system);
    let told = operator.types("audit").await.ended(0);
    assert_eq!(told.out.lines().filter(|line| line.ends_with(": ok")).count(), 9, "{}", told.out);
    assert_eq!(told.out.lines().count(), 9, "{}", told.out);
    let only = operator.types("audit --only stock --only mails --json").await.ended(0).json();
    assert_eq!(only["checks"].as_array().map(Vec::len), Some(2));
    system.finish().await;
}

#[tokio::test]
async fn the_audit_says_what_it_cannot_read() {
    let system = System::start().await;
    let mut operator = Operator::of(&system);
    operator.set("EMAIL_DATABASE_URL", "");
    let told = operator.types("audit").await.ended(2);
    assert!(told.err.contains("set EMAIL_DATABASE_URL"), "{}", told.err);
    operator.set("EMAIL_DATABASE_URL", "postgres://nobody:hunter2@127.0.0.1:9/email");
    let told = operator.types("audit").await.ended(1);
    assert!(told.err.contains("cannot read the database of email"), "{}", told.err);
    assert!(!told.err.contains("hunter2"), "{}", told.err);
    system.finish().await;
}

#[tokio::test]
async fn the_audit_needs_no_right_but_to_read() {
    let system = System::start().await;
    busy(&system).await;
    let role = format!("reader_{}", Uuid::new_v4().simple());
    let order = system.database("order");
    order.execute(&format!("create role {role} login password 'reading' in role pg_read_all_data")).await;
    let mut operator = Operator::of(&system);
    for name in SERVICES {
        let url = system.database(name).url(None);
        let (_, place) = url.split_once('@').expect("a URL with a user");
        operator.set(&format!("{}_DATABASE_URL", name.to_uppercase()), &format!("postgres://{role}:reading@{place}"));
    }
    let told = operator.types("audit --grace 0s").await;
    order.execute(&format!("drop role {role}")).await;
    assert_eq!(told.status, 0, "{}{}", told.out, told.err);
    system.finish().await;
}

/// Breaks something in one service's database.
struct Break {
    service: &'static str,
    sql: String,
    undo: String,
    check: &'static str,
    offender: String,
}

#[tokio::test]
async fn whatever_breaks_a_promise_is_named() {
    let system = System::start().await;
    let ids = busy(&system).await;
    let (confirmed, flaky, declined, short, cancelled) = (&ids[0], &ids[1], &ids[2], &ids[3], &ids[4]);
    let order = |sql: String, undo: String, check, id: &str| Break {
        service: "order",
        sql,
        undo,
        check,
        offender: format!("order {id}"),
    };
    let inventory = |sql: &str, undo: &str, check, offender: String| Break {
        service: "inventory",
        sql: sql.to_owned(),
        undo: undo.to_owned(),
        check,
        offender,
    };
    let email = |sql: String, undo: &str, offender: String| Break {
        service: "email",
        sql,
        undo: undo.to_owned(),
        check: "mails",
        offender,
    };
    let breaks = [
        order(
            format!("update orders set status = 'reserved' where id = '{confirmed}'"),
            format!("update orders set status = 'confirmed' where id = '{confirmed}'"),
            "history", confirmed,
        ),
        order(
            format!("update orders set status = 'reserved' where id = '{confirmed}'"),
            format!("update orders set status = 'confirmed' where id = '{confirmed}'"),
            "endings", confirmed,
        ),
        order(
            format!("update orders set version = 9 where id = '{flaky}'"),
            format!("update orders set version = 4 where id = '{flaky}'"),
            "history", flaky,
        ),
        order(
            format!("update orders set owed = '[\"pay-7\"]' where id = '{flaky}'"),
            format!("update orders set owed = '[]' where id = '{flaky}'"),
            "history", flaky,
        ),
        Break {
            service: "order",
            sql: format!("update event set sequence = 7 where subject = '{declined}' and sequence = 3"),
            undo: format!("update event set sequence = 3 where subject = '{declined}' and sequence = 7"),
            check: "numbering", offender: format!("subject {declined}"),
        },
        order(
            format!("insert into payment select 'double', order_id, amount, currency, method, state, attempts, next_at, waits_since, correlation_id
                     from payment where order_id = '{confirmed}';
                     insert into sandbox_ledger select 'double', amount, currency, 1, now() from payment where id = 'double'"),
            "delete from sandbox_ledger where payment_id = 'double'; delete from payment where id = 'double'".to_owned(),
            "payments", confirmed,
        ),
        order(
            format!("update sandbox_ledger set refunded_at = null where payment_id in (select id from payment where order_id = '{cancelled}')"),
            format!("update sandbox_ledger set refunded_at = now() where payment_id in (select id from payment where order_id = '{cancelled}')"),
            "payments", cancelled,
        ),
        Break {
            service: "order",
            sql: "insert into sandbox_ledger values ('nobodys', 1, 'EUR', 1, now())".to_owned(),
            undo: "delete from sandbox_ledger where payment_id = 'nobodys'".to_owned(),
            check: "payments", offender: "payment nobodys".to_owned(),
        },
        inventory("update product set on_hand = on_hand + 1 where sku = 'tea'",
                  "update product set on_hand = on_hand - 1 where sku = 'tea'", "stock", "sku tea".to_owned()),
        inventory(&format!("update reservation set state = 'held' where order_id = '{confirmed}'"),
                  &format!("update reservation set state = 'committed' where order_id = '{confirmed}'"),
                  "reservations", format!("order {confirmed}")),
        inventory(&format!("update reservation set state = 'held' where order_id = '{confirmed}'"),
                  &format!("update reservation set state = 'committed' where order_id = '{confirmed}'"),
                  "agreement", format!("order {confirmed}")),
        inventory(&format!("update reservation set state = 'committed' where order_id = '{short}'"),
                  &format!("update reservation set state = 'rejected' where order_id = '{short}'"),
                  "agreement", format!("order {short}")),
        email(format!("update mail set order_id = gen_random_uuid() where order_id = '{confirmed}'"),
              &format!("update mail set order_id = '{confirmed}' where order_id not in ('{flaky}', '{declined}', '{short}', '{cancelled}')"),
              format!("order {confirmed}")),
        email(format!("insert into mail (id, event_id, template, order_id, correlation_id, message_id, data, status)
                       values ('01890000-0000-7000-8000-000000000001', gen_random_uuid(), 'order-confirmed', '{confirmed}', 'c', '<m>', '{{}}', 'sent')"),
              "delete from mail where id = '01890000-0000-7000-8000-000000000001'",
              "mail 01890000-0000-7000-8000-000000000001".to_owned()),
    ];
    let operator = Operator::of(&system);
    for Break { service, sql, undo, check, offender } in breaks {
        system.database(service).execute(&sql).await;
        let told = operator.types("audit --grace 0s --json").await.ended(1);
        let found = offenders(&told.json(), check);
        assert!(found.contains(&offender), "{sql}\n{check} found {found:?}: {}", told.out);
        system.database(service).execute(&undo).await;
    }
    let audit = operator.audit().await;
    assert!(broken(&audit).is_empty(), "all is mended: {audit}");
    system.finish().await;
}

#[tokio::test]
async fn nothing_is_broken_while_orders_are_under_way() {
    let system = System::start().await;
    system.sell("tea", 100, 1000).await;
    let customer = system.customer().await;
    let operator = Operator::of(&system);
    let (mut ids, mut audits) = (Vec::new(), 0);
    let auditing = async {
        for _ in 0..3 {
            let told = operator.types("audit --json --grace 2s").await.ended(0);
            assert_eq!(told.json()["ok"], true);
            audits += 1;
        }
    };
    let placing = async {
        for _ in 0..150 {
            let order = system.place(&customer, &[("tea", 1)]).await;
            ids.push(text(&order, "id").to_owned());
        }
    };
    tokio::join!(auditing, placing);
    assert_eq!(audits, 3);
    for id in ids {
        system.settled(&id).await;
    }
    system.finish().await;
}
