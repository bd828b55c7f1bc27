//! A stand-in for Azure Blob Storage that costs next to nothing, so that a benchmark measures exporters and not storage.
//!
//! Path style: `http://127.0.0.1:PORT/devstoreaccount1/<container>/<blob>`. Containers, Put Blob, Put Block, Put Block
//! List, Get Block List, Get Blob, Head, Delete and List Blobs, with conditional headers, and with `Content-MD5` and
//! `x-ms-content-crc64` verified. Credentials are not checked. Of large blocks only size and CRC-64 are kept.
//!
//! | module | is |
//! |---|---|
//! | `service` | the REST interface: requests in, answers out |
//! | `store` | what is stored, and when a write is refused; knows no HTTP |

mod service;
mod store;

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use acs_simulator::tls::Identity;
use axum::serve::ListenerExt as _;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

/// The account in every URL; any other name works too.
pub const ACCOUNT: &str = "devstoreaccount1";

/// How the sink is set up. Ports are 0 by default: whatever is free.
#[derive(Debug, Clone)]
pub struct Options {
    pub http: SocketAddr,
    pub https: Option<SocketAddr>,
    /// Keeps only this many first bytes of a larger block.
    pub keep_bytes: usize,
    /// How long every answer takes at least, as if there were a network and a disk.
    pub latency: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            http: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            https: None,
            keep_bytes: 64 * 1024,
            latency: Duration::ZERO,
        }
    }
}

/// A running sink; it stops when it is dropped.
pub struct Sink {
    http: SocketAddr,
    https: Option<SocketAddr>,
    ca_pem: Option<String>,
    _servers: JoinSet<()>,
}

impl Sink {
    /// Binds and serves.
    ///
    /// # Errors
    /// When an address cannot be bound.
    pub async fn start(options: Options) -> anyhow::Result<Self> {
        let plain = TcpListener::bind(options.http).await?;
        let http = plain.local_addr()?;
        let router = service::router(&options, Arc::new(Mutex::default()));
        let mut servers = JoinSet::new();
        let (mut https, mut ca_pem) = (None, None);
        if let Some(address) = options.https {
            let (identity, listener) = (
                Identity::generate("blob-sink")?,
                TcpListener::bind(address).await?,
            );
            https = Some(listener.local_addr()?);
            let (listener, router) = (identity.listen(listener)?, router.clone());
            ca_pem = Some(identity.ca_pem);
            servers.spawn(async move {
                let _ = axum::serve(listener, router).await;
            });
        }
        servers.spawn(async move {
            // Without it the last bytes of an answer may wait for an acknowledgement; a failure costs speed only.
            let plain = plain.tap_io(|stream| drop(stream.set_nodelay(true)));
            let _ = axum::serve(plain, router).await;
        });
        Ok(Self {
            http,
            https,
            ca_pem,
            _servers: servers,
        })
    }

    /// The base URL of `/admin` and the accounts.
    pub fn http_url(&self) -> String {
        format!("http://{}", self.http)
    }

    pub fn https_url(&self) -> Option<String> {
        self.https.map(|address| format!("https://{address}"))
    }

    /// The certificate authority to trust at the TLS door.
    pub fn ca_pem(&self) -> Option<&str> {
        self.ca_pem.as_deref()
    }
}
