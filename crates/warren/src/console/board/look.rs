//! Looking, by the clock.

use std::collections::BTreeMap;
use std::time::Duration;

use contracts::event::Service;
use futures_util::future::join_all;
use messaging::inspect::{self, Watch};
use messaging::settings::AmqpUrls;
use messaging::topology::Topology;
use reqwest::{Method, StatusCode};
use tokio::time::{MissedTickBehavior, interval, sleep, timeout};

use super::{EVERY, Look, Looked, Plan};
use crate::client::Client;
use crate::client::error::root_cause;
use crate::console::figures::Figures;
use crate::console::wrong::{Mismatch, Setup};
use crate::console::{Console, Shared};
use crate::queues::{Queues, of_all};
use crate::topology::compare::{Difference, Problem, compare};
use crate::topology::found::Found;
use crate::topology::management;

/// How long a service or the broker may take to answer. A service takes up to three seconds to count.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(4);

/// The wait between two looks at bindings and policies, which are a lot to list.
const SETUP_EVERY: Duration = Duration::from_secs(10);

/// The wait before the next one where something differs.
const AGAIN: Duration = Duration::from_secs(5);

/// What is said of who gives none.
const NO_ANSWER: &str = "no answer in time";

/// What the broker's list of connections shows of us.
const CONNECTION_NAME: &str = "warren console";

/// Looks until the program ends.
pub(in crate::console) async fn keep(console: Shared, plan: Plan) {
    let topology = Topology::new(&plan.schedule);
    if let (Some(url), Some(urls)) = (plan.management_url.clone(), plan.broker.clone()) {
        let (console, topology) = (Shared::clone(&console), Topology::new(&plan.schedule));
        tokio::spawn(async move { keep_setup(&console, &url, &urls, &topology).await });
    }
    let mut broker = Broker::default();
    let mut tick = interval(EVERY);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tick.tick().await;
        let services = plan.services.iter().map(|(service, client)| async { (*service, look(client).await) });
        let queues = async {
            match &plan.broker {
                Some(urls) => Some(broker.count(urls, &topology).await),
                None => None,
            }
        };
        let (services, queues) = tokio::join!(join_all(services), queues);
        console.board.note(Look { services: services.into_iter().collect::<BTreeMap<Service, Looked>>(), queues });
    }
}

async fn look(client: &Client) -> Looked {
    let metrics = fetch(client, "/metrics", &[StatusCode::OK]);
    let readiness = fetch(client, "/readyz", &[StatusCode::OK, StatusCode::SERVICE_UNAVAILABLE]);
    match tokio::join!(metrics, readiness) {
        (Ok((_, metrics)), Ok((status, readiness))) => match Figures::read(&metrics, &readiness) {
            Some(figures) => Looked::Answers(Box::new(figures)),
            None => Looked::Silent(strange(status)),
        },
        (Err(why), _) | (_, Err(why)) => Looked::Silent(why),
    }
}

/// An answer with one of those statuses; else why there is none, in words for everybody who is signed in: without the
/// address, which may hold a password.
async fn fetch(client: &Client, path: &str, expected: &[StatusCode]) -> Result<(StatusCode, String), String> {
    let asked = async {
        let answer = client.request(Method::GET, path).timeout(ANSWER_TIMEOUT).send().await?;
        let status = answer.status();
        // a page of something else may be long
        let body = if expected.contains(&status) { Some(answer.text().await?) } else { None };
        Ok((status, body))
    };
    let failed = |error: reqwest::Error| {
        if error.is_timeout() { NO_ANSWER.to_owned() } else { root_cause(&error.without_url()) }
    };
    let (status, body) = asked.await.map_err(failed)?;
    body.map(|body| (status, body)).ok_or_else(|| strange(status))
}

/// What is to be said of a proxy's page, or of another program.
fn strange(status: StatusCode) -> String {
    format!("answers {}, not as a service does", status.as_u16())
}

/// Counts over one connection, and over a new one after each error.
#[derive(Default)]
struct Broker {
    watch: Option<Watch>,
    /// Whether it gave no answer the last time.
    silent: bool,
}

impl Broker {
    async fn count(&mut self, urls: &AmqpUrls, topology: &Topology) -> Result<Queues, String> {
        let Self { watch, silent } = self;
        let asked = async {
            if *silent && inspect::is_silent(urls).await {
                return Err(NO_ANSWER.to_owned());
            }
            *silent = false;
            let watch = match watch.as_mut() {
                Some(watch) => watch,
                None => watch.insert(Watch::open(urls, CONNECTION_NAME).await.map_err(|error| error.to_string())?),
            };
            watch.presence(topology).await.map_err(|error| error.to_string())
        };
        let found = timeout(ANSWER_TIMEOUT, asked).await;
        self.silent |= found.is_err();
        match found.unwrap_or_else(|_| Err(NO_ANSWER.to_owned())) {
            Ok(found) => Ok(of_all(&found.queues)),
            Err(why) => {
                self.watch = None;
                Err(why)
            }
        }
    }
}

async fn keep_setup(console: &Console, url: &str, urls: &AmqpUrls, topology: &Topology) {
    let Some(account) = inspect::account(urls) else { return };
    let mut before = Vec::new();
    loop {
        // where it does not answer, what AMQP says of the broker is told, and nothing that may be mended by now
        let found = management::read(url, &account).await;
        let mut setup = found.map(|found| setup(topology, &found)).unwrap_or_default();
        let pause = if setup.mismatches.is_empty() { SETUP_EVERY } else { AGAIN };
        // services that start make what is missing: what is there a moment later was nothing wrong
        let seen = std::mem::replace(&mut before, setup.mismatches.clone());
        setup.mismatches.retain(|mismatch| seen.contains(mismatch));
        console.board.set_up(setup);
        sleep(pause).await;
    }
}

fn setup(topology: &Topology, found: &Found) -> Setup {
    let wrong = compare(topology, found).into_iter().filter(|difference| difference.problem != Problem::LeftOver);
    let limit = |service: Service| Some((service, found.queues.get(service.name())?.limit?));
    Setup { mismatches: wrong.map(mismatch).collect(), limits: Service::ALL.into_iter().filter_map(limit).collect() }
}

fn mismatch(difference: Difference) -> Mismatch {
    let Difference { what, name, problem, binding, .. } = difference;
    let lost = binding.filter(|binding| problem == Problem::Missing && Service::named(&binding.queue).is_some());
    Mismatch {
        told: format!("{what} {name} is {}", problem.as_str()),
        lost: lost.map(|binding| (binding.key, binding.queue)),
    }
}

#[cfg(test)]
mod tests;
