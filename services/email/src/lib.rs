//! Warren's email service: it keeps who gets mail, and the log of mails, and hands each mail over once.
//!
//! It acts on events alone and publishes none. It refuses to answer for what is in a mail beyond its templates, to send
//! anything inside of a database transaction, and to write an address or a name into a log line.
//!
//! Read it in this order: [`mail`] (what a mail is), [`templates`] and [`letter`] (how it looks and travels),
//! [`handlers`] with [`outgoing`] (how it is queued), [`workers::sender`] with [`transport`] (how it goes out, and how
//! often), [`store`] (all SQL), [`drift`] (whether the log is right), [`http`] (what one can ask), [`config`].

pub mod mail;

pub mod letter;
pub mod templates;

pub mod drift;
pub mod handlers;
pub mod outgoing;

pub mod transport;
pub mod workers;

pub mod store;

pub mod http;

pub mod config;

use sqlx::migrate::Migrator;

/// The schema of the service's database.
pub static MIGRATIONS: Migrator = sqlx::migrate!("../../migrations/email");
