//! Messages as they come in a bad world: broken, unknown, doubled, out of order, too early, too many.
//!
//! Reading order: `events` makes what the others publish; `poison` shows what a dead letter tells;
//! `operator` types commands, `dead_letters` is what they do.

mod dead_letters;
mod dead_letters_by_the_thousand;
mod disorder;
mod envelope;
mod events;
mod full_queue;
mod ladder;
mod letters;
mod old_version;
mod poison;
mod unroutable;
