//! HTTP: what every route of every service has, so that a service's own files hold its routes alone.
//!
//! A service builds a [`Router`](axum::Router) of its handlers, hands it to [`finish`], and the result to [`serve`]. Handlers take the
//! extractors of [`extract`] and [`auth`], and answer with a [`problem::Problem`] where something is wrong.
//!
//! There is no global error handler: whatever is wrong is a `Problem` from the place that knows what to say.

pub mod auth;
pub mod context;
pub mod extract;
pub mod idempotency;
pub mod page;
pub mod problem;

mod detach;
mod finish;
mod nameless;
mod observe;
mod serve;
mod stall;

pub use finish::{Plumbing, finish};
pub use serve::serve;

/// The largest body that is taken: as large as the largest message between the services.
pub const MAX_BODY_BYTES: usize = 256 * 1024;
