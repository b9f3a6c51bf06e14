//! How mails leave: to a mail server ([`smtp`]), or as files in a directory ([`directory`]).
//!
//! Handing over has five endings, not two, since a mail must go out once: what matters is whether the other side may
//! have it. A transport never repeats anything after the other side may have it; that is for the sender to decide, who
//! records it first.

pub mod directory;
pub mod reply;
pub mod smtp;
pub mod target;

use lettre::Address;

use directory::Directory;
use smtp::Smtp;
use target::Target;

/// A mail that is ready to go.
#[derive(Debug, Clone)]
pub struct Letter {
    /// Who it is from: the `MAIL FROM`.
    pub from: Address,
    /// Who it is for: the `RCPT TO`.
    pub to: Address,
    /// The message (RFC 5322): lines of ASCII that end in CRLF.
    pub message: String,
}

/// How handing over a mail ended. The texts are for operators, and never hold what the other side wrote: a server may
/// repeat the address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// The other side has it.
    Accepted,
    /// The other side answered: not now.
    Deferred(String),
    /// The other side answered: never.
    Refused(String),
    /// The other side cannot have it: it could not be reached, or was lost before the end of the message.
    Unavailable(String),
    /// The other side may have it: its answer to the end of the message was lost.
    Lost(String),
}

/// Where mails go.
#[derive(Debug)]
pub enum Transport {
    /// To a mail server.
    Smtp(Box<Smtp>),
    /// Into a directory.
    Directory(Directory),
}

impl Transport {
    /// The transport to `target`. Nothing is connected or created yet.
    ///
    /// # Errors
    /// A line for the operator when the system's certificates cannot be read.
    pub fn new(target: Target) -> Result<Self, String> {
        match target {
            Target::Server(server) => Smtp::new(server, smtp::Timeouts::default()).map(Box::new).map(Self::Smtp),
            Target::Directory(path) => Ok(Self::Directory(Directory::new(path))),
        }
    }

    /// Hands over a mail.
    pub async fn hand_over(&self, letter: &Letter) -> Answer {
        match self {
            Self::Smtp(smtp) => smtp.hand_over(letter).await,
            Self::Directory(directory) => directory.hand_over(letter).await,
        }
    }

    /// Whether mails could be handed over.
    ///
    /// # Errors
    /// Why not, in a few words.
    pub async fn check(&self) -> Result<(), String> {
        match self {
            Self::Smtp(smtp) => smtp.check().await,
            Self::Directory(directory) => directory.check().await,
        }
    }

    /// Gives back to the other side what nobody needed lately.
    pub async fn tidy(&self) {
        if let Self::Smtp(smtp) = self {
            smtp.tidy().await;
        }
    }

    /// Takes leave of the other side: nothing is under way any more.
    pub async fn close(&self) {
        if let Self::Smtp(smtp) = self {
            smtp.close().await;
        }
    }
}
