//! The plumbing of Warren's services: configuration, telemetry, metrics, health, the database pool,
//! HTTP with its authentication and problem answers, idempotency keys, and a graceful stop.
//!
//! It knows nothing of orders, stock, mails or events, and imports neither `contracts` nor
//! `messaging`: what is in here could serve any HTTP service on PostgreSQL.
//!
//! Reading order: [`config`] and [`lifecycle`] frame a `main`, [`http`] is what most people
//! come for (start at [`http::finish`], then [`http::extract`], then [`http::idempotency`]); the
//! others are short and stand alone.

pub mod config;
pub mod lifecycle;

pub mod http;

pub mod database;
pub mod drift;
pub mod health;
pub mod healthcheck;
pub mod metrics;
pub mod telemetry;
pub mod traces;

#[cfg(test)]
mod test_database;
