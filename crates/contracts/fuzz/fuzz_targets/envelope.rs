//! The decoder of envelopes, fed with whatever libFuzzer comes up with.
#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../decoder.rs"]
mod decoder;

fuzz_target!(|bytes: &[u8]| decoder::decode(bytes));
