//! The saga as a model: orders, inventory, payments and the messages between them, explored state by state.
//!
//! What decides is not written here a second time: the model calls [`order::order::command::decide`],
//! [`order::order::Order::apply`], [`inventory::shelf::Shelf`] and [`inventory::reservation::State`], the same functions that
//! the services call. Around them stands what the services' stores and the broker do, in a few lines each: rows of payments,
//! reservations, and messages. It is for tests alone; nothing imports it.
//!
//! A message can come at any time and after any other, which is at once a network that reorders, delays, and loses until it
//! delivers again, and a consumer that stops before its commit. In one kind of world a message takes effect once, as it does
//! behind an inbox; in the other it comes again and again, as if there were none. A provider's answer can be recorded late,
//! never, or twice, which is a worker that stops around its call, and another that takes over.
//!
//! Read it in this order: [`world`] (the state), [`steps`] (what can happen), [`payments`] (what happens to payments),
//! [`promises`] (what must hold, and how a world comes to rest), [`explore`] (the model for the checker).

pub mod explore;
pub mod payments;
pub mod promises;
pub mod steps;
pub mod world;

#[cfg(test)]
mod tests;
