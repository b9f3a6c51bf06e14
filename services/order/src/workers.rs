//! What runs by the clock. Each worker is a loop around a public `step`, which tests drive.

pub mod deadlines;
pub mod payments;
pub mod projections;
pub mod pruning;
