//! The TLS door: a throw-away certificate authority, and a listener for `axum::serve`.

use std::net::SocketAddr;
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::aws_lc_rs;
use tokio_rustls::rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio_rustls::server::TlsStream;

/// What the certificate is good for: this machine and the hosts the official SDKs accept.
const NAMES: [&str; 6] = [
    "localhost",
    "127.0.0.1",
    "*.asm.skype.com",
    "*.as.asm.skype.com",
    "*.asyncgw.teams.microsoft.com",
    "*.communication.azure.com",
];

/// A server's certificate, and the authority a client has to trust.
pub struct Identity {
    pub ca_pem: String,
    config: Arc<ServerConfig>,
}

impl Identity {
    /// `server` names the authority, so that two of them can be trusted side by side.
    ///
    /// # Errors
    /// When the platform gives no randomness.
    pub fn generate(server: &str) -> anyhow::Result<Self> {
        let mut ca_params = CertificateParams::default();
        ca_params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        ca_params
            .distinguished_name
            .push(DnType::CommonName, format!("{server} throw-away CA"));
        let ca = CertifiedIssuer::self_signed(ca_params, KeyPair::generate()?)?;
        let key = KeyPair::generate()?;
        let certificate = CertificateParams::new(NAMES.map(str::to_owned))?.signed_by(&key, &ca)?;
        let provider = Arc::new(aws_lc_rs::default_provider());
        let private_key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], private_key)?;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Self {
            ca_pem: ca.pem(),
            config: Arc::new(config),
        })
    }

    /// Wraps a bound listener. Handshakes run beside each other; a failed one is dropped.
    ///
    /// # Errors
    /// When the listener has no address.
    pub fn listen(&self, listener: TcpListener) -> std::io::Result<TlsListener> {
        let address = listener.local_addr()?;
        let acceptor = TlsAcceptor::from(Arc::clone(&self.config));
        let (sender, accepted) = mpsc::channel(64);
        tokio::spawn(async move {
            while let Ok((stream, peer)) = listener.accept().await {
                let (acceptor, sender) = (acceptor.clone(), sender.clone());
                // Without it the last bytes of an answer may wait for an acknowledgement; a failure costs speed only.
                let _ = stream.set_nodelay(true);
                tokio::spawn(async move {
                    if let Ok(stream) = acceptor.accept(stream).await {
                        // The server has ended if there is no receiver.
                        let _ = sender.send((stream, peer)).await;
                    }
                });
            }
        });
        Ok(TlsListener { address, accepted })
    }
}

/// A listener that yields connections whose handshake is done.
pub struct TlsListener {
    address: SocketAddr,
    accepted: mpsc::Receiver<(TlsStream<TcpStream>, SocketAddr)>,
}

impl axum::serve::Listener for TlsListener {
    type Io = TlsStream<TcpStream>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        match self.accepted.recv().await {
            Some(accepted) => accepted,
            None => std::future::pending().await,
        }
    }

    fn local_addr(&self) -> std::io::Result<SocketAddr> {
        Ok(self.address)
    }
}
