//! Ctrl-C, SIGTERM and SIGHUP ask for an orderly stop: nothing that was started may be left behind.
//!
//! A signal only sets a flag. Whoever waits looks at it, returns [`Interrupted`], and the normal way out tears
//! everything down. Tear-down itself never looks at the flag, so a second Ctrl-C does not cut it short.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use anyhow::{Context, Result};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

static REQUESTED: OnceLock<Arc<AtomicBool>> = OnceLock::new();

/// The error of a wait that a signal ended.
#[derive(Debug)]
pub(crate) struct Interrupted;

impl fmt::Display for Interrupted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("interrupted")
    }
}

impl std::error::Error for Interrupted {}

/// From here on the signals set the flag instead of ending the process.
pub(crate) fn listen() -> Result<()> {
    let flag = REQUESTED.get_or_init(Arc::default);
    for signal in [SIGINT, SIGTERM, SIGHUP] {
        signal_hook::flag::register(signal, Arc::clone(flag)).context("cannot handle signals")?;
    }
    Ok(())
}

/// Whether a signal has asked for a stop.
pub(crate) fn requested() -> bool {
    REQUESTED.get().is_some_and(|flag| flag.load(Ordering::Relaxed))
}

/// Waits a moment, or fails with [`Interrupted`].
pub(crate) fn pause(moment: Duration) -> Result<()> {
    std::thread::sleep(moment);
    if requested() { Err(Interrupted.into()) } else { Ok(()) }
}
