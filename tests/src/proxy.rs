//! A TCP proxy in front of a server, by which one system alone loses it.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// The way to a server, which can be cut, silenced and mended.
#[derive(Debug)]
pub struct Proxy {
    address: SocketAddr,
    way: watch::Sender<Way>,
    forgotten: watch::Sender<usize>,
    listener: JoinHandle<()>,
}

/// What the way does with connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    /// Carries everything.
    Open,
    /// Closes all.
    Cut,
    /// Keeps them open and carries nothing, as a network does that drops all packets.
    Silent,
}

impl Proxy {
    /// A way to `target` (`host:port`), open or not.
    ///
    /// # Panics
    /// When there is no free port.
    pub async fn to(target: String, open: bool) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("a bound socket has an address");
        let way = watch::Sender::new(if open { Way::Open } else { Way::Cut });
        let forgotten = watch::Sender::new(0);
        let (states, lapses) = (way.subscribe(), forgotten.subscribe());
        let listener = tokio::spawn(async move {
            while let Ok((caller, _)) = listener.accept().await {
                tokio::spawn(carry(caller, target.clone(), states.clone(), lapses.clone()));
            }
        });
        Self { address, way, forgotten, listener }
    }

    /// Where to connect to: `host:port`.
    pub fn address(&self) -> String {
        self.address.to_string()
    }

    /// Cuts all connections; new ones are closed at once.
    pub fn cut(&self) {
        self.way.send_replace(Way::Cut);
    }

    /// Carries nothing any more. Connections stay, and new ones are taken, but nobody hears of the other end; what was on
    /// its way arrives when the way is mended, if anybody is still there.
    pub fn silence(&self) {
        self.way.send_replace(Way::Silent);
    }

    /// Forgets the connections that there are: the server's ends are closed, the callers' stay open, and nobody is there
    /// any more. New ones go through.
    pub fn forget(&self) {
        self.forgotten.send_modify(|times| *times += 1);
    }

    /// Lets connections through again.
    pub fn mend(&self) {
        self.way.send_replace(Way::Open);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.cut();
        self.listener.abort();
    }
}

/// Carries bytes both ways until both ends have closed or the way is cut.
async fn carry(
    caller: TcpStream,
    target: String,
    mut states: watch::Receiver<Way>,
    mut lapses: watch::Receiver<usize>,
) {
    lapses.mark_unchanged();
    let heard = |way: &Way| *way != Way::Silent;
    let Ok(true) = states.wait_for(heard).await.map(|way| *way == Way::Open) else { return };
    let Ok(server) = TcpStream::connect(target).await else { return };
    let (_, _) = (caller.set_nodelay(true), server.set_nodelay(true));
    let (mut from_caller, mut to_caller) = caller.into_split();
    let (mut from_server, mut to_server) = server.into_split();
    let (there, back) = (states.clone(), states.clone());
    let both = async {
        tokio::join!(pump(&mut from_caller, &mut to_server, there), pump(&mut from_server, &mut to_caller, back))
    };
    tokio::select! {
        _ = both => return,
        _ = states.wait_for(|way| *way == Way::Cut) => return,
        _ = lapses.changed() => {}
    }
    drop((from_server, to_server));
    // Taken and thrown away, so that the caller does not even notice that nobody reads.
    let swallow = async { while from_caller.read(&mut [0; 4096]).await.is_ok_and(|count| count > 0) {} };
    tokio::select! {
        () = swallow => {}
        _ = states.wait_for(|way| *way == Way::Cut) => {}
    }
}

/// Carries bytes one way until its end, or until either side is gone.
async fn pump(from: &mut OwnedReadHalf, to: &mut OwnedWriteHalf, mut states: watch::Receiver<Way>) {
    let mut buffer = vec![0; 16 * 1024];
    while let Ok(count) = from.read(&mut buffer).await {
        let heard = states.wait_for(|way| *way != Way::Silent).await.is_ok();
        if !heard || count == 0 || to.write_all(&buffer[..count]).await.is_err() {
            break;
        }
    }
    let _ = to.shutdown().await;
}
