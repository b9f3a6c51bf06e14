//! The order service: customers, orders, their payments, and the saga that moves each order to its end.
//!
//! An order is event-sourced: two pure functions decide what happens and what that makes of it; the row is the fold of the
//! history, and both change in one transaction. This service alone decides that an order has waited too long. It asks no
//! other service for anything: prices come by event into its own price list.
//!
//! Read it in this order. The domain, pure: [`order`] (states and events) with [`order::command`] (decisions), [`history`]
//! (the fold). Then [`saga`] (how orders are moved), [`desk`] (how they are placed), [`payment`] (what a provider is),
//! [`webhook`] (how it signs), [`store`] (all SQL), [`handlers`] (what happens on events), [`workers`] (what happens by the
//! clock), [`live`] (who watches), [`stuck`] (who waits too long), [`drift`] (whose books are wrong), [`http`] (what people ask for), [`metrics`], [`config`].

pub mod config;
pub mod desk;
pub mod drift;
pub mod handlers;
pub mod history;
pub mod http;
pub mod live;
pub mod metrics;
pub mod order;
pub mod payment;
pub mod saga;
pub mod store;
pub mod stuck;
pub mod tasks;
pub mod webhook;
pub mod workers;

/// The schema of the service's database.
pub static MIGRATIONS: sqlx::migrate::Migrator = sqlx::migrate!("../../migrations/order");

/// The event types that are the history of an order: never pruned.
pub const HISTORY: &[&str] = &{
    use contracts::event::Event;
    use contracts::order::{
        OrderCancelled, OrderConfirmed, OrderCreated, OrderReserved, PaymentCompleted, PaymentFailed, PaymentRefunded,
    };
    [
        OrderCreated::TYPE,
        OrderReserved::TYPE,
        PaymentCompleted::TYPE,
        PaymentFailed::TYPE,
        PaymentRefunded::TYPE,
        OrderConfirmed::TYPE,
        OrderCancelled::TYPE,
    ]
};
