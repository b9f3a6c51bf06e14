//! The ledger: what customers asked for and were told, on disk before they go on, and outside of the system.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use serde_json::{Value, json};

use crate::shop::text;

/// A file of one JSON object per line; each is on disk before whoever writes it goes on.
#[derive(Debug)]
pub struct Ledger {
    path: PathBuf,
    file: Mutex<File>,
}

/// What the ledger says of one order that was answered with 201.
#[derive(Debug, Clone, Default)]
pub struct Told {
    /// The idempotency key.
    pub key: String,
    /// The request.
    pub body: Value,
    /// The answer to it.
    pub answer: Value,
    /// Whether a cancellation was answered with 202.
    pub cancelled: bool,
    /// The payments that were reported as completed and answered with 204.
    pub paid: Vec<String>,
}

impl Ledger {
    /// A new one.
    ///
    /// # Panics
    /// When the file cannot be made.
    pub fn create(path: &Path) -> Self {
        let file = OpenOptions::new().create_new(true).append(true).open(path).expect("a ledger");
        Self { path: path.to_path_buf(), file: Mutex::new(file) }
    }

    /// An order was taken: answered with 201.
    pub fn placed(&self, key: &str, body: &Value, answer: &Value) {
        self.write(&json!({"what": "placed", "key": key, "body": body, "answer": answer}));
    }

    /// A cancellation was answered with 202.
    pub fn cancelled(&self, order_id: &str) {
        self.write(&json!({"what": "cancelled", "order_id": order_id}));
    }

    /// A completed payment was answered with 204.
    pub fn paid(&self, order_id: &str, payment_id: &str) {
        self.write(&json!({"what": "paid", "order_id": order_id, "payment_id": payment_id}));
    }

    fn write(&self, line: &Value) {
        let mut file = self.file.lock().expect("nobody panics with the lock");
        writeln!(file, "{line}").and_then(|()| file.sync_data()).expect("the ledger can be written");
    }

    /// What it says of each order, by the order's id, read from the disk.
    ///
    /// # Panics
    /// When it cannot be read, or one order was given to two keys.
    pub fn read(&self) -> BTreeMap<String, Told> {
        let mut orders = BTreeMap::<String, Told>::new();
        for line in std::fs::read_to_string(&self.path).expect("the ledger").lines() {
            let mut line: Value = serde_json::from_str(line).expect("a line of the ledger");
            match text(&line, "what") {
                "placed" => {
                    let answer = line["answer"].take();
                    let told = Told {
                        key: text(&line, "key").to_owned(),
                        body: line["body"].take(),
                        answer: answer.clone(),
                        ..Told::default()
                    };
                    let earlier = orders.insert(text(&answer, "id").to_owned(), told);
                    assert!(earlier.is_none(), "two keys gave one order: {answer} {earlier:?}");
                }
                "cancelled" => orders.entry(text(&line, "order_id").to_owned()).or_default().cancelled = true,
                _ => {
                    let paid = text(&line, "payment_id").to_owned();
                    orders.entry(text(&line, "order_id").to_owned()).or_default().paid.push(paid);
                }
            }
        }
        orders
    }
}
