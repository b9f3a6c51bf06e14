//! The inventory service of Warren: products, their prices, their stock, and what is reserved of it for orders.
//!
//! It decides about stock and about nothing else: no price of an order, no payment, and no time. A reservation never
//! expires by itself, because two clocks that can disagree are how stock gets sold twice; the order saga alone gives up.
//! Stock is never oversold (`on_hand >= reserved >= 0`), and every change of it is a row of the ledger.
//!
//! Read it in this order. The domain, pure: [`stock`] (what there is, and how it moves), [`reservation`] (what events do
//! to an order's stock), [`shelf`] (orders allocated over stock), [`product`]. Then [`store`] (all SQL), [`stockroom`]
//! (the shelf out of the database and back) and [`settlement`] (reservations over it), [`handlers`] (what happens on
//! events), [`http`] (what people ask for), [`housekeeping`],
//! [`drift`] (whether the ledger adds up), [`config`].

pub mod stock;

pub mod reservation;
pub mod shelf;

pub mod product;
pub mod store;

pub mod stockroom;

pub mod settlement;

pub mod handlers;
pub mod http;

pub mod drift;
pub mod housekeeping;

pub mod config;

/// The schema of the service's database.
pub static MIGRATIONS: sqlx::migrate::Migrator = sqlx::migrate!("../../migrations/inventory");
