//! A mail server that does what the test tells it to, and remembers what it was given.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;

/// Where a dialogue is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum At {
    Greeting,
    Hello,
    Mail,
    Rcpt,
    Data,
    Message,
}

/// What the server does instead of accepting.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Act {
    /// Nothing: accepts.
    Accept,
    /// Answers so there.
    Reply(At, &'static str),
    /// Closes the connection there, without an answer.
    Drop(At),
    /// Never answers there.
    Hang(At),
    /// Answers to the message only when the test says so ([`SmtpServer::let_go`]).
    Wait,
}

/// A message that the server took on, whether its client heard of that or not.
#[derive(Debug, Clone)]
pub(crate) struct Delivered {
    pub(crate) to: String,
    pub(crate) message: String,
}

#[derive(Default)]
struct State {
    acts: VecDeque<Act>,
    always: Option<Act>,
    delivered: Vec<Delivered>,
    connections: usize,
    hello: Vec<&'static str>,
}

/// The server. It ends with the value.
pub(crate) struct SmtpServer {
    address: SocketAddr,
    state: Arc<Mutex<State>>,
    gate: Arc<Semaphore>,
    task: JoinHandle<()>,
}

impl SmtpServer {
    pub(crate) async fn start() -> Self {
        Self::start_at("127.0.0.1:0".parse().unwrap()).await
    }

    pub(crate) async fn start_at(address: SocketAddr) -> Self {
        let listener = TcpListener::bind(address).await.unwrap();
        let address = listener.local_addr().unwrap();
        let (state, gate) = (Arc::new(Mutex::new(State::default())), Arc::new(Semaphore::new(0)));
        let (shared, shared_gate) = (Arc::clone(&state), Arc::clone(&gate));
        let task = tokio::spawn(async move {
            let mut connections = tokio::task::JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                shared.lock().unwrap().connections += 1;
                let (state, gate) = (Arc::clone(&shared), Arc::clone(&shared_gate));
                connections.spawn(async move { talk(stream, &state, &gate).await });
            }
        });
        Self { address, state, gate, task }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(crate) fn url(&self) -> String {
        format!("smtp://{}", self.address)
    }

    /// What to do with the next connections (greeting, hello) or mails, one after the other.
    pub(crate) fn then(&self, act: Act) -> &Self {
        self.state.lock().unwrap().acts.push_back(act);
        self
    }

    /// What to do with all that follow.
    pub(crate) fn always(&self, act: Act) {
        self.state.lock().unwrap().always = Some(act);
    }

    /// What to offer after EHLO.
    pub(crate) fn offers(&self, extension: &'static str) {
        self.state.lock().unwrap().hello.push(extension);
    }

    /// Answers to that many messages that wait.
    pub(crate) fn let_go(&self, messages: usize) {
        self.gate.add_permits(messages);
    }

    pub(crate) fn delivered(&self) -> Vec<Delivered> {
        self.state.lock().unwrap().delivered.clone()
    }

    pub(crate) fn delivered_count(&self) -> usize {
        self.state.lock().unwrap().delivered.len()
    }

    pub(crate) fn connections(&self) -> usize {
        self.state.lock().unwrap().connections
    }
}

impl Drop for SmtpServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// A dialogue; `None` where the connection ends.
async fn talk(stream: TcpStream, state: &Mutex<State>, gate: &Semaphore) -> Option<()> {
    let mut stream = BufReader::new(stream);
    let connecting = |act: &Act| {
        matches!(
            act,
            Act::Reply(At::Greeting | At::Hello, _)
                | Act::Drop(At::Greeting | At::Hello)
                | Act::Hang(At::Greeting | At::Hello)
        )
    };
    let mut act = next(state, connecting);
    answer(&mut stream, At::Greeting, act, "220 ready").await?;
    let mut to = String::new();
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).await.ok()? == 0 {
            return None;
        }
        let verb = line.split([' ', '\r']).next().unwrap_or_default().to_ascii_uppercase();
        match verb.as_str() {
            "EHLO" => {
                let extensions = state.lock().unwrap().hello.clone();
                let mut lines: Vec<String> = extensions.iter().map(|extension| format!("250-{extension}")).collect();
                lines.push("250 8BITMIME".to_owned());
                answer(&mut stream, At::Hello, act, &format!("250-hello\r\n{}", lines.join("\r\n"))).await?;
            }
            "MAIL" => {
                act = next(state, |act| !connecting(act));
                answer(&mut stream, At::Mail, act, "250 ok").await?;
            }
            "RCPT" => {
                to = line.trim_end().trim_start_matches("RCPT TO:").to_owned();
                answer(&mut stream, At::Rcpt, act, "250 ok").await?;
            }
            "DATA" => {
                if !answer(&mut stream, At::Data, act, "354 go on").await? {
                    continue;
                }
                let message = message(&mut stream).await?;
                let refuses = matches!(act, Act::Reply(At::Message, reply) if !reply.starts_with('2'));
                if !refuses {
                    state.lock().unwrap().delivered.push(Delivered { to: to.clone(), message });
                }
                if matches!(act, Act::Wait) {
                    gate.acquire().await.ok()?.forget();
                }
                answer(&mut stream, At::Message, act, "250 queued").await?;
            }
            "QUIT" => {
                write(&mut stream, "221 bye").await?;
                return None;
            }
            "AUTH" => write(&mut stream, "535 5.7.8 shop@example.com is not known here").await?,
            _ => write(&mut stream, "250 ok").await?,
        }
    }
}

fn next(state: &Mutex<State>, fits: impl Fn(&Act) -> bool) -> Act {
    let mut state = state.lock().unwrap();
    match state.acts.front() {
        Some(act) if fits(act) => state.acts.pop_front().unwrap(),
        _ => state.always.filter(fits).unwrap_or(Act::Accept),
    }
}

/// Answers `usual` unless the act is for here; whether it did.
async fn answer(stream: &mut BufReader<TcpStream>, here: At, act: Act, usual: &str) -> Option<bool> {
    match act {
        Act::Reply(at, reply) if at == here => write(stream, reply).await.map(|()| false),
        Act::Drop(at) if at == here => None,
        Act::Hang(at) if at == here => std::future::pending().await,
        _ => write(stream, usual).await.map(|()| true),
    }
}

async fn write(stream: &mut BufReader<TcpStream>, line: &str) -> Option<()> {
    stream.write_all(format!("{line}\r\n").as_bytes()).await.ok()
}

async fn message(stream: &mut BufReader<TcpStream>) -> Option<String> {
    let mut message = String::new();
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).await.ok()? == 0 {
            return None;
        }
        if line == ".\r\n" {
            return Some(message);
        }
        message.push_str(line.strip_prefix('.').unwrap_or(&line));
    }
}
