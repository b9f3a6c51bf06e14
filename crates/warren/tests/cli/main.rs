//! The program as its users run it, with services that say what a test wants: output, errors, exit status.
//!
//! The tests of `topology`, `catalog` and `dlq` need a real broker: `AMQP_URL` (an administrator) and
//! `RABBITMQ_MANAGEMENT_URL`; without them they fail. `cargo xtask test` provides both.

mod catalog;
mod commands;
mod dlq;
mod fake;
mod load;
mod topology;
