//! Azurite, whose recordings are touched by somebody else while they are read.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::response::Response;
use reqwest::{Client, Method};
use tokio::net::TcpListener;
use url::Url;

/// A storage account that counts reads of recordings.
pub struct TouchingVault {
    /// URL of the container.
    pub url: String,
    /// A recording is touched before each of so many reads.
    pub touches: Arc<AtomicUsize>,
    /// Reads of recordings, whole or in parts.
    pub reads: Arc<AtomicUsize>,
}

#[derive(Clone)]
struct Forwarding {
    client: Client,
    container: Url,
    touches: Arc<AtomicUsize>,
    reads: Arc<AtomicUsize>,
}

impl TouchingVault {
    /// In front of the container of this URL.
    pub async fn before(container: &str) -> Self {
        let mut container: Url = container.parse().expect("it is a URL");
        let forwarding = Forwarding {
            client: Client::new(),
            container: container.clone(),
            touches: Arc::default(),
            reads: Arc::default(),
        };
        let (touches, reads) = (
            Arc::clone(&forwarding.touches),
            Arc::clone(&forwarding.reads),
        );
        let listener = TcpListener::bind(("127.0.0.1", 0)).await;
        let listener = listener.expect("a port is free");
        let port = listener.local_addr().expect("it is bound").port();
        let router = Router::new().fallback(forward).with_state(forwarding);
        tokio::spawn(async move { axum::serve(listener, router).await });
        container.set_port(Some(port)).expect("the URL has a host");
        let url = container.to_string();
        Self {
            url,
            touches,
            reads,
        }
    }
}

async fn forward(State(to): State<Forwarding>, request: Request) -> Response {
    let (mut parts, body) = request.into_parts();
    let mut url = to.container.clone();
    url.set_path(parts.uri.path());
    url.set_query(parts.uri.query());
    let is_of_properties = url.query_pairs().any(|(name, _)| name == "comp");
    if parts.method == Method::GET && url.path().ends_with(".wav") && !is_of_properties {
        to.reads.fetch_add(1, Ordering::SeqCst);
        let left = |touches: usize| touches.checked_sub(1);
        let order = Ordering::SeqCst;
        if to.touches.try_update(order, order, left).is_ok() {
            touch(&to.client, &url).await;
        }
    }
    parts.headers.remove("host");
    let body = to_bytes(body, usize::MAX).await.expect("it comes");
    let request = to.client.request(parts.method, url);
    let request = request.headers(parts.headers).body(body);
    let answer = request.send().await.expect("Azurite answers");
    let (status, mut headers) = (answer.status(), answer.headers().clone());
    headers.remove("transfer-encoding");
    let content = answer.bytes().await.expect("the content comes");
    let mut response = Response::new(Body::from(content));
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    response
}

/// Sets a blob's metadata: the blob has another `ETag` then, and the same content.
async fn touch(client: &Client, blob: &Url) {
    let mut blob = blob.clone();
    blob.query_pairs_mut().append_pair("comp", "metadata");
    let request = client.put(blob).header("x-ms-meta-touched", "yes");
    let request = request.header("content-length", 0);
    let answer = request.send().await.expect("Azurite answers");
    assert_eq!(answer.status().as_u16(), 200);
}
