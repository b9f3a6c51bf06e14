//! The service against a real PostgreSQL, one throwaway database per test, on the server that `DATABASE_URL` names.

mod callers;
mod copies;
mod customers;
mod desk;
mod drift;
mod histories;
mod interface;
mod ops;
mod orders;
mod payments;
mod projections;
mod provider;
mod saga;
mod shop;
mod stream;
mod webhook;
