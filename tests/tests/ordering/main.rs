//! Orders from the first click to the mail: what a shop and its customers see.
//!
//! Reading order: `first_order` follows one order through everything; the others each take one promise.

mod contention;
mod copies;
mod endings;
mod first_order;
mod idempotency;
mod mails;
mod payments;
mod reading;
mod stream;
