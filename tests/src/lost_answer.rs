//! A way to PostgreSQL that loses the answer to a COMMIT: the transaction is stored, and who asked for it is not told.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// How sqlx begins and commits: as simple queries (PostgreSQL, "Message Formats", `Query`).
const BEGIN: &[u8] = b"Q\0\0\0\x0aBEGIN\0";
const COMMIT: &[u8] = b"Q\0\0\0\x0bCOMMIT\0";

/// The way to the server. It carries everything until it is told to lose an answer.
#[derive(Debug)]
pub struct LostAnswer {
    address: SocketAddr,
    trap: Arc<Trap>,
    listener: JoinHandle<()>,
}

#[derive(Debug, Default)]
struct Trap {
    marker: Mutex<Option<Vec<u8>>>,
    lost: AtomicUsize,
}

impl LostAnswer {
    /// A way to `target` (`host:port`).
    ///
    /// # Panics
    /// When there is no free port.
    pub async fn to(target: String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("a bound socket has an address");
        let trap = Arc::<Trap>::default();
        let of_listener = Arc::clone(&trap);
        let listener = tokio::spawn(async move {
            while let Ok((caller, _)) = listener.accept().await {
                let (target, trap) = (target.clone(), Arc::clone(&of_listener));
                // Either end may go away at any time.
                tokio::spawn(async move { carry(caller, target, trap).await.unwrap_or_default() });
            }
        });
        Self { address, trap, listener }
    }

    /// Where to connect to: `host:port`.
    pub fn address(&self) -> String {
        self.address.to_string()
    }

    /// Loses the answer to the next COMMIT of a transaction in which `marker` was sent, such as a text among its values.
    pub fn lose(&self, marker: &[u8]) {
        *self.trap.marker() = Some(marker.to_vec());
    }

    /// How many answers were lost.
    pub fn lost(&self) -> usize {
        self.trap.lost.load(Ordering::SeqCst)
    }
}

impl Drop for LostAnswer {
    fn drop(&mut self) {
        self.listener.abort();
    }
}

impl Trap {
    fn marker(&self) -> std::sync::MutexGuard<'_, Option<Vec<u8>>> {
        self.marker.lock().expect("nobody panics with the lock")
    }

    /// Whether this transaction is the one; it is so once.
    fn springs(&self, transaction: &[u8]) -> bool {
        let mut marker = self.marker();
        let found = marker.as_ref().is_some_and(|marker| contains(transaction, marker));
        if found {
            *marker = None;
        }
        found
    }
}

/// Carries bytes both ways. Both ends are closed with this.
async fn carry(caller: TcpStream, target: String, trap: Arc<Trap>) -> std::io::Result<()> {
    let server = TcpStream::connect(target).await?;
    caller.set_nodelay(true)?;
    server.set_nodelay(true)?;
    let (mut from_caller, mut to_caller) = caller.into_split();
    let (mut from_server, mut to_server) = server.into_split();
    let (mut asked, mut answered) = (vec![0; 16 * 1024], vec![0; 16 * 1024]);
    let mut transaction = Vec::new();
    loop {
        tokio::select! {
            count = from_caller.read(&mut asked) => {
                let bytes = &asked[..count?];
                if bytes.is_empty() {
                    return Ok(());
                }
                if contains(bytes, BEGIN) {
                    transaction.clear();
                }
                transaction.extend_from_slice(bytes);
                to_server.write_all(bytes).await?;
                if contains(bytes, COMMIT) && trap.springs(&transaction) {
                    // Once the server answers, the transaction is stored.
                    let _kept = from_server.read(&mut answered).await?;
                    trap.lost.fetch_add(1, Ordering::SeqCst);
                    return Ok(());
                }
            }
            count = from_server.read(&mut answered) => {
                let bytes = &answered[..count?];
                if bytes.is_empty() {
                    return Ok(());
                }
                to_caller.write_all(bytes).await?;
            }
        }
    }
}

fn contains(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}
