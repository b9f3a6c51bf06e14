//! Troubles made on purpose: the first screen names each in words, before whatever follows from it, and forgets it when it
//! is mended.

use std::time::{Duration, Instant};

use end_to_end::broker::Message;
use end_to_end::console::{Console, Told as _};
use end_to_end::database::Database;
use end_to_end::operator::Operator;
use end_to_end::shop::{Customer, order_of, text};
use end_to_end::system::System;
use end_to_end::waiting::{PATIENCE, check, eventually};
use serde_json::Value;
use sqlx::postgres::PgConnection;
use sqlx::{AssertSqlSafe, Connection as _, Executor as _};

/// How long the first screen may take to name a trouble: an engineer is given a minute for all of it, and the machine may be
/// busy.
const SOON: Duration = Duration::from_secs(60);

/// A console that somebody looks at.
struct Screen {
    console: Console,
    cookie: String,
}

impl Screen {
    async fn of(system: &System) -> Self {
        let console = Console::of(system).await;
        let cookie = console.sign_in(&system.tokens.staff()).await;
        let screen = Self { console, cookie };
        screen.is_calm("at the beginning").await;
        screen
    }

    /// What is wrong, in the order of the screen.
    async fn wrong(&self) -> Vec<Value> {
        let now = self.console.get("/api/overview", Some(&self.cookie)).send().await.is(200);
        // before the first look nothing is known
        if now["at"].is_null() {
            return vec![now];
        }
        now["wrong"].as_array().expect("a list").clone()
    }

    /// Waits until what stands first has this title, whatever follows from it, and returns it.
    async fn names(&self, title: &str) -> Value {
        self.names_while(title, async || {}).await
    }

    /// The same, while something is done again and again.
    async fn names_while(&self, title: &str, mut again: impl AsyncFnMut()) -> Value {
        let began = Instant::now();
        let first = eventually(&format!("the first screen begins with {title:?}"), SOON, async || {
            again().await;
            let wrong = self.wrong().await;
            match wrong.first() {
                Some(first) if first["title"] == title => Ok(first.clone()),
                _ => Err(format!("{wrong:?}")),
            }
        })
        .await;
        eprintln!("{title}: seen after {:.1}s: {}", began.elapsed().as_secs_f64(), text(&first, "detail"));
        assert!(first["follows"].is_null(), "{first}");
        assert!(!text(&first, "helps").is_empty() && text(&first, "runbook") != "README", "{first}");
        first
    }

    /// Waits until it is not told any more.
    async fn forgets(&self, title: &str) {
        eventually(&format!("{title:?} is not told any more"), PATIENCE, async || {
            let wrong = self.wrong().await;
            check(wrong.iter().all(|it| it["title"] != title), || format!("{wrong:?}"))
        })
        .await;
    }

    async fn is_calm(&self, when: &str) {
        eventually(&format!("all is well {when}"), PATIENCE, async || {
            let wrong = self.wrong().await;
            check(wrong.is_empty(), || format!("{wrong:?}"))
        })
        .await;
    }
}

async fn shop(system: &System) -> Customer {
    system.sell("tea", 100, 100).await;
    system.customer().await
}

/// A session that holds locks until it is dropped.
async fn holds(database: &Database, sql: &str) -> PgConnection {
    let mut session = database.connect().await;
    session.execute("begin").await.expect("a transaction");
    session.execute(AssertSqlSafe(sql)).await.expect("a lock");
    session
}

#[tokio::test]
async fn what_is_away_or_refuses_is_named_first() {
    let system = System::start().await;
    let customer = shop(&system).await;
    let screen = Screen::of(&system).await;

    system.inventory.freeze();
    let order = system.place(&customer, &[("tea", 1)]).await;
    let first = screen.names("inventory does not answer").await;
    assert!(text(&first, "detail").contains("it hangs, or is frozen. Orders are taken, and stay pending."), "{first}");
    system.inventory.thaw();
    screen.is_calm("when inventory goes on").await;
    system.reaches(text(&order, "id"), &["confirmed"]).await;
    // whose mail makes the folder if it is not there
    system.mails_told(&format!("order_id={}", text(&order, "id")), 1).await;

    let (folder, away) = (system.folder().join("mail"), system.folder().join("mail-away"));
    std::fs::rename(&folder, &away).expect("the folder of mails");
    std::fs::write(&folder, "no folder").expect("a file in its place");
    system.place(&customer, &[("tea", 1)]).await;
    let first = screen.names("The mail server refuses, or is away").await;
    assert_eq!((&first["page"], &first["runbook"]), (&"/mails".into(), &"breaker-open".into()));
    std::fs::remove_file(&folder).expect("the file in its place");
    std::fs::rename(&away, &folder).expect("the folder of mails");
    screen.is_calm("when mails go out").await;

    let order = system.database("order");
    order.execute("alter table sandbox_ledger rename to lent").await;
    let unpaid = system.place(&customer, &[("tea", 1)]).await;
    screen.names("The payment provider fails, or cannot be reached").await;
    order.execute("alter table lent rename to sandbox_ledger").await;
    screen.is_calm("when the provider is back").await;
    system.reaches(text(&unpaid, "id"), &["confirmed"]).await;
    system.finish().await;
}

#[tokio::test]
async fn what_is_wrong_on_the_broker_is_named_first() {
    let system = System::start().await;
    let customer = shop(&system).await;
    let screen = Screen::of(&system).await;

    // as if somebody had purged the queue
    system.inventory.stop().await;
    system.place(&customer, &[("tea", 1)]).await;
    eventually("its message waits", PATIENCE, async || {
        let waiting = system.broker.waiting("inventory").await;
        check(waiting == Some(1), || format!("{waiting:?}"))
    })
    .await;
    system.broker.take("inventory").await;
    system.inventory.start_and_wait().await;
    system.age_orders().await;
    let first = screen.names("1 order was lost on the way to inventory").await;
    assert_eq!(first["page"], "/orders?view=stuck", "{first}");
    let late = text(&system.order.api().list("/v1/orders").await[0], "id").to_owned();
    Operator::of(&system).types(&format!("order nudge {late}")).await.ended(0);
    system.reaches(&late, &["confirmed"]).await;
    screen.is_calm("when its step is repeated").await;

    let poison = Message { body: br#"{"specversion": "1.0", "id""#.to_vec(), ..Message::default() };
    system.broker.put("inventory", &[poison]).await;
    let first = screen.names("1 dead letter of inventory: no event that can be read (malformed)").await;
    assert_eq!((&first["urgent"], &first["page"]), (&false.into(), &"/dead-letters".into()));
    system.take_dead("inventory").await;
    screen.is_calm("when the letter is discarded").await;

    // whoever does this does it again and again: inventory restores its bindings
    let unbind = async || system.broker.unbind("inventory", "order.created").await;
    let first = screen.names_while("order.created does not reach inventory: the binding is missing", unbind).await;
    assert!(text(&first, "detail").contains("binding events --order.created--> inventory is missing"), "{first}");
    Operator::of(&system).types("topology apply").await.ended(0);
    screen.is_calm("when it is bound again").await;

    system.broker.limit("inventory", 2).await;
    system.inventory.stop().await;
    let mut orders = Vec::new();
    // those that go out together are all taken: it is full for the next
    eventually("the queue takes no more", PATIENCE, async || {
        orders.push(system.place(&customer, &[("tea", 1)]).await);
        let (_, checks) = system.order.checks().await?;
        check(checks.to_string().contains("a queue is full"), || checks.to_string())
    })
    .await;
    let first = screen.names("The queue inventory is full").await;
    let detail = text(&first, "detail");
    assert!(detail.contains("lets it hold 2; it holds") && detail.contains("order cannot publish"), "{first}");
    let others: Vec<String> = screen.wrong().await.iter().map(|it| text(it, "title").to_owned()).collect();
    assert!(others.contains(&"inventory does not answer".to_owned()), "{others:?}");
    system.broker.unlimit("inventory").await;
    system.inventory.start_and_wait().await;
    for order in &orders {
        system.reaches(text(order, "id"), &["confirmed"]).await;
    }
    screen.is_calm("when the queue has room").await;
    system.finish().await;
}

#[tokio::test]
async fn a_lock_that_somebody_holds_is_named_first() {
    let system = System::start().await;
    let customer = shop(&system).await;
    let screen = Screen::of(&system).await;
    let lock = holds(system.database("order"), "lock table product in access exclusive mode").await;
    let body = order_of(&customer.id, &[("tea", 1)], "sandbox:ok");
    let first = {
        // callers come back as long as they are refused
        let calling = async { while system.try_place(&body).await.status == 503 {} };
        let naming = screen.names("Somebody holds a lock in the database of order");
        let placed = async {
            calling.await;
            panic!("an order is placed in spite of the lock")
        };
        tokio::select! {
            first = naming => first,
            () = placed => unreachable!(),
        }
    };
    assert_eq!(first["runbook"], "requests-slow", "{first}");
    lock.close().await.expect("closed");
    screen.forgets(text(&first, "title")).await;
    system.finish().await;
}

#[tokio::test]
async fn what_stands_still_or_does_not_add_up_is_named() {
    let system = System::start().await;
    let customer = shop(&system).await;
    let screen = Screen::of(&system).await;
    let (row, read_model) =
        ("A stock row is not what its ledger adds up to", "The read model daily-sales stands still");
    // a service looks into its books once a minute
    system.database("inventory").execute("update product set on_hand = on_hand + 5 where sku = 'tea'").await;
    let lock = holds(system.database("order"), "select from follower where name = 'daily-sales' for update").await;
    let placed = system.place(&customer, &[("tea", 1)]).await;
    let wrong = eventually("both are told, and nothing else", PATIENCE, async || {
        let wrong = screen.wrong().await;
        let titles: Vec<&Value> = wrong.iter().map(|it| &it["title"]).collect();
        if titles == [row, read_model] { Ok(wrong) } else { Err(format!("{wrong:?}")) }
    })
    .await;
    assert!(text(&wrong[0], "detail").starts_with("1 product differs") && wrong[0]["page"] == "/stock", "{wrong:?}");
    assert!(text(&wrong[1], "detail").contains("it has come no closer for"), "{wrong:?}");
    system.database("inventory").execute("update product set on_hand = on_hand - 5 where sku = 'tea'").await;
    lock.close().await.expect("closed");
    // that the row is right again is seen with the next look into the books, for which nobody waits here
    screen.forgets(read_model).await;
    system.reaches(text(&placed, "id"), &["confirmed"]).await;
    system.finish().await;
}
