//! Crashes under load: of each service, of the broker, of the database; and single faults of connections, sessions and
//! callers. A test that harms the servers has them to itself, the others run beside each other.
//!
//! What is promised is checked at the end of each by the audit: every order that was answered with 201 is final, stock
//! adds up, one mail for each end (one more only where a sender was killed), and nothing among the dead letters.

mod crashes;
mod failpoints;
mod servers;

mod alarms;
mod callers;
mod commits;
mod connections;
mod patience;
mod sessions;
mod workers;
