//! Where operators work: what every action on dead letters needs, whoever asks for it. The commands of `warren dlq` and
//! the console are two doors to this one desk.

use std::env;

use contracts::event::Service;
use messaging::dead_letters::Journal;
use messaging::settings::AmqpUrls;
use serde_json::Value;

use super::progress::Progress;
use super::{PATIENCE, group, select};
use crate::client::Client;
use crate::settings::{self, Settings};

/// Who can be asked what became of a message.
pub(crate) trait Clients: Sync {
    /// That service, called with the operator's token.
    ///
    /// # Errors
    /// For settings that are wrong.
    fn client(&self, service: Service) -> anyhow::Result<Client>;
}

impl Clients for Settings {
    fn client(&self, service: Service) -> anyhow::Result<Client> {
        self.service(service)
    }
}

/// Who acts, as the journal tells it.
#[derive(Debug, Clone)]
pub(crate) struct Operator {
    /// What he calls himself, or what his token calls him.
    pub(crate) name: String,
    /// By which door he came, where that is not the command line.
    pub(crate) via: Option<&'static str>,
}

impl Operator {
    /// Who types: `WARREN_OPERATOR`, else who is logged in.
    ///
    /// # Errors
    /// When the variable's file cannot be read.
    pub(crate) fn at_the_terminal() -> anyhow::Result<Self> {
        let named = settings::variable("WARREN_OPERATOR", None)?;
        let login = || ["SUDO_USER", "USER", "LOGNAME"].into_iter().find_map(|name| env::var(name).ok());
        let name = named.or_else(login).filter(|name| !name.is_empty()).unwrap_or_else(|| "unknown".to_owned());
        Ok(Self { name, via: None })
    }
}

/// The broker, the services, who acts, and where it is told how far things are.
pub(crate) struct Desk<'a> {
    /// The broker.
    pub(crate) urls: AmqpUrls,
    /// The services.
    pub(crate) clients: &'a dyn Clients,
    /// Who acts.
    pub(crate) operator: Operator,
    /// How far the action is.
    pub(crate) progress: &'a Progress,
}

impl<'a> Desk<'a> {
    /// The desk of one command.
    ///
    /// # Errors
    /// [`crate::failure::Usage`] without a broker.
    pub(crate) fn of(settings: &'a Settings, progress: &'a Progress) -> anyhow::Result<Self> {
        Ok(Self { urls: settings.broker()?, clients: settings, operator: Operator::at_the_terminal()?, progress })
    }
}

/// All groups of one service, or of all; looking changes nothing.
///
/// # Errors
/// When the broker cannot be asked.
pub(crate) async fn groups(urls: &AmqpUrls, only: Option<Service>) -> anyhow::Result<group::Groups> {
    let mut groups = group::Groups::default();
    select::look(urls, &super::services(only), |letter| groups.add(&letter)).await?;
    Ok(groups)
}

/// The journal, oldest line first.
///
/// # Errors
/// When the broker cannot be asked.
pub(crate) async fn log(urls: &AmqpUrls) -> anyhow::Result<Vec<Value>> {
    let lines = Journal::read(urls, PATIENCE).await?;
    Ok(lines.iter().filter_map(|line| serde_json::from_slice(line).ok()).collect())
}
