//! The listener of the handler: HTTP/1.1 on loopback, with a timeout for a request's headers.

use std::convert::Infallible;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tracing::{debug, warn};

/// The host closes its own idle connections after a minute; if we close a connection first, a request may be lost.
const HEADERS_WITHIN: Duration = Duration::from_secs(75);
/// Delay after a failed `accept`, such as one without a free file descriptor.
const AFTER_FAILURE: Duration = Duration::from_secs(1);

/// Serves connections until it is dropped.
pub async fn serve(listener: TcpListener, router: Router) -> Infallible {
    serve_within(listener, router, HEADERS_WITHIN).await
}

async fn serve_within(
    listener: TcpListener,
    router: Router,
    headers_within: Duration,
) -> Infallible {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                tokio::spawn(connection(stream, router.clone(), headers_within));
            }
            Err(error) => {
                warn!(%error, "Could not accept a connection");
                tokio::time::sleep(AFTER_FAILURE).await;
            }
        }
    }
}

async fn connection(stream: TcpStream, router: Router, headers_within: Duration) {
    if let Err(error) = stream.set_nodelay(true) {
        debug!(%error, "Could not set TCP_NODELAY");
    }
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(headers_within)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router));
    if let Err(error) = served.await {
        debug!(%error, "A connection ended early");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::routing::get;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    async fn ask(request: &[u8]) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let router = Router::new().route("/", get(async || "fine"));
        let serving = serve_within(listener, router, Duration::from_millis(50));
        let asking = async {
            let mut stream = TcpStream::connect(address).await.unwrap();
            stream.write_all(request).await.unwrap();
            let mut answer = String::new();
            stream.read_to_string(&mut answer).await.unwrap();
            answer
        };
        tokio::select! {
            answer = asking => answer,
            never = serving => match never {},
        }
    }

    #[tokio::test]
    async fn headers_that_do_not_arrive_end_the_connection() {
        assert!(
            !ask(b"GET / HTTP/1.1\r\nHost: x\r\n")
                .await
                .contains("200 OK")
        );
        let answer = ask(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").await;
        assert!(
            answer.starts_with("HTTP/1.1 200 OK") && answer.ends_with("fine"),
            "{answer}"
        );
    }
}
