//! Mails as they were handed over: as files, or to the scripted server of [`crate::smtp`].

use std::collections::BTreeMap;
use std::path::PathBuf;

use mail_parser::MessageParser;

use crate::smtp::SmtpServer;

/// Where a system's mails go.
#[derive(Debug, Clone)]
pub enum Mailbox {
    /// One `.eml` file per mail in this folder.
    Folder(PathBuf),
    /// A mail server of the test's own.
    Server(SmtpServer),
}

/// A mail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mail {
    /// The address in `To`.
    pub to: String,
    /// The address in `From`.
    pub from: String,
    /// Its subject.
    pub subject: String,
    /// Its `Message-ID`, without the angle brackets.
    pub message_id: String,
    /// The plain text.
    pub text: String,
    /// The HTML.
    pub html: String,
}

impl Mailbox {
    /// The value of `SMTP_URL`.
    pub fn url(&self) -> String {
        match self {
            Mailbox::Folder(folder) => format!("file://{}", folder.display()),
            Mailbox::Server(server) => server.url(),
        }
    }

    /// All mails so far.
    ///
    /// # Panics
    /// When one is no mail.
    pub fn mails(&self) -> Vec<Mail> {
        let raw = match self {
            Mailbox::Folder(folder) => files(folder),
            Mailbox::Server(server) => server.received(),
        };
        raw.iter().map(|raw| parse(raw)).collect()
    }

    /// The mails to one address.
    pub fn to(&self, address: &str) -> Vec<Mail> {
        self.mails().into_iter().filter(|mail| mail.to == address).collect()
    }

    /// How often each `Message-ID` was handed over.
    pub fn copies(&self) -> BTreeMap<String, usize> {
        let mut copies = BTreeMap::new();
        for mail in self.mails() {
            *copies.entry(mail.message_id).or_default() += 1;
        }
        copies
    }
}

fn files(folder: &PathBuf) -> Vec<Vec<u8>> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    let mut paths: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "eml"));
    paths.sort();
    paths.iter().map(|path| std::fs::read(path).expect("a mail's file can be read")).collect()
}

fn parse(raw: &[u8]) -> Mail {
    let shown = || String::from_utf8_lossy(raw).into_owned();
    let mail = MessageParser::default().parse(raw).unwrap_or_else(|| panic!("not a mail: {}", shown()));
    let address = |list: Option<&mail_parser::Address<'_>>| {
        let first = list.and_then(|list| list.first()).and_then(|first| first.address());
        first.unwrap_or_else(|| panic!("a mail without an address: {}", shown())).to_owned()
    };
    Mail {
        to: address(mail.to()),
        from: address(mail.from()),
        subject: mail.subject().unwrap_or_default().to_owned(),
        message_id: mail.message_id().unwrap_or_else(|| panic!("a mail without Message-ID: {}", shown())).to_owned(),
        text: mail.body_text(0).unwrap_or_default().into_owned(),
        html: mail.body_html(0).unwrap_or_default().into_owned(),
    }
}
