//! The harness of the end-to-end tests: a whole system of the real binaries, seen from outside.
//!
//! It speaks HTTP, AMQP, SQL and mail, and imports no crate of ours, so that whatever other programs rely on is what is
//! tested. It refuses to skip: what it needs is named by variables that `cargo xtask test` sets, and a missing one fails
//! the test with one line.
//!
//! Each test has a system of its own (a vhost, three databases, processes, a mailbox), so tests run side by side. At its
//! end a test calls [`system::System::finish`], which checks what must hold after any test whatever: no dead letter that
//! the test did not take, stock that adds up, one mail for each end of an order, nothing personal in the logs.
//!
//! Read it in this order: [`system`] with its [`setup`], [`shop`] (the system in the words of its business),
//! [`audit`] (the checks at the end), [`chaos`] (everything goes wrong at once); then the tools.

pub mod audit;
pub mod chaos;
pub mod load;
pub mod setup;
pub mod shop;
pub mod system;

pub mod broker;
pub mod broker_user;
pub mod collector;
pub mod console;
pub mod database;
pub mod environment;
pub mod http;
pub mod infrastructure;
pub mod lost_answer;
pub mod mailbox;
pub mod operator;
pub mod proxy;
pub mod service;
pub mod smtp;
pub mod token;
pub mod waiting;
pub mod webhook;
