//! The lanes of the timeline: one per service, with a mark where something happens and an arrow to whoever is told. Pure.

use contracts::event::Service;

use super::story::{Delivery, Item};
use crate::output::Paint;

/// From one lane to the next.
const STEP: usize = 10;

/// All lanes, with the name of the last one above it.
pub(super) const WIDTH: usize = 2 * STEP + 6;

/// How far along its lane's column the line of a service runs.
const INSET: usize = 2;

/// What a cell of a line shows, and so in which colour.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Ink {
    Faint,
    Plain,
    Done,
    Open,
    Failed,
}

/// A line of the lanes that is being drawn.
pub(super) struct Lanes {
    cells: Vec<(char, Ink)>,
}

impl Lanes {
    /// Lanes in which nothing happens.
    pub(super) fn idle() -> Self {
        let mut cells = vec![(' ', Ink::Faint); WIDTH];
        for service in Service::ALL {
            cells[column(service)] = ('│', Ink::Faint);
        }
        Self { cells }
    }

    /// Something happens in a service, and perhaps others are told.
    pub(super) fn step(item: &Item) -> Self {
        let mut lanes = Self::idle();
        let from = column(item.service);
        for consumer in item.consumers() {
            let state = item.deliveries.iter().find(|delivery| delivery.consumer == *consumer);
            lanes.arrow(from, column(*consumer), state);
        }
        lanes.cells[from] = ('●', Ink::Plain);
        lanes
    }

    /// Where the order is now.
    pub(super) fn here(service: Service, open: bool) -> Self {
        let mut lanes = Self::idle();
        lanes.cells[column(service)] = if open { ('◉', Ink::Open) } else { ('◉', Ink::Done) };
        lanes
    }

    /// The names of the lanes.
    pub(super) fn heading() -> String {
        Service::ALL
            .iter()
            .map(|service| format!("{:<STEP$}", service.name()))
            .collect::<String>()
            .trim_end()
            .to_owned()
    }

    fn arrow(&mut self, from: usize, to: usize, state: Option<&Delivery>) {
        let (line, head, ink) = match state.map(|delivery| delivery.state.as_str()) {
            Some("done") if to > from => ('─', '▶', Ink::Done),
            Some("done") => ('─', '◀', Ink::Done),
            Some("failed") => ('─', '✗', Ink::Failed),
            Some(_) if to > from => ('┄', '▷', Ink::Open),
            Some(_) => ('┄', '◁', Ink::Open),
            None => ('┄', '?', Ink::Open),
        };
        for cell in &mut self.cells[from.min(to) + 1..from.max(to)] {
            // a line that passes another's head goes on behind it
            if matches!(cell.0, ' ' | '│') {
                *cell = (line, ink);
            }
        }
        self.cells[to] = (head, ink);
    }

    /// The line as text, always [`WIDTH`] wide.
    pub(super) fn text(&self, paint: Paint) -> String {
        let mut text = String::new();
        for run in self.cells.chunk_by(|one, other| one.1 == other.1) {
            let cells: String = run.iter().map(|(cell, _)| *cell).collect();
            text += &match run[0].1 {
                _ if cells.trim().is_empty() => cells,
                Ink::Faint => paint.dim(&cells),
                Ink::Plain => cells,
                Ink::Done => paint.green(&cells),
                Ink::Open => paint.yellow(&cells),
                Ink::Failed => paint.red(&cells),
            };
        }
        text
    }
}

fn column(service: Service) -> usize {
    INSET + STEP * Service::ALL.iter().position(|known| *known == service).unwrap_or_default()
}
