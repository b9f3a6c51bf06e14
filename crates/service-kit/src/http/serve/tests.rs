use std::net::SocketAddr;

use axum::routing::get;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;

use super::*;

const DRAIN: Duration = Duration::from_secs(7);

struct Server {
    addr: SocketAddr,
    stop: CancellationToken,
    task: JoinHandle<()>,
    entered: Arc<Semaphore>,
    leave: Arc<Semaphore>,
}

/// `/quick` answers at once, `/slow` when `leave` permits it, after it added to `entered`.
async fn server() -> Server {
    let (entered, leave) = (Arc::new(Semaphore::new(0)), Arc::new(Semaphore::new(0)));
    let slow = {
        let (entered, leave) = (Arc::clone(&entered), Arc::clone(&leave));
        async move || {
            entered.add_permits(1);
            let _left = leave.acquire().await;
            "slow"
        }
    };
    let router = Router::new().route("/quick", get(async || "quick")).route("/slow", get(slow));
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let addr = listener.local_addr().expect("bound");
    let stop = CancellationToken::new();
    let task = tokio::spawn(serve(listener, router, stop.clone(), DRAIN));
    Server { addr, stop, task, entered, leave }
}

impl Server {
    async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.addr).await.expect("connected")
    }

    async fn request(&self, path: &str) -> TcpStream {
        let mut stream = self.connect().await;
        ask(&mut stream, path).await;
        stream
    }
}

async fn ask(stream: &mut TcpStream, path: &str) {
    let request = format!("GET {path} HTTP/1.1\r\nHost: test\r\n\r\n");
    stream.write_all(request.as_bytes()).await.expect("sent");
}

/// All that comes until the server closes.
async fn rest(mut stream: TcpStream) -> String {
    let mut text = String::new();
    // A reset is as good an end as any.
    let _ = stream.read_to_string(&mut text).await;
    text
}

#[tokio::test]
async fn connections_are_kept_and_closed_when_idle_at_the_stop() {
    let server = server().await;
    let mut stream = server.connect().await;
    for _ in 0..2 {
        ask(&mut stream, "/quick").await;
        let mut answer = [0; 512];
        let n = stream.read(&mut answer).await.expect("an answer");
        assert!(answer[..n].ends_with(b"quick"));
    }
    server.stop.cancel();
    assert_eq!(rest(stream).await, "");
    server.task.await.expect("stopped");
    assert!(TcpStream::connect(server.addr).await.is_err(), "nothing listens any more");
}

#[tokio::test]
async fn what_is_under_way_is_answered_before_the_stop() {
    let server = server().await;
    let stream = server.request("/slow").await;
    let _entered = server.entered.acquire().await.expect("open");
    server.stop.cancel();
    server.leave.add_permits(1);
    let answer = rest(stream).await;
    assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with("slow"), "{answer}");
    server.task.await.expect("stopped");
}

#[tokio::test]
async fn what_does_not_end_is_cut_after_the_drain_time() {
    let server = server().await;
    let stream = server.request("/slow").await;
    let _entered = server.entered.acquire().await.expect("open");
    // only now: while a request is on its way, time that is paused would jump to its limit
    tokio::time::pause();
    let asked = tokio::time::Instant::now();
    server.stop.cancel();
    server.task.await.expect("stopped");
    assert_eq!(asked.elapsed().as_secs(), DRAIN.as_secs());
    assert_eq!(rest(stream).await, "");
}

#[tokio::test(start_paused = true)]
async fn a_caller_that_does_not_finish_its_head_is_cut() {
    let server = server().await;
    let mut stream = server.connect().await;
    stream.write_all(b"GET /quick HTTP/1.1\r\nHost: ").await.expect("sent");
    let began = tokio::time::Instant::now();
    assert_eq!(rest(stream).await, "");
    assert!(began.elapsed() <= HEADER_TIMEOUT + Duration::from_secs(1), "{:?}", began.elapsed());
    server.stop.cancel();
    server.task.await.expect("stopped");
}

#[tokio::test]
async fn a_head_that_is_too_long_is_refused() {
    let server = server().await;
    let mut stream = server.connect().await;
    let head = format!("GET /quick HTTP/1.1\r\nHost: test\r\nx: {}\r\n\r\n", "x".repeat(MAX_HEAD_BYTES));
    let _ = stream.write_all(head.as_bytes()).await;
    let answer = rest(stream).await;
    assert!(answer.starts_with("HTTP/1.1 431") && answer.contains("\r\nx-request-id: "), "{answer}");
    let mut stream = server.connect().await;
    stream.write_all(b"nonsense\r\n\r\n").await.expect("sent");
    let answer = rest(stream).await;
    assert!(answer.starts_with("HTTP/1.1 400") && answer.contains("\r\nx-request-id: "), "{answer}");
    server.stop.cancel();
    server.task.await.expect("stopped");
}
