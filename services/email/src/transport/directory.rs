//! Mails as files: one new `.eml` file for each mail that is handed over. For development and tests.

use std::io;
use std::path::{Path, PathBuf};

use chrono::Utc;
use tokio::sync::Mutex;
use uuid::Uuid;

use super::{Answer, Letter};

/// A directory that mails are written to.
///
/// A file is written under a name that ends in `.tmp` and then renamed, so that whoever watches the directory sees whole
/// mails only. Its name is the time and a new id: a mail that is handed over twice is two files. Nothing is synced to
/// disk: a machine that fails may lose files of its last seconds.
#[derive(Debug)]
pub struct Directory {
    path: PathBuf,
    /// One file at a time: the file system has one lock for a directory, on which several writers would only spin.
    turn: Mutex<()>,
}

impl Directory {
    /// The directory at that path, made when it is first needed.
    pub fn new(path: PathBuf) -> Self {
        Self { path, turn: Mutex::new(()) }
    }

    /// Writes the mail. Either the file is there, or the mail was not handed over.
    pub async fn hand_over(&self, letter: &Letter) -> Answer {
        let name = format!("{}-{}", Utc::now().format("%Y%m%dT%H%M%S%.6fZ"), Uuid::now_v7());
        let (directory, message) = (self.path.clone(), letter.message.clone());
        let _turn = self.turn.lock().await;
        match blocking(move || write(&directory, &name, message.as_bytes())).await {
            Ok(()) => Answer::Accepted,
            Err(error) => Answer::Unavailable(format!("the mail directory: {}", error.kind())),
        }
    }

    /// Whether there is a directory, or can be.
    ///
    /// # Errors
    /// Why not, in a few words.
    pub async fn check(&self) -> Result<(), String> {
        let directory = self.path.clone();
        let made = blocking(move || std::fs::create_dir_all(directory)).await;
        made.map_err(|error| format!("the mail directory: {}", error.kind()))
    }
}

fn write(directory: &Path, name: &str, message: &[u8]) -> io::Result<()> {
    let temporary = directory.join(format!("{name}.tmp"));
    if let Err(error) = std::fs::write(&temporary, message) {
        if error.kind() != io::ErrorKind::NotFound {
            // A part of it may be there, for instance on a full disk. That it stays is no harm.
            let _ = std::fs::remove_file(&temporary);
            return Err(error);
        }
        std::fs::create_dir_all(directory)?;
        std::fs::write(&temporary, message)?;
    }
    std::fs::rename(&temporary, directory.join(format!("{name}.eml")))
}

async fn blocking(work: impl FnOnce() -> io::Result<()> + Send + 'static) -> io::Result<()> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(_) => Err(io::Error::other("the file task ended")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn letter() -> Letter {
        let address: lettre::Address = "a@example.com".parse().unwrap();
        Letter { from: address.clone(), to: address, message: "Subject: x\r\n\r\nbody\r\n".to_owned() }
    }

    #[tokio::test]
    async fn each_handing_over_is_a_file_of_its_own() {
        let path = std::env::temp_dir().join(format!("warren-mail-{}", Uuid::now_v7())).join("deep");
        let directory = Directory::new(path.clone());
        for _ in 0..2 {
            assert_eq!(directory.hand_over(&letter()).await, Answer::Accepted);
        }
        let files: Vec<_> = std::fs::read_dir(&path).unwrap().map(|file| file.unwrap().path()).collect();
        assert_eq!(files.len(), 2);
        for file in files {
            assert_eq!(file.extension().unwrap(), "eml");
            assert_eq!(std::fs::read_to_string(file).unwrap(), letter().message);
        }
        assert_eq!(directory.check().await, Ok(()));
        std::fs::remove_dir_all(path.parent().unwrap()).unwrap();
    }

    #[tokio::test]
    async fn a_directory_that_cannot_be_is_unavailable() {
        let file = std::env::temp_dir().join(format!("warren-mail-{}", Uuid::now_v7()));
        std::fs::write(&file, "").unwrap();
        let directory = Directory::new(file.join("below"));
        assert!(matches!(directory.hand_over(&letter()).await, Answer::Unavailable(_)));
        assert!(directory.check().await.is_err());
        std::fs::remove_file(file).unwrap();
    }
}
