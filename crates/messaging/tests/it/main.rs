//! Messaging against a real PostgreSQL and a real RabbitMQ: a database and a vhost of its own for each test.
//!
//! Needs `DATABASE_URL` (a server on which databases may be created), `AMQP_URL` (an administrator) and
//! `RABBITMQ_MANAGEMENT_URL`; without them the tests fail. `cargo xtask test` provides all three.

mod support;

mod follower;
mod outbox;
mod pair;
mod rebase;
mod relay;
mod relay_faults;
mod retention;
mod subscriber;
mod subscriber_crashes;
mod subscriber_faults;
mod topology;
