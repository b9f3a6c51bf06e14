//! Connections to the mail server: made when they are needed, kept for the next mail, given back when nobody needs them.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use lettre::transport::smtp::Error;
use lettre::transport::smtp::authentication::{Credentials, DEFAULT_MECHANISMS};
use lettre::transport::smtp::client::{AsyncSmtpConnection, TlsParameters};
use lettre::transport::smtp::commands::Noop;
use lettre::transport::smtp::extension::ClientId;
use tokio::time::timeout;

use super::Timeouts;
use super::command::ask;
use crate::transport::reply::Reply;
use crate::transport::target::{Security, Server};

/// A connection that was used this recently is taken as alive. One that is not shows it at its next command, before the
/// server can have the mail.
const TRUSTED_IDLE: Duration = Duration::from_secs(2);

/// A connection that nobody needed for so long is given back to the server.
const MOST_IDLE: Duration = Duration::from_secs(30);

/// How long taking leave may take.
const QUIT_TIMEOUT: Duration = Duration::from_secs(1);

/// The connections to one server that are free, and how to make more.
pub(super) struct Connections {
    server: Server,
    tls: Option<TlsParameters>,
    hello: ClientId,
    timeouts: Timeouts,
    idle: Mutex<Vec<Idle>>,
}

struct Idle {
    connection: AsyncSmtpConnection,
    since: Instant,
}

impl Connections {
    /// None yet. The error is a line for the operator: the system's certificates cannot be read.
    pub(super) fn new(server: Server, timeouts: Timeouts) -> Result<Self, String> {
        let tls = match server.security {
            Security::None => None,
            Security::Tls | Security::StartTls => {
                let parameters = TlsParameters::new(server.host.clone());
                Some(parameters.map_err(|error| format!("TLS to the mail server cannot be set up: {error}"))?)
            }
        };
        Ok(Self { server, tls, hello: ClientId::default(), timeouts, idle: Mutex::default() })
    }

    /// Whose they are.
    pub(super) fn server(&self) -> &Server {
        &self.server
    }

    /// A connection that is ready for a mail, and whether it is a new one. The one used last goes first, so that those
    /// that are too many grow old.
    pub(super) async fn take(&self) -> Result<(AsyncSmtpConnection, bool), String> {
        loop {
            let kept = self.idle().pop();
            let Some(mut kept) = kept else {
                return self.connect().await.map(|connection| (connection, true));
            };
            if kept.since.elapsed() < TRUSTED_IDLE || self.is_alive(&mut kept.connection).await {
                return Ok((kept.connection, false));
            }
        }
    }

    /// Keeps a connection for the next mail.
    pub(super) fn keep(&self, connection: AsyncSmtpConnection) {
        self.idle().push(Idle { connection, since: Instant::now() });
    }

    /// Whether the server takes connections: asks a kept one, else makes one.
    pub(super) async fn check(&self) -> Result<(), String> {
        let (mut connection, is_new) = self.take().await?;
        if !is_new && !self.is_alive(&mut connection).await {
            connection = self.connect().await?;
        }
        self.keep(connection);
        Ok(())
    }

    /// Closes those that nobody needed lately.
    pub(super) async fn tidy(&self) {
        self.quit(|idle| idle.since.elapsed() > MOST_IDLE).await;
    }

    /// Closes all that are free.
    pub(super) async fn close(&self) {
        self.quit(|_| true).await;
    }

    async fn quit(&self, which: impl Fn(&Idle) -> bool) {
        let mut leaving: Vec<Idle> = self.idle().extract_if(.., |idle| which(idle)).collect();
        let goodbyes = leaving.iter_mut().map(|idle| timeout(QUIT_TIMEOUT, idle.connection.quit()));
        // A server that does not answer is left without a word.
        futures_util::future::join_all(goodbyes).await;
    }

    async fn is_alive(&self, connection: &mut AsyncSmtpConnection) -> bool {
        ask(connection, Noop, "NOOP", self.timeouts.command).await.is_ok()
    }

    async fn connect(&self) -> Result<AsyncSmtpConnection, String> {
        let within = self.timeouts.connect;
        match timeout(within, self.connect_and_log_in()).await {
            Ok(Ok(connection)) => Ok(connection),
            Ok(Err(error)) => Err(match Reply::of(&error) {
                Some(reply) => reply.describe("connecting"),
                // Nothing of a mail was said yet, so the text is the network's or the certificate's.
                None => error.to_string(),
            }),
            Err(_) => Err(format!("no connection within {within:?}")),
        }
    }

    async fn connect_and_log_in(&self) -> Result<AsyncSmtpConnection, Error> {
        let Server { host, port, security, login } = &self.server;
        let immediate = self.tls.clone().filter(|_| *security == Security::Tls);
        let address = (host.as_str(), *port);
        let mut connection = AsyncSmtpConnection::connect_tokio1(address, None, &self.hello, immediate, None).await?;
        if let Some(tls) = self.tls.clone().filter(|_| *security == Security::StartTls) {
            connection.starttls(tls, &self.hello).await?;
        }
        if let Some((user, password)) = login.clone() {
            connection.auth(DEFAULT_MECHANISMS, &Credentials::new(user, password)).await?;
        }
        Ok(connection)
    }

    fn idle(&self) -> MutexGuard<'_, Vec<Idle>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
