//! What will go wrong, and when: drawn from a seed before anything starts.

use std::fmt;
use std::time::Duration;

use crate::service::SERVICES;

/// Random numbers that are the same again for the same seed: SplitMix64 (Steele, Lea and Flood, 2014).
#[derive(Debug, Clone)]
pub struct Dice(u64);

impl Dice {
    /// The dice of a seed.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next number.
    pub fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut number = self.0;
        number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        number ^ (number >> 31)
    }

    /// A number below `bound`, which is not 0.
    pub fn below(&mut self, bound: u64) -> u64 {
        self.roll() % bound
    }

    /// One of these.
    pub fn pick<T: Copy>(&mut self, of: &[T]) -> T {
        of[usize::try_from(self.below(of.len() as u64)).unwrap_or(0)]
    }

    /// A time between these, in milliseconds.
    pub fn time(&mut self, from: u64, to: u64) -> Duration {
        Duration::from_millis(from + self.below(to - from))
    }
}

/// Something that goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// SIGKILL to a copy of a service, which is started again after that time.
    Kill(&'static str, Twin, Duration),
    /// SIGSTOP to a copy of a service, and SIGCONT after that time.
    Freeze(&'static str, Twin, Duration),
    /// SIGTERM to a copy of a service, and a start.
    Restart(&'static str, Twin),
    /// The broker stops in order, and comes back after that time.
    BrokerStops(Duration),
    /// The broker is killed, and comes back after that time.
    BrokerCrashes(Duration),
    /// The broker has no memory left: it blocks whoever publishes.
    BrokerAlarm(Duration),
    /// The database stops in order, and comes back after that time.
    DatabaseStops(Duration),
    /// The database is killed, and comes back after that time.
    DatabaseCrashes(Duration),
    /// Connections are closed, and new ones too, for that time.
    Cut(Server, Duration),
    /// Connections stay, and carry nothing, for that time.
    Silence(Server, Duration),
    /// The broker closes all connections.
    Disconnect,
    /// Messages that wait in a service's queue change places.
    Shuffle(&'static str),
    /// Messages that a service had already come again, in another order.
    Repeat(&'static str),
}

/// Which process of a service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Twin {
    /// The first.
    First,
    /// The second.
    Second,
}

/// A server on the way to which something happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Server {
    /// RabbitMQ.
    Broker,
    /// PostgreSQL.
    Database,
}

/// Two lanes of faults: those of processes, and those of servers, network and messages. Within a lane one follows the other,
/// the lanes overlap.
#[derive(Debug, Clone)]
pub struct Schedule {
    /// When each fault begins, from the start.
    pub lanes: [Vec<(Duration, Fault)>; 2],
}

impl Schedule {
    /// The schedule of a seed.
    pub fn of(seed: u64, duration: Duration) -> Self {
        let mut dice = Dice::new(seed);
        let processes = lane(&mut dice, duration, of_processes);
        let others = lane(&mut dice, duration, of_others);
        Self { lanes: [processes, others] }
    }
}

fn lane(dice: &mut Dice, duration: Duration, draw: impl Fn(&mut Dice) -> Fault) -> Vec<(Duration, Fault)> {
    let mut faults = Vec::new();
    let mut at = dice.time(500, 2500);
    while at < duration {
        let fault = draw(dice);
        faults.push((at, fault));
        at += fault.lasts() + dice.time(400, 2500);
    }
    faults
}

fn of_processes(dice: &mut Dice) -> Fault {
    let service = dice.pick(&SERVICES);
    let copy = dice.pick(&[Twin::First, Twin::Second]);
    match dice.below(10) {
        0..5 => Fault::Kill(service, copy, dice.time(0, 1500)),
        5..8 => Fault::Freeze(service, copy, dice.time(200, 6000)),
        _ => Fault::Restart(service, copy),
    }
}

fn of_others(dice: &mut Dice) -> Fault {
    let server = dice.pick(&[Server::Broker, Server::Database]);
    let queue = dice.pick(&SERVICES);
    match dice.below(16) {
        0 => Fault::BrokerStops(dice.time(0, 2000)),
        1 => Fault::BrokerCrashes(dice.time(0, 2000)),
        2 | 3 => Fault::BrokerAlarm(dice.time(500, 4000)),
        4 => Fault::DatabaseStops(dice.time(0, 2000)),
        5 => Fault::DatabaseCrashes(dice.time(0, 2000)),
        6 | 7 => Fault::Cut(server, dice.time(100, 3000)),
        8 | 9 => Fault::Silence(server, dice.time(200, 6000)),
        10 | 11 => Fault::Disconnect,
        12 | 13 => Fault::Shuffle(queue),
        _ => Fault::Repeat(queue),
    }
}

impl Fault {
    fn lasts(self) -> Duration {
        match self {
            Self::Kill(.., time)
            | Self::Freeze(.., time)
            | Self::BrokerStops(time)
            | Self::BrokerCrashes(time)
            | Self::BrokerAlarm(time)
            | Self::DatabaseStops(time)
            | Self::DatabaseCrashes(time)
            | Self::Cut(_, time)
            | Self::Silence(_, time) => time,
            Self::Restart(..) | Self::Disconnect | Self::Shuffle(_) | Self::Repeat(_) => Duration::ZERO,
        }
    }
}

impl fmt::Display for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut all: Vec<_> = self.lanes.iter().flatten().collect();
        all.sort_by_key(|(at, _)| *at);
        all.iter().try_for_each(|(at, fault)| writeln!(f, "  {:7.3} s  {fault:?}", at.as_secs_f64()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_repeats_its_schedule_and_another_has_another() {
        let minute = Duration::from_mins(1);
        let shown = |seed| Schedule::of(seed, minute).to_string();
        assert_eq!(shown(1), shown(1));
        assert_ne!(shown(1), shown(2));
        assert!(shown(1).lines().count() > 10, "{}", shown(1));
    }
}
