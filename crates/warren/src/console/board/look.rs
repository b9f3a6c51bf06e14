//! Looking, by the clock.

use std::collections::BTreeMap;
use std::time::Duration;

use contracts::event::Service;
use futures_util::future::join_all;
use messaging::inspect::{self, Watch};
use messaging::settings::AmqpUrls;
use messaging::topology::Topology;
use reqwest::{Method, StatusCode};
use tokio::time::{MissedTickBehavior, interval, timeout};

use super::{EVERY, Look, Looked, Plan};
use crate::client::Client;
use crate::client::error::root_cause;
use crate::console::Shared;
use crate::console::figures::Figures;
use crate::queues::{Queues, of_all};
use crate::topology::compare::{Problem, compare};
use crate::topology::management;

/// How long a service or the broker may take to answer. A service takes up to three seconds to count.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(4);

/// The wait between two looks at the bindings, which are a lot to list.
const BINDINGS_EVERY: Duration = Duration::from_secs(20);

/// What the broker's list of connections shows of us.
const CONNECTION_NAME: &str = "warren console";

/// Looks until the program ends.
pub(in crate::console) async fn keep(console: Shared, plan: Plan) {
    let topology = Topology::new(&plan.schedule);
    if let (Some(url), Some(urls)) = (plan.management_url.clone(), plan.broker.clone()) {
        let (console, topology) = (Shared::clone(&console), Topology::new(&plan.schedule));
        tokio::spawn(async move { compare_bindings(&console, &url, &urls, &topology).await });
    }
    let mut watch = None;
    let mut tick = interval(EVERY);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tick.tick().await;
        let services = plan.services.iter().map(|(service, client)| async { (*service, look(client).await) });
        let queues = async {
            match &plan.broker {
                Some(urls) => Some(count(urls, &topology, &mut watch).await),
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
        if error.is_timeout() { "no answer in time".to_owned() } else { root_cause(&error.without_url()) }
    };
    let (status, body) = asked.await.map_err(failed)?;
    body.map(|body| (status, body)).ok_or_else(|| strange(status))
}

/// What is to be said of a proxy's page, or of another program.
fn strange(status: StatusCode) -> String {
    format!("answers {}, not as a service does", status.as_u16())
}

/// Counts over one connection, and over a new one after each error.
async fn count(urls: &AmqpUrls, topology: &Topology, watch: &mut Option<Watch>) -> Result<Queues, String> {
    let asked = async {
        let watch = match watch.as_mut() {
            Some(watch) => watch,
            None => watch.insert(Watch::open(urls, CONNECTION_NAME).await?),
        };
        watch.presence(topology).await
    };
    let found = match timeout(ANSWER_TIMEOUT, asked).await {
        Ok(Ok(found)) => return Ok(of_all(&found.queues)),
        Ok(Err(error)) => Err(error.to_string()),
        Err(_) => Err("no answer in time".to_owned()),
    };
    *watch = None;
    found
}

async fn compare_bindings(console: &Shared, url: &str, urls: &AmqpUrls, topology: &Topology) {
    let Some(account) = inspect::account(urls) else { return };
    let mut tick = interval(BINDINGS_EVERY);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tick.tick().await;
        // where it does not answer, what AMQP says of the broker is told, and nothing that may be mended by now
        let Ok(found) = management::read(url, &account).await else {
            console.board.differ(Vec::new());
            continue;
        };
        let wrong = compare(topology, &found).into_iter().filter(|difference| difference.problem != Problem::LeftOver);
        let told = wrong
            .map(|difference| format!("{} {} is {}", difference.what, difference.name, difference.problem.as_str()));
        console.board.differ(told.collect());
    }
}

#[cfg(test)]
mod tests;
