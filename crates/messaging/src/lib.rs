//! The postman: takes events from a transaction to every consumer's transaction, at least once, and lets each take
//! effect once.
//!
//! It knows nothing of orders or mails, and it is the only crate that speaks AMQP. It refuses to publish outside of a
//! transaction, to acknowledge before a commit, and to retry by requeueing.
//!
//! Read it in this order.
//!
//! - What a service writes: [`tx`] (a transaction that one can publish from) and [`handler`]; [`trace`] is what is seen of it.
//! - The PostgreSQL half, which never imports lapin: [`event_log`], [`follower`] (how the log is read), [`inbox`],
//!   [`outbox`], `set_aside`, `batch` (how a batch of messages is handled), [`retention`], [`fault`].
//! - The AMQP half, which never imports sqlx: [`schedule`], [`topology`], [`connection`], [`message`], [`publisher`], `acknowledge`, [`breaker`], [`inspect`], `depth`,
//!   [`dead_letters`] and [`resend`] (what an operator does with them).
//! - The two bridges that see both: [`relay`] and `subscriber`; [`runtime`] puts everything together.

pub mod context;
pub mod handler;
pub mod trace;
pub mod tx;

mod batch;
pub mod event_log;
pub mod fault;
pub mod follower;
pub mod inbox;
pub mod outbox;
pub mod retention;
mod set_aside;

mod acknowledge;
pub mod breaker;
pub mod connection;
pub mod dead_letters;
mod depth;
pub mod inspect;
pub mod message;
pub mod publisher;
pub mod resend;
pub mod schedule;
pub mod topology;

pub mod relay;
pub mod runtime;
mod subscriber;

pub mod failpoint;
#[cfg(feature = "harness")]
pub mod harness;
pub mod metrics;
pub mod settings;
