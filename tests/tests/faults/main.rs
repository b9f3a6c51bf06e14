//! Crashes under load: of each service, of the broker, of the database. Each test has the servers to itself.
//!
//! What is promised is checked at the end of each by the audit: every order that was answered with 201 is final, stock
//! adds up, one mail for each end (one more only where a sender was killed), and nothing among the dead letters.

mod crashes;
mod servers;
