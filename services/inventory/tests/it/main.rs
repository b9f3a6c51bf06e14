//! The service against a real PostgreSQL, one throwaway database per test, on the server that `DATABASE_URL` names.

mod concurrency;
mod drift;
mod handlers;
mod http_ops;
mod http_products;
mod http_stock;
mod interface;
mod journey;
mod support;
