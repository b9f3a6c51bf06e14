//! All SQL of this service: one statement per function, on the connection of whoever calls.
//!
//! Locks are taken in one order everywhere, events and routes alike: orders, then products by sku ([`lock`]).
//! Statements that take many rows at once take them as arrays. Where such a statement joins them to a table, it also says
//! `key = any(the array)`: the planner knows nothing of the array, and would rather read the whole table, as it was small
//! when the statement was prepared.

pub mod books;
pub mod lock;
pub mod movement;
pub mod product;
pub mod reservation;
pub mod stock;
pub mod stuck;

/// A value of the database that the code does not know, such as a state that a newer version wrote.
fn undecodable<E: std::error::Error + Send + Sync + 'static>(error: E) -> sqlx::Error {
    sqlx::Error::Decode(Box::new(error))
}
