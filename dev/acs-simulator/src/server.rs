//! Starting and stopping the simulator.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::serve::ListenerExt as _;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use crate::options::Options;
use crate::tls::Identity;
use crate::world::World;
use crate::{admin, content, control, legacy};

/// A running simulator; it stops when it is dropped.
pub struct Simulator {
    http: SocketAddr,
    https: Option<SocketAddr>,
    ca_pem: Option<String>,
    world: Arc<World>,
    _servers: JoinSet<()>,
}

impl Simulator {
    /// Binds and serves.
    ///
    /// # Errors
    /// When an address cannot be bound.
    pub async fn start(options: Options) -> anyhow::Result<Self> {
        let plain = TcpListener::bind(options.http).await?;
        let http = plain.local_addr()?;
        let tls = match options.https {
            Some(address) => Some((
                Identity::generate("acs-simulator")?,
                TcpListener::bind(address).await?,
            )),
            None => None,
        };
        let https = tls
            .as_ref()
            .map(|(_, listener)| listener.local_addr())
            .transpose()?;
        let ports = [Some(http.port()), https.map(|address| address.port())];
        let authorities = ports
            .into_iter()
            .flatten()
            .flat_map(|port| [format!("127.0.0.1:{port}"), format!("localhost:{port}")]);
        let content_base = options
            .content_base
            .clone()
            .unwrap_or_else(|| format!("http://{http}"));
        // A base without a port means the TLS door's.
        let content_base = match https {
            Some(address)
                if content_base.starts_with("https://")
                    && content_base.matches(':').count() == 1 =>
            {
                format!("{content_base}:{}", address.port())
            }
            Some(_) | None => content_base,
        };
        let world = Arc::new(World::new(options, authorities.collect(), content_base));
        let router: Router = control::routes()
            .merge(legacy::routes())
            .merge(content::routes())
            .merge(admin::routes())
            .with_state(Arc::clone(&world));
        let mut servers = JoinSet::new();
        let plain_router = router.clone();
        servers.spawn(async move {
            let plain = plain.tap_io(|stream| drop(stream.set_nodelay(true)));
            let _ = axum::serve(plain, plain_router).await;
        });
        let mut ca_pem = None;
        if let Some((identity, listener)) = tls {
            let listener = identity.listen(listener)?;
            ca_pem = Some(identity.ca_pem);
            servers.spawn(async move {
                let _ = axum::serve(listener, router).await;
            });
        }
        Ok(Self {
            http,
            https,
            ca_pem,
            world,
            _servers: servers,
        })
    }

    pub fn http_url(&self) -> String {
        format!("http://{}", self.http)
    }

    pub fn https_url(&self) -> Option<String> {
        self.https.map(|address| format!("https://{address}"))
    }

    /// How many content requests were answered; cheaper to watch than their log.
    pub fn content_requests(&self) -> usize {
        self.world.state().log.len()
    }

    /// The certificate authority to trust at the TLS door.
    pub fn ca_pem(&self) -> Option<&str> {
        self.ca_pem.as_deref()
    }
}
