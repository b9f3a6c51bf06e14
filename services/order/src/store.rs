//! All SQL of the service, by table, one statement per function.

pub mod customer;
pub mod desk;
pub mod ops;
pub mod order;
pub mod outage;
pub mod payment;
pub mod product;
pub mod projection;
pub mod sale;
pub mod total;
pub mod webhook;
