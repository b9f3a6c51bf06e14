//! Messages as they come in a bad world: broken, unknown, doubled, out of order, too early, too many.
//!
//! Reading order: `events` makes what the others publish; `poison` shows what a dead letter tells.

mod disorder;
mod envelope;
mod events;
mod full_queue;
mod ladder;
mod old_version;
mod poison;
mod unroutable;
