//! One event, three listeners that know nothing of each other, one of which fails.
//!
//! A customer registers. A welcome mail is written, a loyalty account is opened, and the statistics fail every time. The
//! publisher knows none of them; the first two do their work; the third climbs the retry ladder and ends as a
//! dead letter, which harms nobody.
//!
//! ```sh
//! DATABASE_URL=postgres://postgres@127.0.0.1/postgres cargo run -p messaging --features harness --example registration
//! ```
//! (`cargo xtask up` prints a server to use, and `. .dev/env` sets `ORDER_DATABASE_URL`, which will do.)

use contracts::event::Service;
use contracts::order::CustomerRegistered;
use contracts::values::CustomerId;
use messaging::handler::{Handler, HandlerError, NoLocks, Received, Subscriptions};
use messaging::harness::{Harness, TestDatabase};
use messaging::tx::Tx;
use sqlx::migrate::Migrator;

/// The tables of the messaging crate, which every service has.
static MIGRATOR: Migrator = sqlx::migrate!("../../migrations/order");

struct WelcomeMail;

impl Handler<CustomerRegistered> for WelcomeMail {
    async fn handle(&self, tx: &mut Tx, event: &Received<CustomerRegistered>) -> Result<(), HandlerError> {
        note(tx, "welcome mail to", event.customer_id).await
    }
}

struct OpenLoyaltyAccount;

impl Handler<CustomerRegistered> for OpenLoyaltyAccount {
    async fn handle(&self, tx: &mut Tx, event: &Received<CustomerRegistered>) -> Result<(), HandlerError> {
        note(tx, "loyalty account of", event.customer_id).await
    }
}

struct CountRegistrations;

impl Handler<CustomerRegistered> for CountRegistrations {
    async fn handle(&self, tx: &mut Tx, event: &Received<CustomerRegistered>) -> Result<(), HandlerError> {
        // written, and undone with the transaction when the next line fails
        note(tx, "counted", event.customer_id).await?;
        Err(HandlerError::Again("the statistics are broken today".into()))
    }
}

/// What these listeners do, so that it can be seen: a row of their own database, in the transaction of the inbox row.
async fn note(tx: &mut Tx, text: &str, customer: CustomerId) -> Result<(), HandlerError> {
    sqlx::query("insert into note (text) values ($1)").bind(format!("{text} {customer}")).execute(&mut **tx).await?;
    Ok(())
}

/// Runs the story and returns what each listener has to show for it.
async fn story() -> Vec<(&'static str, Vec<String>)> {
    let mut harness = Harness::new();
    let mut databases = Vec::new();
    for name in ["mail", "loyalty", "statistics"] {
        let database = TestDatabase::create(&MIGRATOR).await;
        sqlx::raw_sql("create table note (text text not null)").execute(database.pool()).await.expect("a table");
        let listener = Subscriptions::new(Service::Email, NoLocks);
        let listener = match name {
            "mail" => listener.on::<CustomerRegistered>(WelcomeMail),
            "loyalty" => listener.on::<CustomerRegistered>(OpenLoyaltyAccount),
            _ => listener.on::<CustomerRegistered>(CountRegistrations),
        };
        harness = harness.with(name, listener, database.database(Service::Email));
        databases.push((name, database));
    }

    let event = CustomerRegistered {
        customer_id: CustomerId::new(),
        name: "Ada Example".to_owned(),
        email: "ada@example.com".to_owned(),
    };
    harness.publish(Service::Order, &event);
    harness.settle().await;

    let mut shown = Vec::new();
    for (name, database) in &databases {
        let notes = sqlx::query_scalar("select text from note").fetch_all(database.pool()).await.expect("the notes");
        shown.push((*name, notes));
    }
    for handled in harness.handled() {
        let line = format!("{}: {} after {} attempt(s)", handled.listener, handled.outcome, handled.attempts);
        shown.push(("outcome", vec![line]));
    }
    shown
}

#[tokio::main]
async fn main() {
    for (who, notes) in story().await {
        let text = if notes.is_empty() { "nothing to show".to_owned() } else { notes.join(", ") };
        #[expect(clippy::print_stdout, reason = "an example that people run")]
        {
            println!("{who:10} {text}");
        }
    }
}

#[cfg(test)]
mod tests {
    #[tokio::test]
    async fn one_failing_listener_harms_nobody() {
        let shown = super::story().await;
        let notes = |who: &str| shown.iter().find(|(name, _)| *name == who).map(|(_, notes)| notes.len());
        assert_eq!((notes("mail"), notes("loyalty"), notes("statistics")), (Some(1), Some(1), Some(0)));
        let outcomes: Vec<_> =
            shown.iter().filter(|(name, _)| *name == "outcome").map(|(_, line)| line[0].as_str()).collect();
        assert_eq!(
            outcomes,
            [
                "mail: done after 1 attempt(s)",
                "loyalty: done after 1 attempt(s)",
                "statistics: transient-exhausted after 6 attempt(s)"
            ]
        );
    }
}
