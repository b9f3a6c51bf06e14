//! A TCP proxy in front of a server, by which one system alone loses it.

use std::net::SocketAddr;

use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// The way to a server, which can be cut and mended.
#[derive(Debug)]
pub struct Proxy {
    address: SocketAddr,
    open: watch::Sender<bool>,
    listener: JoinHandle<()>,
}

impl Proxy {
    /// A way to `target` (`host:port`), open or not.
    ///
    /// # Panics
    /// When there is no free port.
    pub async fn to(target: String, open: bool) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("a bound socket has an address");
        let open = watch::Sender::new(open);
        let states = open.subscribe();
        let listener = tokio::spawn(async move {
            while let Ok((caller, _)) = listener.accept().await {
                tokio::spawn(carry(caller, target.clone(), states.clone()));
            }
        });
        Self { address, open, listener }
    }

    /// Where to connect to: `host:port`.
    pub fn address(&self) -> String {
        self.address.to_string()
    }

    /// Cuts all connections; new ones are closed at once.
    pub fn cut(&self) {
        self.open.send_replace(false);
    }

    /// Lets connections through again.
    pub fn mend(&self) {
        self.open.send_replace(true);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.cut();
        self.listener.abort();
    }
}

/// Carries bytes both ways until an end closes or the way is cut.
async fn carry(mut caller: TcpStream, target: String, mut states: watch::Receiver<bool>) {
    if !*states.borrow() {
        return;
    }
    let Ok(mut server) = TcpStream::connect(target).await else { return };
    let (_, _) = (caller.set_nodelay(true), server.set_nodelay(true));
    tokio::select! {
        _ = copy_bidirectional(&mut caller, &mut server) => {}
        _ = states.wait_for(|open| !open) => {}
    }
}
