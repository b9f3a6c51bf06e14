//! What runs by itself.

pub mod sender;
