//! How far it is, on standard error: a bar where a person looks, else a plain line every few seconds.

use std::cell::Cell;
use std::io::{self, IsTerminal};
use std::pin::pin;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

/// How often a bar moves.
const TICK: Duration = Duration::from_millis(200);

/// How often a plain line is written.
const LINE_EVERY: Duration = Duration::from_secs(5);

/// Tells how far the phases of a run are.
pub(super) struct Progress {
    terminal: bool,
    bar: ProgressBar,
    phase: &'static str,
    total: Option<u64>,
    last_line: Cell<Instant>,
}

impl Progress {
    /// One that has nothing to tell yet.
    pub(super) fn new() -> Self {
        Self {
            terminal: io::stderr().is_terminal(),
            bar: ProgressBar::hidden(),
            phase: "",
            total: None,
            last_line: Cell::new(Instant::now()),
        }
    }

    /// The next phase begins; `total` is what its progress is counted up to.
    pub(super) fn phase(&mut self, phase: &'static str, total: Option<u64>) {
        self.end();
        (self.phase, self.total) = (phase, total);
        self.last_line.set(Instant::now());
        if !self.terminal {
            eprintln!("{phase}");
            return;
        }
        let (bar, template) = match total {
            Some(total) => (ProgressBar::new(total), "{msg}  {wide_bar}  {pos}/{len}  {per_sec}  {eta}"),
            None => (ProgressBar::new_spinner(), "{spinner} {msg}  {elapsed}"),
        };
        self.bar = bar.with_message(phase);
        if let Ok(style) = ProgressStyle::with_template(template) {
            self.bar.set_style(style);
        }
        self.bar.enable_steady_tick(TICK);
    }

    /// The phase is as far as `done`.
    pub(super) fn at(&self, done: u64) {
        self.bar.set_position(done);
        if !self.terminal && self.last_line.get().elapsed() >= LINE_EVERY {
            let total = self.total.map_or_else(String::new, |total| format!(" of {total}"));
            eprintln!("{}: {done}{total}", self.phase);
            self.last_line.set(Instant::now());
        }
    }

    /// Does some work, and looks in between how far it is.
    pub(super) async fn watch<T>(&self, work: impl Future<Output = T>, done: impl Fn() -> u64) -> T {
        let mut work = pin!(work);
        let mut tick = tokio::time::interval(TICK);
        loop {
            tokio::select! {
                result = &mut work => return result,
                _ = tick.tick() => self.at(done()),
            }
        }
    }

    /// Takes the bar away.
    pub(super) fn end(&self) {
        self.bar.finish_and_clear();
    }
}
