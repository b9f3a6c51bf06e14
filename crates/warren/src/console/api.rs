//! The console's own routes, one file per subject. Everything else it forwards.

pub(super) mod catalogue;
pub(super) mod dead_letters;
pub(super) mod orders;
pub(super) mod overview;
pub(super) mod payments;
pub(super) mod session;
