//! Two handlers of one event in one service: both take effect, or none.

use contracts::event::Service;
use contracts::order::CustomerRegistered;
use contracts::values::CustomerId;
use messaging::handler::{Handler, HandlerError, NoLocks, Received, Subscriptions};
use messaging::harness::{Harness, TestDatabase};
use messaging::tx::Tx;

use crate::support::MIGRATOR;
use crate::support::events::count;

/// Leaves a row; fails for customers of that name.
struct Note(&'static str);

impl Handler<CustomerRegistered> for Note {
    async fn handle(&self, tx: &mut Tx, event: &Received<CustomerRegistered>) -> Result<(), HandlerError> {
        sqlx::query("insert into note (text) values ($1)").bind(self.0).execute(&mut **tx).await?;
        if event.name == self.0 { Err(HandlerError::reject("not this one")) } else { Ok(()) }
    }
}

#[tokio::test]
async fn a_pair_does_both_or_neither() {
    let database = TestDatabase::create(&MIGRATOR).await;
    sqlx::raw_sql("create table note (text text not null)").execute(database.pool()).await.expect("a table");
    let both = Subscriptions::new(Service::Email, NoLocks).on::<CustomerRegistered>((Note("mail"), Note("sms")));
    let mut harness = Harness::new().with("email", both, database.database(Service::Email));
    let mut registers = |name: &str| {
        let event = CustomerRegistered {
            customer_id: CustomerId::new(),
            name: name.to_owned(),
            email: "ada@example.com".to_owned(),
        };
        harness.publish(Service::Order, &event)
    };
    for name in ["Ada", "mail", "sms", "Bob"] {
        registers(name);
    }
    harness.settle().await;
    assert_eq!(count(database.pool(), "select count(*) from note where text = 'mail'").await, 2);
    assert_eq!(count(database.pool(), "select count(*) from note where text = 'sms'").await, 2);
    let outcomes: Vec<&str> = harness.handled().iter().map(|handled| handled.outcome).collect();
    assert_eq!(outcomes.iter().filter(|outcome| **outcome == "done").count(), 2, "{outcomes:?}");
}
