//! The topology seen from outside, by an operator: is it there, and make it.
//!
//! AMQP tells whether an exchange or a queue exists and what a queue holds. It cannot tell arguments and bindings; the
//! broker's management interface does. Looking never creates anything.

use lapin::options::{ExchangeDeclareOptions, QueueDeclareOptions};
use lapin::protocol::{AMQPErrorKind, AMQPSoftError};
use lapin::types::FieldTable;
use lapin::uri::AMQPUri;
use lapin::{Channel, Connection, ErrorKind, ExchangeKind};

use crate::connection::{self, connect};
use crate::settings::AmqpUrls;
use crate::topology::Topology;

/// Why the broker could not be asked, or did not do it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InspectError {
    /// No node can be reached, or none lets us in; trying again may help. The text never holds the address.
    #[error("cannot connect to the broker: {0}; does it run there? (AMQP_URL says where it is)")]
    Unreachable(String),
    /// The broker refuses, in its own words.
    #[error("the broker refuses: {0}")]
    Refused(String),
}

/// What exists of a topology.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Presence {
    /// The names of the exchanges that exist.
    pub exchanges: Vec<String>,
    /// The queues that exist.
    pub queues: Vec<QueueCounts>,
}

/// A queue that exists, and what is in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueueCounts {
    /// Its name.
    pub name: String,
    /// Messages that wait to be delivered; those that are delivered and not acknowledged are not counted.
    pub messages: u32,
    /// Its consumers.
    pub consumers: u32,
}

/// As whom, and where on the broker, the addresses connect: what its management interface asks for as well.
#[derive(Clone, PartialEq, Eq)]
pub struct Account {
    /// The user.
    pub user: String,
    /// The password.
    pub password: String,
    /// The virtual host.
    pub vhost: String,
}

/// The account in the first of the addresses.
pub fn account(urls: &AmqpUrls) -> Option<Account> {
    let uri: AMQPUri = urls.all().first()?.parse().ok()?;
    let userinfo = uri.authority.userinfo;
    Some(Account { user: userinfo.username, password: userinfo.password, vhost: uri.vhost })
}

/// Declares the whole topology. What is there already stays as it is; `name` is what the broker's list of connections
/// shows.
///
/// # Errors
/// [`InspectError::Refused`] where something is there with other arguments, or the user may not configure.
pub async fn apply(urls: &AmqpUrls, name: &str, topology: &Topology) -> Result<(), InspectError> {
    let connection = connect_any(urls, name).await?;
    let channel = connection.create_channel().await.map_err(refused)?;
    let declared = topology.declare(&channel).await.map_err(refused);
    let _ = connection.close(200, "done".into()).await;
    declared
}

/// What exists of the topology, found by passive declarations.
///
/// # Errors
/// When the broker cannot be asked. On RabbitMQ 4.3.0 that includes a user without the right to configure.
pub async fn presence(urls: &AmqpUrls, name: &str, topology: &Topology) -> Result<Presence, InspectError> {
    let mut watch = Watch::open(urls, name).await?;
    let found = watch.presence(topology).await;
    let _ = watch.connection.close(200, "done".into()).await;
    found
}

/// Asks again and again, over one connection.
#[derive(Debug)]
pub struct Watch {
    connection: Connection,
    channel: Option<Channel>,
}

impl Watch {
    /// Connects; `name` is what the broker's list of connections shows.
    ///
    /// # Errors
    /// When no node can be reached.
    pub async fn open(urls: &AmqpUrls, name: &str) -> Result<Self, InspectError> {
        Ok(Self { connection: connect_any(urls, name).await?, channel: None })
    }

    /// As [`presence`]. After an error the connection is not to be used any more.
    ///
    /// # Errors
    /// When the broker cannot be asked.
    pub async fn presence(&mut self, topology: &Topology) -> Result<Presence, InspectError> {
        Asker { connection: &self.connection, channel: &mut self.channel }.ask_all(topology).await
    }
}

/// Whether every node takes a connection and then says nothing, or does not even that. Who asks again and again asks this
/// first after an attempt without an answer, since such an attempt leaves a thread behind until the node goes on.
pub async fn is_silent(urls: &AmqpUrls) -> bool {
    for url in urls.all() {
        if !connection::is_silent(url).await {
            return false;
        }
    }
    true
}

pub(crate) async fn connect_any(urls: &AmqpUrls, name: &str) -> Result<Connection, InspectError> {
    let mut last = String::new();
    for url in urls.all() {
        match connect(url, name).await {
            Ok(connection) => return Ok(connection),
            Err(error) => last = error,
        }
    }
    Err(InspectError::Unreachable(last))
}

/// Asks on one channel, and on a new one after each "not found", which closes a channel.
struct Asker<'a> {
    connection: &'a Connection,
    channel: &'a mut Option<Channel>,
}

impl Asker<'_> {
    async fn ask_all(&mut self, topology: &Topology) -> Result<Presence, InspectError> {
        let mut presence = Presence::default();
        for exchange in &topology.exchanges {
            let channel = self.channel().await?;
            let options = ExchangeDeclareOptions { passive: true, ..Default::default() };
            // the broker ignores the kind of a passive declaration
            let kind = ExchangeKind::Custom(exchange.kind.as_str().to_owned());
            let answer =
                channel.exchange_declare(exchange.name.as_str().into(), kind, options, FieldTable::default()).await;
            if self.found(answer)?.is_some() {
                presence.exchanges.push(exchange.name.clone());
            }
        }
        for queue in &topology.queues {
            let channel = self.channel().await?;
            let options = QueueDeclareOptions { passive: true, ..Default::default() };
            let answer = channel.queue_declare(queue.name.as_str().into(), options, FieldTable::default()).await;
            if let Some(counts) = self.found(answer)? {
                let (messages, consumers) = (counts.message_count(), counts.consumer_count());
                presence.queues.push(QueueCounts { name: queue.name.clone(), messages, consumers });
            }
        }
        Ok(presence)
    }

    async fn channel(&mut self) -> Result<Channel, InspectError> {
        if let Some(channel) = self.channel.as_ref() {
            return Ok(channel.clone());
        }
        let channel = self.connection.create_channel().await.map_err(refused)?;
        Ok(self.channel.insert(channel).clone())
    }

    /// The answer, or none where there is no such thing.
    fn found<T>(&mut self, answer: lapin::Result<T>) -> Result<Option<T>, InspectError> {
        match answer {
            Ok(found) => Ok(Some(found)),
            Err(error) if is_not_found(&error) => {
                *self.channel = None;
                Ok(None)
            }
            Err(error) => Err(refused(error)),
        }
    }
}

pub(crate) fn is_not_found(error: &lapin::Error) -> bool {
    // A queue whose members are all down is "not found" too, with other words. It exists, so it is an error to tell.
    matches!(error.kind(), ErrorKind::ProtocolError(amqp)
        if *amqp.kind() == AMQPErrorKind::Soft(AMQPSoftError::NOTFOUND) && amqp.get_message().as_str().contains("- no "))
}

pub(crate) fn refused(error: lapin::Error) -> InspectError {
    match error.kind() {
        ErrorKind::ProtocolError(amqp) => InspectError::Refused(amqp.get_message().to_string()),
        _ => InspectError::Unreachable(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_holds_the_account() {
        let urls: AmqpUrls = "amqp://ad%40min:s%2Fcret@host:5673/%2Fshop?heartbeat=5,amqp://other".parse().unwrap();
        let account = account(&urls).unwrap();
        assert_eq!(
            (account.user.as_str(), account.password.as_str(), account.vhost.as_str()),
            ("ad@min", "s/cret", "/shop")
        );
        let plain = super::account(&"amqp://host".parse().unwrap()).unwrap();
        assert_eq!((plain.user.as_str(), plain.vhost.as_str()), ("guest", "/"));
    }
}
