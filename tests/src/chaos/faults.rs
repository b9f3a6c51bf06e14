//! How faults are done, and undone.

use std::sync::Arc;
use std::time::Instant;

use crate::broker::Message;
use crate::infrastructure::Server as Infrastructure;
use crate::proxy::Proxy;
use crate::service::{SERVICES, Service};
use crate::system::System;
use crate::waiting::until;

use super::schedule::{Dice, Fault, Schedule, Server, Twin};

/// How many messages are moved or repeated at a time.
const HANDFUL: usize = 20;

/// Who does it.
#[derive(Debug)]
pub struct Saboteur<'a> {
    system: &'a System,
    copies: &'a [Arc<Service>],
}

impl<'a> Saboteur<'a> {
    /// Against a system and the second copies of its services, in the order of [`SERVICES`].
    pub fn new(system: &'a System, copies: &'a [Arc<Service>]) -> Self {
        Self { system, copies }
    }

    /// Does all of it, each at its time, or as soon as the one before it is over.
    pub async fn perform(&self, schedule: &Schedule) {
        let began = Instant::now();
        let [processes, others] = &schedule.lanes;
        let lane = async |faults: &[(std::time::Duration, Fault)]| {
            for (number, (at, fault)) in faults.iter().enumerate() {
                until(began + *at).await;
                self.act(*fault, number as u64).await;
            }
        };
        tokio::join!(lane(processes), lane(others));
    }

    /// Undoes what may be left, and waits until every process is ready.
    pub async fn heal(&self) {
        self.system.proxies().broker.mend();
        self.system.proxies().database.mend();
        for service in self.all() {
            service.thaw();
            if service.ended().is_some() {
                service.kill().await;
                panic!("{} ended by itself", service.name);
            }
        }
        for service in self.all() {
            service.ready().await;
        }
    }

    fn all(&self) -> impl Iterator<Item = &Service> {
        let originals = SERVICES.into_iter().map(|name| self.system.service(name));
        originals.chain(self.copies.iter().map(AsRef::as_ref))
    }

    fn process(&self, name: &str, copy: Twin) -> &Service {
        match copy {
            Twin::First => self.system.service(name),
            Twin::Second => self.copies.iter().find(|service| service.name == name).expect("each has a second copy"),
        }
    }

    fn way(&self, server: Server) -> &Proxy {
        match server {
            Server::Broker => &self.system.proxies().broker,
            Server::Database => &self.system.proxies().database,
        }
    }

    async fn act(&self, fault: Fault, number: u64) {
        // Whoever sends mails can be stopped by any of these before it has recorded what it was told.
        if !matches!(fault, Fault::Shuffle(_) | Fault::Repeat(_)) {
            self.system.allow_repeated_mails();
        }
        let rest = |time| until(Instant::now() + time);
        match fault {
            Fault::Kill(name, copy, time) => {
                let process = self.process(name, copy);
                process.kill().await;
                rest(time).await;
                process.start_and_hear().await;
            }
            Fault::Freeze(name, copy, time) => {
                let process = self.process(name, copy);
                process.freeze();
                rest(time).await;
                process.thaw();
            }
            Fault::Restart(name, copy) => {
                let process = self.process(name, copy);
                process.stop().await;
                process.start_and_hear().await;
            }
            Fault::BrokerStops(time) => outage(Infrastructure::Broker.stop().await, time).await,
            Fault::BrokerCrashes(time) => outage(Infrastructure::Broker.kill().await, time).await,
            Fault::DatabaseStops(time) => outage(Infrastructure::Database.stop().await, time).await,
            Fault::DatabaseCrashes(time) => {
                // It forgets what it has counted.
                self.system.assert_no_deadlock().await;
                outage(Infrastructure::Database.kill().await, time).await;
            }
            Fault::BrokerAlarm(time) => {
                Infrastructure::Broker.alarm().await;
                rest(time).await;
                Infrastructure::Broker.calm().await;
            }
            Fault::Cut(server, time) => {
                self.way(server).cut();
                rest(time).await;
                self.way(server).mend();
            }
            Fault::Silence(server, time) => {
                self.way(server).silence();
                rest(time).await;
                self.way(server).mend();
            }
            Fault::Disconnect => self.system.broker.close_connections().await,
            Fault::Shuffle(queue) => self.shuffle(queue, number).await,
            Fault::Repeat(service) => self.repeat(service, number).await,
        }
    }

    /// Takes messages from the front of a queue and puts them back at its end, in another order.
    async fn shuffle(&self, queue: &str, number: u64) {
        let mut dice = Dice::new(number);
        self.system.broker.requeue(queue, HANDFUL, |messages| mix(messages, &mut dice)).await;
    }

    /// Sends events that a service had long ago once more, latest first and in a mess.
    async fn repeat(&self, service: &str, number: u64) {
        let mut dice = Dice::new(number);
        let mut messages: Vec<Message> =
            self.system.latest_events_to(service, HANDFUL).await.iter().map(Message::event).collect();
        mix(&mut messages, &mut dice);
        self.system.broker.put(service, &messages).await;
    }
}

async fn outage(outage: crate::infrastructure::Outage, time: std::time::Duration) {
    until(Instant::now() + time).await;
    outage.end().await;
}

/// Fisher and Yates.
fn mix<T>(items: &mut [T], dice: &mut Dice) {
    for index in (1..items.len()).rev() {
        let other = usize::try_from(dice.below(index as u64 + 1)).unwrap_or(0);
        items.swap(index, other);
    }
}
