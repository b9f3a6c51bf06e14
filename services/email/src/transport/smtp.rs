//! Mails to a mail server (RFC 5321), over connections that are kept.
//!
//! The commands of a mail are driven one by one, since the ending depends on how far it came. Before the end of the
//! message is written the server cannot have the mail, whatever breaks, and it may go again over another connection.
//! From there on only the server's answer tells (RFC 1047).

mod command;
mod connections;

use std::fmt;
use std::time::Duration;

use lettre::transport::smtp::client::AsyncSmtpConnection;
use lettre::transport::smtp::commands::{Data, Mail, Rcpt, Rset};
use lettre::transport::smtp::extension::{Extension, MailParameter};
use lettre::transport::smtp::response::{Response, Severity};

use super::reply::Reply;
use super::target::Server;
use super::{Answer, Letter};
use command::{Failure, Message, ask};
use connections::Connections;

/// How long to wait for the server. RFC 5321, section 4.5.3.2, asks for minutes everywhere, for servers of the eighties
/// on lines of the eighties; who waits that long here keeps a mail claimed, and a stop waiting.
#[derive(Debug, Clone, Copy)]
pub struct Timeouts {
    /// For a connection that is ready for mail: TCP, TLS, greeting, EHLO, login. Some servers hold back their greeting
    /// for several seconds to see whether a stranger is patient. Less than a stop may take, so that a mail for which there
    /// was no connection is given back in time.
    pub connect: Duration,
    /// For the answer to a command.
    pub command: Duration,
    /// For the answer to the end of the message. Giving up here may mean a second copy, and waiting longer helps rarely:
    /// a server that takes a mail on queues it, and answers at once.
    pub end_of_message: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(20),
            command: Duration::from_secs(30),
            end_of_message: Duration::from_mins(1),
        }
    }
}

/// A mail server.
pub struct Smtp {
    connections: Connections,
    timeouts: Timeouts,
}

/// How the commands of a mail ended.
enum Ended {
    /// The server answered, and the connection may be good for the next mail.
    Answered { answer: Answer, keep: Keep },
    /// The server cannot have the mail, and the connection is of no use any more.
    Cut(String),
    /// The server may have the mail, and the connection is of no use any more.
    Lost(String),
}

/// What to do with a connection after an answer.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Keep {
    /// It is ready for the next mail.
    Ready,
    /// Its mail was broken off: RSET first.
    AfterReset,
    /// The server is closing it.
    No,
}

impl Smtp {
    /// The mail server; nothing is connected yet.
    ///
    /// # Errors
    /// A line for the operator when TLS is wanted and the system's certificates cannot be read.
    pub fn new(server: Server, timeouts: Timeouts) -> Result<Self, String> {
        Ok(Self { connections: Connections::new(server, timeouts)?, timeouts })
    }

    /// Hands over a mail. A kept connection that turns out to be dead is replaced; nothing else is tried twice.
    pub async fn hand_over(&self, letter: &Letter) -> Answer {
        loop {
            let (mut connection, is_new) = match self.connections.take().await {
                Ok(connection) => connection,
                Err(why) => return Answer::Unavailable(why),
            };
            match self.transact(&mut connection, letter).await {
                Ended::Answered { answer, keep } => {
                    self.keep(connection, keep).await;
                    return answer;
                }
                Ended::Lost(why) => return Answer::Lost(why),
                Ended::Cut(why) if is_new => return Answer::Unavailable(why),
                Ended::Cut(_) => {}
            }
        }
    }

    /// Whether the server takes connections.
    ///
    /// # Errors
    /// Why not, in a few words.
    pub async fn check(&self) -> Result<(), String> {
        self.connections.check().await
    }

    /// Closes the connections that nobody needed lately.
    pub async fn tidy(&self) {
        self.connections.tidy().await;
    }

    /// Closes all free connections.
    pub async fn close(&self) {
        self.connections.close().await;
    }

    /// MAIL, RCPT, DATA and the message.
    async fn transact(&self, connection: &mut AsyncSmtpConnection, letter: &Letter) -> Ended {
        let mut parameters = Vec::new();
        if !(letter.from.as_ref() as &str).is_ascii() || !(letter.to.as_ref() as &str).is_ascii() {
            if !connection.server_info().supports_feature(Extension::SmtpUtfEight) {
                let why = "the address needs SMTPUTF8 (RFC 6531), which the server does not offer".to_owned();
                return Ended::Answered { answer: Answer::Refused(why), keep: Keep::Ready };
            }
            parameters.push(MailParameter::SmtpUtfEight);
        }
        if let Err(failure) = self.ask(connection, Mail::new(Some(letter.from.clone()), parameters), "MAIL FROM").await
        {
            return refused(failure, "MAIL FROM");
        }
        if let Err(failure) = self.ask(connection, Rcpt::new(letter.to.clone(), Vec::new()), "RCPT TO").await {
            return refused(failure, "RCPT TO");
        }
        match self.ask(connection, Data, "DATA").await {
            Ok(response) if response.code().severity == Severity::PositiveIntermediate => {}
            Ok(_) => return Ended::Cut("the server did not ask for the message after DATA".to_owned()),
            Err(failure) => return refused(failure, "DATA"),
        }
        self.message(connection, &letter.message).await
    }

    async fn message(&self, connection: &mut AsyncSmtpConnection, message: &str) -> Ended {
        const END: &str = "the message";
        match ask(connection, Message(message), END, self.timeouts.end_of_message).await {
            Ok(response) if response.code().severity == Severity::PositiveCompletion => {
                Ended::Answered { answer: Answer::Accepted, keep: Keep::Ready }
            }
            Ok(_) => Ended::Lost("an answer to the message that means nothing".to_owned()),
            Err(Failure::Reply(reply)) => said_no(reply, END),
            Err(Failure::Broken { why, unwritten: true }) => Ended::Cut(why),
            Err(Failure::Broken { why, unwritten: false }) => Ended::Lost(why),
        }
    }

    async fn ask(
        &self,
        connection: &mut AsyncSmtpConnection,
        command: impl fmt::Display,
        name: &str,
    ) -> Result<Response, Failure> {
        ask(connection, command, name, self.timeouts.command).await
    }

    async fn keep(&self, mut connection: AsyncSmtpConnection, keep: Keep) {
        let ready = match keep {
            Keep::Ready => true,
            Keep::AfterReset => self.ask(&mut connection, Rset, "RSET").await.is_ok(),
            Keep::No => false,
        };
        if ready {
            self.connections.keep(connection);
        }
    }
}

impl fmt::Debug for Smtp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Smtp").field("server", self.connections.server()).finish_non_exhaustive()
    }
}

/// A failure before the message: the server cannot have it.
fn refused(failure: Failure, command: &str) -> Ended {
    match failure {
        Failure::Broken { why, .. } => Ended::Cut(why),
        // A server that is closing says so at its next chance, which need not have to do with this mail; once it has
        // heard of the recipient it may, and such a mail must not come back again and again as if it were new.
        Failure::Reply(reply) if reply.is_about_the_connection() && (reply.code != 421 || command == "MAIL FROM") => {
            Ended::Cut(reply.describe(command))
        }
        Failure::Reply(reply) => said_no(reply, command),
    }
}

fn said_no(reply: Reply, command: &str) -> Ended {
    let why = reply.describe(command);
    let answer = if reply.is_transient() { Answer::Deferred(why) } else { Answer::Refused(why) };
    Ended::Answered { answer, keep: if reply.code == 421 { Keep::No } else { Keep::AfterReset } }
}
