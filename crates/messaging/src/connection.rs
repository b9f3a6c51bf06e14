//! One connection to the broker, kept by one loop: connect, use, and when anything fails, close, back off, start over.
//!
//! lapin can recover connections by itself; it is not used. A channel that the broker closes stays dead in that mode, and
//! an outage beyond its patience ends in silence. Here every failure takes the same way, and every wait has a limit.

use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use lapin::uri::AMQPUri;
use lapin::{Connection, ConnectionProperties, Event};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::{Notify, watch};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::settings::AmqpUrls;

/// How long a TCP connect and the AMQP handshake may take together.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// How long an orderly close may take; a blocked connection cannot even say goodbye.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);

/// The heartbeat, in seconds: a dead peer is noticed after twice that. RabbitMQ recommends 5 to 20.
const HEARTBEAT_SECONDS: u16 = 10;

/// The largest frame, in bytes: RabbitMQ's own default. Where it is known from the start, lapin takes its buffers of 64 frames
/// as fresh pages, of which only those that are ever written to cost memory; else it makes them larger later, and clears
/// all of their 8 MiB. It must not be smaller: a message whose headers do not fit one frame ends the connection.
const FRAME_BYTES: u32 = 128 * 1024;

/// The first and the longest wait before connecting again.
const BACKOFF: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(5));

/// A live connection. Whoever finds it broken says so by [`Session::fail`], and waits for the next one.
#[derive(Debug, Clone)]
pub struct Session {
    connection: Arc<Connection>,
    failed: Arc<Notify>,
}

impl Session {
    /// A connection that nobody keeps: whoever made it makes another when it fails.
    pub(crate) fn alone(connection: Connection) -> Self {
        Self { connection: Arc::new(connection), failed: Arc::new(Notify::new()) }
    }

    /// The connection, for opening channels.
    pub fn connection(&self) -> &Connection {
        &self.connection
    }

    /// Whether the broker has stopped reading from this connection (memory or disk alarm). Publishing would wait in
    /// memory, and be sent later even if the caller had long given up.
    pub fn is_blocked(&self) -> bool {
        self.connection.status().blocked()
    }

    /// Whether it still stands.
    pub fn is_connected(&self) -> bool {
        self.connection.status().connected()
    }

    /// Gives this connection up: something on it timed out or was closed.
    pub fn fail(&self) {
        self.failed.notify_one();
    }
}

/// Keeps one connection alive and hands it out.
#[derive(Debug)]
pub struct Link {
    urls: AmqpUrls,
    name: String,
    current: watch::Sender<Option<Session>>,
}

impl Link {
    /// A link that is not connected yet; `name` is what the broker's list of connections shows.
    pub fn new(urls: AmqpUrls, name: String) -> Arc<Self> {
        Arc::new(Self { urls, name, current: watch::Sender::new(None) })
    }

    /// The current connection, or the next one.
    pub async fn session(&self) -> Session {
        let mut current = self.current.subscribe();
        loop {
            if let Some(session) = current.borrow_and_update().clone() {
                return session;
            }
            if current.changed().await.is_err() {
                // the sender lives in self, so this cannot happen; waiting for ever is then the truth
                std::future::pending::<()>().await;
            }
        }
    }

    /// Whether there is a connection right now that the broker reads from.
    ///
    /// # Errors
    /// What is wrong, in a word or two.
    pub fn state(&self) -> Result<(), &'static str> {
        match &*self.current.borrow() {
            None => Err("not connected"),
            Some(session) if session.is_blocked() => Err("blocked by an alarm of the broker"),
            Some(_) => Ok(()),
        }
    }

    /// The current connection, if there is one, and every change of it.
    pub(crate) fn watch(&self) -> watch::Receiver<Option<Session>> {
        self.current.subscribe()
    }

    /// Keeps the connection until `shutdown`. The first failure of a series is logged, and the recovery.
    pub async fn keep(&self, shutdown: CancellationToken) {
        let mut backoff = BACKOFF.0;
        let (mut complained, mut silent) = (false, false);
        while !shutdown.is_cancelled() {
            match shutdown.run_until_cancelled(self.connect(&mut silent)).await {
                None => break,
                Some(Ok(connection)) => {
                    if complained {
                        info!(connection = self.name, "broker is back");
                    }
                    (backoff, complained) = (BACKOFF.0, false);
                    self.hold(connection, &shutdown).await;
                }
                Some(Err(error)) => {
                    if !complained {
                        warn!(connection = self.name, %error, "broker is away; waiting for it");
                        complained = true;
                    }
                }
            }
            shutdown.run_until_cancelled(tokio::time::sleep(backoff)).await;
            backoff = (backoff * 2).min(BACKOFF.1);
        }
    }

    /// Tries all nodes. `silent` is whether one of them took a connection and did not answer, the last time.
    async fn connect(&self, silent: &mut bool) -> Result<Connection, ConnectError> {
        let wary = std::mem::take(silent);
        let mut last = ConnectError::Failed("no address".to_owned());
        for url in self.urls.all() {
            let connected = match wary && is_silent(url).await {
                true => Err(ConnectError::Silent),
                false => try_connect(url, &self.name).await,
            };
            match connected {
                Ok(connection) => return Ok(connection),
                Err(error) => last = error,
            }
            *silent |= matches!(last, ConnectError::Silent);
        }
        Err(last)
    }

    /// Hands the connection out until it ends, somebody gives it up, or the process stops.
    async fn hold(&self, connection: Connection, shutdown: &CancellationToken) {
        let mut events = std::pin::pin!(connection.events_listener());
        let session = Session::alone(connection);
        self.current.send_replace(Some(session.clone()));
        let mut alive = tokio::time::interval(Duration::from_secs(1));
        loop {
            tokio::select! {
                () = shutdown.cancelled() => break,
                () = session.failed.notified() => break,
                _ = alive.tick() => if !session.is_connected() { break },
                event = events.next() => match event {
                    None | Some(Event::Error(_)) => break,
                    Some(Event::ConnectionBlocked(reason)) => warn!(connection = self.name, reason, "broker is blocked"),
                    Some(Event::ConnectionUnblocked) => info!(connection = self.name, "broker is not blocked any more"),
                    Some(_) => {}
                },
            }
        }
        self.current.send_replace(None);
        if !shutdown.is_cancelled() {
            warn!(connection = self.name, "broker connection lost");
        }
        // Closing also wakes whoever still waits on one of its channels; a blocked connection cannot say goodbye.
        let _ = timeout(CLOSE_TIMEOUT, session.connection.close(200, "closing".into())).await;
    }
}

/// Why there is no connection. The texts do not hold the address, which may hold a password.
#[derive(Debug, thiserror::Error)]
enum ConnectError {
    #[error("no answer within {} s", CONNECT_TIMEOUT.as_secs())]
    Silent,
    #[error("{0}")]
    Failed(String),
}

/// Connects once.
///
/// # Errors
/// A text without the address, which may hold a password.
pub async fn connect(url: &str, name: &str) -> Result<Connection, String> {
    try_connect(url, name).await.map_err(|error| error.to_string())
}

async fn try_connect(url: &str, name: &str) -> Result<Connection, ConnectError> {
    let separator = if url.contains('?') { '&' } else { '?' };
    // what the operator has put there stands before these, and counts
    let url = format!("{url}{separator}heartbeat={HEARTBEAT_SECONDS}&frame_max={FRAME_BYTES}");
    let properties = ConnectionProperties::default().with_connection_name(name.into());
    match timeout(CONNECT_TIMEOUT, Connection::connect(&url, properties)).await {
        Ok(connected) => connected.map_err(|error| ConnectError::Failed(error.to_string())),
        Err(_) => Err(ConnectError::Silent),
    }
}

/// Whether a node takes a connection and then says nothing, such as a frozen process. lapin's thread of such an attempt
/// stays until the node wakes up or goes away, so after the first one the node is asked with a plain socket first. Anything that
/// it answers to the greeting will do, even a closed connection or a TLS alert.
pub(crate) async fn is_silent(url: &str) -> bool {
    let Ok(AMQPUri { authority, .. }) = url.parse() else { return false };
    let greet = async {
        let mut stream = TcpStream::connect((authority.host.as_str(), authority.port)).await?;
        stream.write_all(b"AMQP\0\0\x09\x01").await?;
        stream.read(&mut [0]).await
    };
    timeout(CONNECT_TIMEOUT, greet).await.is_err()
}
