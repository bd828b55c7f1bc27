//! A door in front of a server that a test can shut: the server is then not there, and no connection to it lives on.

use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use url::Url;

/// Passes connections on while it is open. It ends when it is dropped.
pub struct Gate {
    port: u16,
    is_open: watch::Sender<bool>,
    _connections: JoinSet<()>,
}

impl Gate {
    /// An open gate to the server of a URL on this machine.
    pub async fn to(server: &str) -> Self {
        let server: Url = server.parse().expect("a server has a URL");
        let server = server.socket_addrs(|| None).expect("the URL names a port")[0];
        let listener = TcpListener::bind(("127.0.0.1", 0))
            .await
            .expect("a port is free");
        let port = listener.local_addr().expect("it is bound").port();
        let is_open = watch::Sender::new(true);
        let mut state = is_open.subscribe();
        let mut connections = JoinSet::new();
        connections.spawn(async move {
            let mut passing = JoinSet::new();
            while let Ok((mut client, _)) = listener.accept().await {
                // The port stays ours while the gate is shut: another test could be given it.
                if !*state.borrow_and_update() {
                    continue;
                }
                let mut state = state.clone();
                passing.spawn(async move {
                    let Ok(mut server) = TcpStream::connect(server).await else {
                        return;
                    };
                    tokio::select! {
                        _ = copy_bidirectional(&mut client, &mut server) => {}
                        _ = state.wait_for(|is_open| !is_open) => {}
                    }
                });
            }
        });
        Self {
            port,
            is_open,
            _connections: connections,
        }
    }

    /// A URL of the server, through the gate.
    pub fn through(&self, url: &str) -> String {
        let mut url: Url = url.parse().expect("it is a URL");
        url.set_port(Some(self.port)).expect("the URL has a host");
        url.to_string()
    }

    /// Cuts all connections, and takes no more.
    pub fn shut(&self) {
        self.is_open.send_replace(false);
    }

    pub fn open(&self) {
        self.is_open.send_replace(true);
    }
}
