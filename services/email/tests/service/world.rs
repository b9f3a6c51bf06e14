//! What the tests stand on: a database, handlers, senders.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use contracts::event::{Event, Service};
use contracts::money::{Currency, Money};
use contracts::order::CancelReason;
use contracts::order::{ConfirmedLine, CustomerChanged, CustomerRegistered, OrderCancelled, OrderConfirmed};
use contracts::values::{CustomerId, EventId, OrderId};
use email::MIGRATIONS;
use email::outgoing::Outgoing;
use email::store::log::{self, Filter, Logged};
use email::templates::Templates;
use email::transport::Transport;
use email::transport::smtp::{Smtp, Timeouts};
use email::transport::target::Target;
use email::workers::sender::{Mails, Parts, Sender, Tray};
use messaging::breaker::Breaker;
use messaging::context::Context;
use messaging::handler::{Handler, Received};
use messaging::harness::TestDatabase;
use messaging::metrics::Metrics;
use tokio::sync::Notify;

/// How long anything may take before the test gives up on it.
const PATIENCE: Duration = Duration::from_mins(1);

/// The sessions of the senders of this world. Other tests have databases of their own on the same server.
pub(crate) const SESSIONS: &str = "pg_locks where locktype = 'advisory' and objsubid = 2
    and database = (select oid from pg_database where datname = current_database())";

/// A database, and what is needed to put mails into it and out of it.
pub(crate) struct World {
    pub(crate) db: TestDatabase,
    pub(crate) outgoing: Outgoing,
    pub(crate) wake: Arc<Notify>,
    /// The way from [`Self::outgoing`] to the one sender that is made by [`Self::sender_beside`].
    tray: Tray,
    pub(crate) mails: Mails,
}

impl World {
    pub(crate) async fn new() -> Self {
        let (wake, tray) = (Arc::new(Notify::new()), Tray::default());
        Self {
            db: TestDatabase::create(&MIGRATIONS).await,
            outgoing: Outgoing::new("example.com", Arc::clone(&wake), tray.clone()),
            wake,
            tray,
            mails: Mails::register(&mut Default::default()),
        }
    }

    /// A sender to `url`, which is patient with the mail server. It is in another process, as it were, than the handlers.
    pub(crate) fn sender(&self, url: &str) -> Sender {
        self.sender_with(url, Tray::default())
    }

    /// A sender to `url` in the process of the handlers.
    pub(crate) fn sender_beside(&self, url: &str) -> Sender {
        self.sender_with(url, self.tray.clone())
    }

    fn sender_with(&self, url: &str, tray: Tray) -> Sender {
        let patience = Duration::from_secs(30);
        let transport = match url.parse().unwrap() {
            Target::Server(server) => {
                let timeouts = Timeouts { connect: patience, command: patience, end_of_message: patience };
                Transport::Smtp(Box::new(Smtp::new(server, timeouts).unwrap()))
            }
            directory => Transport::new(directory).unwrap(),
        };
        Sender::new(Parts {
            pool: self.db.pool().clone(),
            transport,
            templates: Arc::new(Templates::new("My Shop")),
            from: "My Shop <shop@example.com>".parse().unwrap(),
            operators: Some("ops@example.com".parse().unwrap()),
            wake: Arc::clone(&self.wake),
            tray,
            breaker: Breaker::new("smtp", &Metrics::register(&mut Default::default())),
            mails: self.mails.clone(),
        })
    }

    /// Has events of one type handled together, as by a batch.
    pub(crate) async fn handle<E: Event>(&self, handler: &impl Handler<E>, events: &[Received<E>]) {
        let mut tx = self.db.database(Service::Email).begin(context()).await.unwrap();
        handler.handle_batch(&mut tx, events).await.unwrap();
        tx.commit().await.unwrap();
    }

    /// Queues confirmations of that many orders of one customer who is known.
    pub(crate) async fn confirmations(&self, count: usize) -> CustomerId {
        let customer = self.customer("ada@example.com").await;
        self.confirmations_for(customer, count).await;
        customer
    }

    /// Queues confirmations of that many orders of `customer`.
    pub(crate) async fn confirmations_for(&self, customer: CustomerId, count: usize) {
        let events: Vec<_> = (0..count).map(|_| received(1, confirmed(customer))).collect();
        self.handle(&email::handlers::ConfirmOrder::new(self.outgoing.clone()), &events).await;
    }

    /// A customer who is known, without a welcome.
    pub(crate) async fn customer(&self, address: &str) -> CustomerId {
        let customer = CustomerId::new();
        let change = received(1, changed(customer, address));
        self.handle(&email::handlers::NoteChange::new(self.outgoing.clone()), &[change]).await;
        customer
    }

    /// All mails, newest first.
    pub(crate) async fn log(&self) -> Vec<Logged> {
        let mut conn = self.db.pool().acquire().await.unwrap();
        log::list(&mut conn, &Filter::default(), 1000).await.unwrap()
    }

    /// The only mail.
    pub(crate) async fn mail(&self) -> Logged {
        let mut log = self.log().await;
        assert_eq!(log.len(), 1, "{log:?}");
        log.remove(0)
    }

    /// How many mails have each status.
    pub(crate) async fn statuses(&self) -> BTreeMap<String, usize> {
        let mut statuses = BTreeMap::new();
        for mail in self.log().await {
            *statuses.entry(mail.status).or_default() += 1;
        }
        statuses
    }

    /// Makes everything due that waits for its time.
    pub(crate) async fn hurry(&self) {
        self.sql("update delivery set due_at = now()").await;
    }

    pub(crate) async fn sql(&self, statement: &str) {
        sqlx::raw_sql(sqlx::AssertSqlSafe(statement)).execute(self.db.pool()).await.unwrap();
    }

    /// Steps until all mails have that status.
    pub(crate) async fn until_all(&self, sender: &mut Sender, status: &str) {
        let all = async {
            loop {
                sender.step().await.unwrap();
                let statuses = self.statuses().await;
                if statuses.len() == 1 && statuses.contains_key(status) {
                    return;
                }
            }
        };
        if tokio::time::timeout(PATIENCE, all).await.is_err() {
            panic!("not all are {status}: {:?}", self.log().await);
        }
    }
}

/// Tries until it holds.
pub(crate) async fn eventually(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let all = async {
        while !holds().await {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(PATIENCE, all).await.unwrap_or_else(|_| panic!("never: {what}"));
}

pub(crate) fn context() -> Context {
    Context { correlation_id: "request-1".to_owned(), causation_id: None, traceparent: None }
}

pub(crate) fn received<E>(sequence: i64, event: E) -> Received<E> {
    Received { id: EventId::new(), sequence, time: chrono::Utc::now(), context: context(), event }
}

pub(crate) fn registered(customer_id: CustomerId, address: &str) -> CustomerRegistered {
    CustomerRegistered { customer_id, name: "Ada Lovelace".to_owned(), email: address.to_owned() }
}

pub(crate) fn changed(customer_id: CustomerId, address: &str) -> CustomerChanged {
    CustomerChanged { customer_id, name: "Ada King".to_owned(), email: address.to_owned() }
}

pub(crate) fn confirmed(customer_id: CustomerId) -> OrderConfirmed {
    let unit_price = Money::new(1999, Currency::EUR).unwrap();
    let line = ConfirmedLine {
        sku: "TEA-500".parse().unwrap(),
        name: "Tea".to_owned(),
        quantity: 2.try_into().unwrap(),
        unit_price,
    };
    let total = Money::new(3998, Currency::EUR).unwrap();
    OrderConfirmed { order_id: OrderId::new(), customer_id, lines: vec![line], total }
}

pub(crate) fn cancelled(customer_id: Option<CustomerId>, reason: CancelReason) -> OrderCancelled {
    OrderCancelled { order_id: OrderId::new(), customer_id, reason }
}
