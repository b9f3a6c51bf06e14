//! For tests: handlers without a broker. Events are routed in memory; the databases are real.
//!
//! Publish an event, let everything settle, and assert on what was handled, what was published, and what became a dead
//! letter. Retries happen at once; time is no part of what is tested here.

use std::collections::VecDeque;
use std::env;

use contracts::envelope::Envelope;
use contracts::event::{Event, Service};
use contracts::values::EventId;
use sqlx::migrate::Migrator;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, PgConnection, PgPool};

use crate::batch::{Outcome, Processor, decode};
use crate::event_log::LoggedEvent;
use crate::follower::{self, Checkpoint};
use crate::handler::Subscriptions;
use crate::schedule::RetrySchedule;
use crate::trace::Span;
use crate::tx::Database;

/// A database of its own for one test, on the server that `DATABASE_URL` names; dropped with the value.
#[derive(Debug)]
pub struct TestDatabase {
    pool: PgPool,
    name: String,
    server: PgConnectOptions,
}

impl TestDatabase {
    /// Creates a database and migrates it.
    ///
    /// # Panics
    /// When `DATABASE_URL` is not set or the server refuses: such a test must fail, not be skipped.
    pub async fn create(migrator: &Migrator) -> Self {
        let url = env::var("DATABASE_URL")
            .expect("set DATABASE_URL to a PostgreSQL server on which tests may create databases");
        let server: PgConnectOptions = url.parse().expect("DATABASE_URL is a PostgreSQL URL");
        let name = format!("test_{}", EventId::new().0.simple());
        let mut admin = server.connect().await.expect("the server of DATABASE_URL answers");
        let create = AssertSqlSafe(format!("create database {name}"));
        sqlx::raw_sql(create).execute(&mut admin).await.expect("the user of DATABASE_URL may create databases");
        let options = server.clone().database(&name);
        let pool =
            PgPoolOptions::new().max_connections(10).connect_with(options).await.expect("the new database answers");
        migrator.run(&pool).await.expect("the migrations run");
        Self { pool, name, server }
    }

    /// Its connections.
    pub fn pool(&self) -> &PgPool {
        &self.pool
    }

    /// As the database of a service.
    pub fn database(&self, service: Service) -> Database {
        Database::new(self.pool.clone(), service, u64::MAX)
    }
}

impl Drop for TestDatabase {
    /// On a thread of its own, since the test's runtime may be gone.
    fn drop(&mut self) {
        let (server, name) = (self.server.clone(), self.name.clone());
        let drop = async move {
            let mut admin = PgConnection::connect_with(&server).await?;
            sqlx::raw_sql(AssertSqlSafe(format!("drop database {name} with (force)"))).execute(&mut admin).await
        };
        let thread = std::thread::spawn(|| {
            tokio::runtime::Builder::new_current_thread().enable_all().build().map(|runtime| runtime.block_on(drop))
        });
        // a database that stays behind is no reason to fail the test
        let _ = thread.join();
    }
}

/// What became of one message at one listener.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Handled {
    /// The listener.
    pub listener: String,
    /// The event's id.
    pub id: EventId,
    /// The event's type.
    pub event: String,
    /// `done`, `duplicate`, or the kind of its dead letter.
    pub outcome: &'static str,
    /// How many attempts it took.
    pub attempts: usize,
}

struct Listener {
    name: String,
    processor: Processor,
    queue: VecDeque<Vec<u8>>,
    checkpoint: Checkpoint,
}

/// Services, connected without a broker.
#[derive(Default)]
pub struct Harness {
    listeners: Vec<Listener>,
    schedule: RetrySchedule,
    handled: Vec<Handled>,
    published: Vec<LoggedEvent>,
}

impl Harness {
    /// No services yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a service: its handlers on its database. What it publishes reaches the others.
    #[must_use]
    pub fn with(mut self, name: &str, subscriptions: Subscriptions, database: Database) -> Self {
        let processor = Processor { database, subscriptions };
        let checkpoint = Checkpoint::start();
        self.listeners.push(Listener { name: name.to_owned(), processor, queue: VecDeque::new(), checkpoint });
        self
    }

    /// Publishes an event as `service` would, the first of its subject.
    ///
    /// # Panics
    /// When it cannot be written as JSON.
    pub fn publish<E: Event>(&mut self, service: Service, event: &E) -> EventId {
        self.publish_nth(service, event, 1)
    }

    /// Publishes an event as `service` would, with that sequence among those of its subject.
    ///
    /// # Panics
    /// When it cannot be written as JSON.
    pub fn publish_nth<E: Event>(&mut self, service: Service, event: &E, sequence: i64) -> EventId {
        let id = EventId::new();
        let logged = LoggedEvent {
            position: 0,
            id,
            subject: event.subject(),
            sequence,
            event_type: E::TYPE.to_owned(),
            version: E::VERSION,
            time: chrono::Utc::now(),
            correlation_id: id.to_string(),
            causation_id: None,
            traceparent: None,
            data: serde_json::to_string(event).expect("an event is JSON"),
        };
        let envelope = logged.envelope(service).expect("its data is JSON");
        self.publish_raw(&serde_json::to_vec(&envelope).expect("an envelope is JSON"));
        id
    }

    /// Publishes bytes to every listener that handles their type; what cannot be read goes to all.
    pub fn publish_raw(&mut self, body: &[u8]) {
        let event = Envelope::from_json(body).map(|envelope| envelope.event_type.into_owned()).ok();
        for listener in &mut self.listeners {
            let subscriptions = &listener.processor.subscriptions;
            if event.as_ref().is_none_or(|event| subscriptions.index_of(event).is_some()) {
                listener.queue.push_back(body.to_vec());
            }
        }
    }

    /// Handles and routes until nothing is left to do.
    ///
    /// # Panics
    /// When a database is away.
    pub async fn settle(&mut self) {
        loop {
            let mut moved = false;
            for index in 0..self.listeners.len() {
                while let Some(body) = self.listeners[index].queue.pop_front() {
                    moved = true;
                    let handled = handle(&self.listeners[index], &self.schedule, &body).await;
                    self.handled.push(handled);
                }
                for (event, body) in new_events(&mut self.listeners[index]).await {
                    moved = true;
                    self.published.push(event);
                    self.publish_raw(&body);
                }
            }
            if !moved {
                return;
            }
        }
    }

    /// What was handled, in order.
    pub fn handled(&self) -> &[Handled] {
        &self.handled
    }

    /// What the services published, in order.
    pub fn published(&self) -> &[LoggedEvent] {
        &self.published
    }
}

/// One message through as many attempts as the ladder has.
async fn handle(listener: &Listener, schedule: &RetrySchedule, body: &[u8]) -> Handled {
    let envelope = Envelope::from_json(body).ok();
    let id = envelope.as_ref().map_or(EventId(uuid::Uuid::nil()), |envelope| envelope.id);
    let event = envelope.map_or_else(|| "unreadable".to_owned(), |envelope| envelope.event_type.into_owned());
    let mut attempts = 0;
    let outcome = loop {
        attempts += 1;
        let outcome = match decode(&listener.processor.subscriptions, body, false, &mut Span::default()) {
            Err(outcome) => outcome,
            Ok(item) => {
                let outcomes = listener.processor.process(&[item]).await.expect("the database answers");
                outcomes.into_iter().next().expect("one item, one outcome")
            }
        };
        match outcome {
            Outcome::Done => break "done",
            Outcome::Duplicate => break "duplicate",
            Outcome::Retry(_) if attempts < schedule.attempts() => {}
            Outcome::Retry(failure) | Outcome::Dead(failure) => break failure.kind.as_str(),
        }
    };
    Handled { listener: listener.name.clone(), id, event, outcome, attempts }
}

/// What a service has published since the last look, as it would travel.
async fn new_events(listener: &mut Listener) -> Vec<(LoggedEvent, Vec<u8>)> {
    let database = &listener.processor.database;
    let mut conn = database.pool().acquire().await.expect("the database answers");
    let page = follower::read(&mut conn, &listener.checkpoint).await.expect("the log is readable");
    listener.checkpoint = page.after;
    let travels = |event: LoggedEvent| {
        let envelope = event.envelope(database.service()).expect("logged data is JSON");
        let body = serde_json::to_vec(&envelope).expect("an envelope is JSON");
        (event, body)
    };
    page.events.into_iter().map(travels).collect()
}
