//! A mail server that does as the test says: takes mails, refuses them, or takes one and dies before it can say so.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// What the server says to a whole mail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Takes it: 250.
    Take,
    /// Takes it, and closes the connection instead of saying so.
    TakeSilently,
    /// Does not take it now: 451.
    NotNow,
    /// Will never take it: 554.
    Never,
}

/// A mail server.
#[derive(Debug, Clone)]
pub struct SmtpServer {
    address: SocketAddr,
    state: Arc<Mutex<State>>,
    /// Whether whole mails are answered.
    answers: watch::Sender<bool>,
}

#[derive(Debug, Default)]
struct State {
    script: VecDeque<Verdict>,
    received: Vec<Vec<u8>>,
    refused: usize,
}

impl SmtpServer {
    /// One that takes everything once its script is over. It ends with the test's runtime.
    ///
    /// # Panics
    /// When there is no free port.
    pub async fn start(script: impl IntoIterator<Item = Verdict>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("a bound socket has an address");
        let state = Arc::new(Mutex::new(State { script: script.into_iter().collect(), ..State::default() }));
        let server = Self { address, state, answers: watch::Sender::new(true) };
        let of_listener = server.clone();
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let server = of_listener.clone();
                // A client that goes away in the middle is not this server's concern.
                tokio::spawn(async move { server.talk(client).await.unwrap_or_default() });
            }
        });
        server
    }

    /// The value of `SMTP_URL`.
    pub fn url(&self) -> String {
        format!("smtp://{}", self.address)
    }

    /// Where it listens: `host:port`.
    pub fn address(&self) -> String {
        self.address.to_string()
    }

    /// The mails that it took.
    pub fn received(&self) -> Vec<Vec<u8>> {
        self.state().received.clone()
    }

    /// From now on it takes its time: no whole mail is answered until [`go_on`](Self::go_on).
    pub fn dawdle(&self) {
        self.answers.send_replace(false);
    }

    /// Answers what waits, and from now on at once.
    pub fn go_on(&self) {
        self.answers.send_replace(true);
    }

    /// How many mails it did not take.
    pub fn refused(&self) -> usize {
        self.state().refused
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().expect("nobody panics with the lock")
    }

    /// One session (RFC 5321).
    async fn talk(&self, client: TcpStream) -> std::io::Result<()> {
        let mut client = BufReader::new(client);
        client.write_all(b"220 test ESMTP\r\n").await?;
        let mut line = String::new();
        loop {
            line.clear();
            if client.read_line(&mut line).await? == 0 {
                return Ok(());
            }
            let command = line.split_whitespace().next().unwrap_or_default().to_ascii_uppercase();
            let answer: &str = match command.as_str() {
                "EHLO" => "250-test\r\n250 8BITMIME\r\n",
                "HELO" | "MAIL" | "RCPT" | "RSET" | "NOOP" => "250 ok\r\n",
                "DATA" => {
                    client.write_all(b"354 go on\r\n").await?;
                    let mail = read_mail(&mut client).await?;
                    let _ = self.answers.subscribe().wait_for(|answers| *answers).await;
                    match self.judge(mail) {
                        Verdict::Take => "250 taken\r\n",
                        Verdict::TakeSilently => return Ok(()),
                        Verdict::NotNow => "451 not now\r\n",
                        Verdict::Never => "554 never\r\n",
                    }
                }
                "QUIT" => {
                    client.write_all(b"221 bye\r\n").await?;
                    return Ok(());
                }
                _ => "502 unknown\r\n",
            };
            client.write_all(answer.as_bytes()).await?;
        }
    }

    fn judge(&self, mail: Vec<u8>) -> Verdict {
        let mut state = self.state();
        let verdict = state.script.pop_front().unwrap_or(Verdict::Take);
        match verdict {
            Verdict::Take | Verdict::TakeSilently => state.received.push(mail),
            Verdict::NotNow | Verdict::Never => state.refused += 1,
        }
        verdict
    }
}

/// The mail up to the line with the single dot, without the dots that were doubled on the way.
async fn read_mail(client: &mut BufReader<TcpStream>) -> std::io::Result<Vec<u8>> {
    let mut mail = Vec::new();
    loop {
        let mut line = Vec::new();
        if client.read_until(b'\n', &mut line).await? == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        if line == b".\r\n" {
            return Ok(mail);
        }
        mail.extend_from_slice(line.strip_prefix(b".").unwrap_or(&line));
    }
}
