//! The language of the three services: events, their versions, and who publishes and who reads each of them.
//!
//! Everything that crosses the broker is declared here once, so that publisher and consumers cannot disagree.
//! The crate does no I/O and is not async: a contract is data.
//!
//! Read it in this order: [`event`] (what an event is), [`order`] and [`inventory`] (the events, in the file of the
//! service that publishes them), [`catalogue`] (who reads what), [`envelope`] (how an event travels),
//! [`values`] and [`money`] (the small types that events are made of).

pub mod catalogue;
pub mod envelope;
pub mod event;
pub mod inventory;
pub mod money;
pub mod order;
pub mod values;
