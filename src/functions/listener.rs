//! The listener of the handler: HTTP/1.1 on loopback, with a time limit for a request's headers, and one for a response.

use std::convert::Infallible;
use std::time::Duration;

use axum::Router;
use axum::extract::Request;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::Instant;
use tower::ServiceExt as _;
use tracing::{debug, info, warn};

use super::response_time::{RESPONSE_WITHIN, ResponseDeadline};

/// The host closes its own idle connections after a minute; if we close a connection first, a request may be lost.
const HEADERS_WITHIN: Duration = Duration::from_secs(75);
/// Delay after a failed `accept`, such as one without a free file descriptor.
const AFTER_FAILURE: Duration = Duration::from_secs(1);

/// Times after which a connection is dropped.
#[derive(Debug, Clone, Copy)]
struct Limits {
    headers: Duration,
    /// From the request's headers to the last byte of a response that is made while it is sent.
    response: Duration,
}

/// Serves connections until it is dropped.
pub async fn serve(listener: TcpListener, router: Router) -> Infallible {
    let limits = Limits {
        headers: HEADERS_WITHIN,
        response: RESPONSE_WITHIN,
    };
    serve_within(listener, router, limits).await
}

async fn serve_within(listener: TcpListener, router: Router, limits: Limits) -> Infallible {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                tokio::spawn(connection(stream, router.clone(), limits));
            }
            Err(error) => {
                warn!(%error, "Could not accept a connection");
                tokio::time::sleep(AFTER_FAILURE).await;
            }
        }
    }
}

async fn connection(stream: TcpStream, router: Router, limits: Limits) {
    if let Err(error) = stream.set_nodelay(true) {
        debug!(%error, "Could not set TCP_NODELAY");
    }
    let deadline = ResponseDeadline::default();
    let service = {
        let deadline = deadline.clone();
        tower::service_fn(move |request: Request<_>| {
            let (router, deadline) = (router.clone(), deadline.clone());
            let ends_at = Instant::now() + limits.response;
            async move {
                let response = router.oneshot(request).await?;
                Ok::<_, Infallible>(response.map(|body| deadline.set_for(body, ends_at)))
            }
        })
    };
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.headers)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(service));
    tokio::select! {
        biased;
        served = served => if let Err(error) = served {
            debug!(%error, "A connection ended early");
        },
        () = deadline.passed() => {
            info!(limit = ?limits.response, "A response took too long and was aborted, because the Functions host would kill the process; a caller can request the rest of a file with Range");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;
    use axum::body::Body;
    use axum::routing::get;
    use futures::StreamExt as _;
    use futures::stream::{self, BoxStream};
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    const PATIENT: Limits = Limits {
        headers: Duration::from_mins(1),
        response: Duration::from_mins(1),
    };

    /// What comes back until the connection ends.
    async fn ask(request: &[u8], limits: Limits) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let router = Router::new()
            .route("/", get(async || "fine"))
            .route("/stalling", get(async || Body::from_stream(stalling())))
            .route("/endless", get(async || Body::from_stream(endless())))
            .route("/streamed", get(async || Body::from_stream(streamed())))
            .route("/late", get(late));
        let serving = serve_within(listener, router, limits);
        let asking = async {
            let mut stream = TcpStream::connect(address).await.unwrap();
            stream.write_all(request).await.unwrap();
            let mut answer = Vec::new();
            // A connection that is dropped while data waits in it may be reset.
            let _ = stream.read_to_end(&mut answer).await;
            String::from_utf8(answer).unwrap()
        };
        tokio::select! {
            answer = asking => answer,
            never = serving => match never {},
        }
    }

    type Pieces = BoxStream<'static, Result<&'static str, Infallible>>;

    fn streamed() -> Pieces {
        stream::iter([Ok("one "), Ok("two")]).boxed()
    }

    async fn late() -> &'static str {
        tokio::time::sleep(Duration::from_millis(100)).await;
        "late"
    }

    fn stalling() -> Pieces {
        streamed().chain(stream::pending()).boxed()
    }

    fn endless() -> Pieces {
        stream::repeat(Ok("more "))
            .then(async |piece| {
                tokio::time::sleep(Duration::from_millis(5)).await;
                piece
            })
            .boxed()
    }

    #[rstest::rstest]
    #[case::that_stalls("/stalling")]
    #[case::that_goes_on_and_on("/endless")]
    #[tokio::test]
    async fn a_response_that_takes_too_long_is_broken_off(#[case] path: &str) {
        let limits = Limits {
            response: Duration::from_millis(50),
            ..PATIENT
        };
        let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n");
        let answer = ask(request.as_bytes(), limits).await;
        assert!(answer.starts_with("HTTP/1.1 200 OK"), "{answer}");
        assert!(!answer.ends_with("0\r\n\r\n"), "it seems whole: {answer}");
    }

    #[tokio::test]
    async fn a_reader_who_takes_nothing_is_broken_off() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (dropped, was_dropped) = tokio::sync::oneshot::channel::<Infallible>();
        let dropped = Arc::new(Mutex::new(Some(dropped)));
        let large = move || {
            let held = dropped.lock().unwrap().take();
            let pieces = stream::repeat_with(move || {
                let _held = &held;
                Ok::<_, Infallible>(vec![0; 1 << 20])
            });
            async { Body::from_stream(pieces) }
        };
        let limits = Limits {
            response: Duration::from_millis(50),
            ..PATIENT
        };
        let serving = serve_within(listener, Router::new().route("/", get(large)), limits);
        let asking = async {
            let mut stream = TcpStream::connect(address).await.unwrap();
            let request = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n";
            stream.write_all(request).await.unwrap();
            was_dropped.await.unwrap_err();
        };
        tokio::select! {
            () = asking => {}
            never = serving => match never {},
        }
    }

    #[tokio::test]
    async fn the_time_of_one_response_does_not_count_for_the_next() {
        let limits = Limits {
            headers: Duration::from_millis(300),
            response: Duration::from_millis(50),
        };
        let two = "GET /streamed HTTP/1.1\r\nHost: x\r\n\r\nGET /late HTTP/1.1\r\nHost: x\r\n\r\n";
        let answer = ask(two.as_bytes(), limits).await;
        assert!(answer.ends_with("late"), "{answer}");
    }

    #[tokio::test]
    async fn headers_that_do_not_arrive_end_the_connection() {
        let limits = Limits {
            headers: Duration::from_millis(50),
            ..PATIENT
        };
        assert!(
            !ask(b"GET / HTTP/1.1\r\nHost: x\r\n", limits)
                .await
                .contains("200 OK")
        );
        let answer = ask(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", limits).await;
        assert!(
            answer.starts_with("HTTP/1.1 200 OK") && answer.ends_with("fine"),
            "{answer}"
        );
    }
}
