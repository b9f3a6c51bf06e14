//! The language of the three services: events, their versions, and who publishes and who reads each of them.
//!
//! Everything that crosses the broker is declared here once, so that publisher and consumers cannot disagree.
//! The crate does no I/O and is not async: a contract is data.
//!
//! Read it in this order: [`event`] (what an event is), [`order`] and [`inventory`] (the events, in the file of the
//! service that publishes them), [`catalogue`] (who reads what), [`envelope`] (how an event travels),
//! [`values`] and [`money`] (the small types that events are made of), [`readers`] (which fields each consumer reads).
//!
//! With the feature `schema`, which is for tests and tools: `schema` describes every version of every event as a JSON
//! Schema, and `compatibility` tells whether a changed one still means the same to those who know the old one.

pub mod catalogue;
#[cfg(feature = "schema")]
pub mod compatibility;
pub mod envelope;
pub mod event;
pub mod inventory;
pub mod money;
pub mod order;
pub mod readers;
#[cfg(feature = "schema")]
pub mod schema;
pub mod values;
