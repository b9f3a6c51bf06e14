//! The service's parts together: handlers, sender and routes over real databases, and a mail server that does what the
//! test tells it to.

mod drift;
mod handlers;
mod http;
mod kills;
mod sender;
mod smtp;
mod smtp_server;
mod takeover;
mod tray;
mod world;
