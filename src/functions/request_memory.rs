//! Memory for request bodies: process-wide budgets, from which each request takes its worst case before it is parsed.
//!
//! A body of a megabyte of JSON may take a hundred times that when it is parsed. The platform kills a process that
//! takes too much, and after three kills the host gives up on the whole app. A request that does not fit is asked to
//! retry.

use std::io::Read as _;
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, BodyDataStream, Bytes, HttpBody as _};
use axum::extract::Request;
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use flate2::read::MultiGzDecoder;
use futures::StreamExt as _;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tracing::warn;

use super::problem::Problem;
use crate::recording::json_memory;

/// Limits of all bodies together, by sender, parsed values included. The smallest plan of Azure Functions has 512 MB, and
/// its host takes 210 MB of them.
const EVENTS_BYTES: usize = 128 << 20;
const KEYED_BYTES: usize = 24 << 20;
const ANONYMOUS_BYTES: usize = 8 << 20;
/// The unit of the budget.
const UNIT_BYTES: usize = 1024;
/// Copies of a body: as received, as text of its binding, as poison, and as sent to the storage.
const COPIES: usize = 4;
/// What a gzip body begins with (RFC 1952 §2.3.1).
const GZIP: &[u8] = b"\x1f\x8b\x08";
const PIECE_BYTES: usize = 16 << 10;
/// Time to receive a body: it comes from the host on this machine, or from a caller who must be faster than this.
const READING_DEADLINE: Duration = Duration::from_secs(30);
/// The largest body that the host itself accepts is 100 MiB.
const DRAINED_BYTES: usize = 104 << 20;
const DRAINING_DEADLINE: Duration = Duration::from_secs(10);
const RETRY_AFTER: HeaderValue = HeaderValue::from_static("30");

/// The budgets of a process. Requests that need no key cannot take the memory of events, timer and queue.
pub struct RequestBudgets {
    /// Events, timer and queue.
    pub events: RequestMemory,
    /// Callers whose key the host has checked, and bots, whose key or token the app has checked.
    pub keyed: RequestMemory,
    pub anonymous: RequestMemory,
}

/// Memory budget of requests.
#[derive(Clone)]
pub struct RequestMemory {
    room: Arc<Semaphore>,
    limit_bytes: usize,
    on_too_large: OnTooLarge,
}

/// Response to a body beyond the limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnTooLarge {
    /// 413, for callers who can act on it.
    Refuse,
    /// 503, because Event Grid drops an event that is answered with 413.
    AskAgain,
}

/// Share of one request in the budget; returned on drop.
struct Reservation {
    room: Arc<Semaphore>,
    taken: Option<OwnedSemaphorePermit>,
    bytes: usize,
}

/// Why the body of a request was not read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Refused {
    NoRoom,
    TooLarge,
    Broken,
}

impl RequestBudgets {
    pub fn of_process() -> Self {
        Self {
            events: RequestMemory::new(EVENTS_BYTES),
            keyed: RequestMemory::new(KEYED_BYTES),
            anonymous: RequestMemory::new(ANONYMOUS_BYTES),
        }
    }
}

impl RequestMemory {
    fn new(budget_bytes: usize) -> Self {
        Self {
            room: Arc::new(Semaphore::new(budget_bytes / UNIT_BYTES)),
            limit_bytes: usize::MAX,
            on_too_large: OnTooLarge::Refuse,
        }
    }

    /// The same budget, for bodies up to this limit.
    #[must_use]
    pub fn with_limit(&self, limit_bytes: usize, on_too_large: OnTooLarge) -> Self {
        Self {
            room: Arc::clone(&self.room),
            limit_bytes,
            on_too_large,
        }
    }

    /// Reads the body of a request within the budget, and keeps its share until the response is complete.
    pub async fn reserve(self, request: Request, next: Next) -> Response {
        let (parts, body) = request.into_parts();
        if body.is_end_stream() {
            return next.run(Request::from_parts(parts, body)).await;
        }
        let mut reservation = Reservation {
            room: Arc::clone(&self.room),
            taken: None,
            bytes: 0,
        };
        let announced = body.size_hint().exact();
        let mut pieces = body.into_data_stream();
        match self.read(&mut pieces, announced, &mut reservation).await {
            Ok(content) => {
                let request = Request::from_parts(parts, Body::from(content));
                let response = next.run(request).await;
                drop(reservation);
                response
            }
            Err(refused) => {
                drop(reservation);
                drain(pieces).await;
                refused.answer(self.on_too_large)
            }
        }
    }

    /// Reads a body. Takes memory for each piece as it arrives: an announced length costs the sender nothing.
    async fn read(
        &self,
        pieces: &mut BodyDataStream,
        announced: Option<u64>,
        reservation: &mut Reservation,
    ) -> Result<Bytes, Refused> {
        if let Some(length) = announced {
            self.fits(usize::try_from(length).unwrap_or(usize::MAX))?;
        }
        let reading = async {
            let mut content = Vec::new();
            while let Some(piece) = pieces.next().await {
                let piece = piece.map_err(|_| Refused::Broken)?;
                self.fits(content.len() + piece.len())?;
                reservation.grow(piece.len().saturating_mul(COPIES))?;
                content.extend_from_slice(&piece);
            }
            Ok(content)
        };
        let content = tokio::time::timeout(READING_DEADLINE, reading)
            .await
            .map_err(|_| Refused::Broken)??;
        let content = self.inflated(content, reservation)?;
        reservation.grow(json_memory::to_read(&content))?;
        Ok(Bytes::from(content))
    }

    /// The content of a gzip body, which a gateway may make of a delivery. One that is damaged stays as it is.
    fn inflated(
        &self,
        content: Vec<u8>,
        reservation: &mut Reservation,
    ) -> Result<Vec<u8>, Refused> {
        if !content.starts_with(GZIP) {
            return Ok(content);
        }
        let mut decoder = MultiGzDecoder::new(&content[..]);
        let mut inflated = Vec::new();
        let mut piece = [0; PIECE_BYTES];
        loop {
            match decoder.read(&mut piece) {
                Ok(0) => return Ok(inflated),
                Ok(length) => {
                    self.fits(inflated.len() + length)?;
                    reservation.grow(length.saturating_mul(COPIES))?;
                    inflated.extend_from_slice(&piece[..length]);
                }
                Err(_) => return Ok(content),
            }
        }
    }

    fn fits(&self, length: usize) -> Result<(), Refused> {
        if length > self.limit_bytes {
            Err(Refused::TooLarge)
        } else {
            Ok(())
        }
    }
}

/// Reads the rest of a refused body and drops it, within bounds. The host writes the whole body before it reads the
/// response: if the connection closes meanwhile, the host responds with 502 instead of our response.
pub async fn drain(mut pieces: BodyDataStream) {
    let draining = async {
        let mut drained_bytes = 0;
        while let Some(Ok(piece)) = pieces.next().await {
            drained_bytes += piece.len();
            if drained_bytes > DRAINED_BYTES {
                break;
            }
        }
    };
    // A body that does not end in time is cut off; the response is the same.
    let _ = tokio::time::timeout(DRAINING_DEADLINE, draining).await;
}

impl Reservation {
    /// Takes more; a request never waits for memory while it holds some.
    fn grow(&mut self, bytes: usize) -> Result<(), Refused> {
        self.bytes = self.bytes.saturating_add(bytes);
        let held = self
            .taken
            .as_ref()
            .map_or(0, OwnedSemaphorePermit::num_permits);
        let units = self.bytes.div_ceil(UNIT_BYTES).saturating_sub(held);
        let units = u32::try_from(units).map_err(|_| Refused::NoRoom)?;
        let more = Arc::clone(&self.room)
            .try_acquire_many_owned(units)
            .map_err(|_| Refused::NoRoom)?;
        match &mut self.taken {
            Some(taken) => taken.merge(more),
            None => self.taken = Some(more),
        }
        Ok(())
    }
}

impl Refused {
    fn answer(self, on_too_large: OnTooLarge) -> Response {
        let (code, message) = match self {
            Self::NoRoom => (
                "Busy",
                "There is no room for this request now; send it again.",
            ),
            Self::TooLarge => (
                "PayloadTooLarge",
                "The body is larger than any request here.",
            ),
            Self::Broken => ("BodyIncomplete", "The body did not arrive; send it again."),
        };
        if (self, on_too_large) == (Self::TooLarge, OnTooLarge::Refuse) {
            return Problem::new(StatusCode::PAYLOAD_TOO_LARGE, code, message).into_response();
        }
        warn!(
            error = code,
            "A request was not read; its sender is asked to retry"
        );
        let problem = Problem::new(StatusCode::SERVICE_UNAVAILABLE, code, message);
        let mut response = problem.into_response();
        response
            .headers_mut()
            .insert(header::RETRY_AFTER, RETRY_AFTER);
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::Router;
    use axum::extract::DefaultBodyLimit;
    use axum::middleware::from_fn;
    use axum::routing::post;
    use flate2::Compression;
    use flate2::write::GzEncoder;
    use std::convert::Infallible;
    use std::io::Write as _;
    use tower::ServiceExt as _;

    const BUDGET_BYTES: usize = 160 << 20;

    /// Answers with the length of the body, and waits until `gate` is open.
    fn router(memory: &RequestMemory, gate: &Arc<Semaphore>) -> Router {
        let (memory, gate) = (memory.clone(), Arc::clone(gate));
        let handler = move |body: Bytes| async move {
            let _open = gate.acquire().await;
            body.len().to_string()
        };
        let reserve = move |request: Request, next: Next| memory.clone().reserve(request, next);
        Router::new()
            .route("/", post(handler))
            .layer(DefaultBodyLimit::disable())
            .layer(from_fn(reserve))
    }

    async fn send(router: &Router, body: Body) -> Response {
        let request = Request::post("/").body(body).unwrap();
        router.clone().oneshot(request).await.unwrap()
    }

    fn chunked(pieces: usize, piece: &[u8]) -> Body {
        let piece = Bytes::copy_from_slice(piece);
        let pieces = std::iter::repeat_n(Ok::<_, Infallible>(piece), pieces);
        Body::from_stream(futures::stream::iter(pieces))
    }

    #[tokio::test]
    async fn without_room_a_request_is_asked_to_retry_and_finds_room_later() {
        let memory = RequestMemory::new(BUDGET_BYTES).with_limit(64 << 20, OnTooLarge::AskAgain);
        let gate = Arc::new(Semaphore::new(0));
        let router = router(&memory, &gate);
        let large = vec![b' '; 30 << 20];
        let first = tokio::spawn({
            let (router, large) = (router.clone(), large.clone());
            async move { send(&router, Body::from(large)).await.status() }
        });
        while memory.room.available_permits() == BUDGET_BYTES / UNIT_BYTES {
            tokio::task::yield_now().await;
        }
        let part = vec![b' '; 1 << 20];
        for body in [Body::from(large.clone()), chunked(30, &part)] {
            let refused = send(&router, body).await;
            assert_eq!(refused.status(), StatusCode::SERVICE_UNAVAILABLE);
            assert!(refused.headers().contains_key(header::RETRY_AFTER));
        }
        gate.add_permits(1);
        assert_eq!(first.await.unwrap(), StatusCode::OK);
        assert_eq!(
            send(&router, Body::from(large)).await.status(),
            StatusCode::OK
        );
        assert_eq!(memory.room.available_permits(), BUDGET_BYTES / UNIT_BYTES);
    }

    #[tokio::test]
    async fn what_json_is_made_of_counts_and_not_only_its_length() {
        let memory = RequestMemory::new(96 << 20).with_limit(8 << 20, OnTooLarge::AskAgain);
        let router = router(&memory, &Arc::new(Semaphore::new(1)));
        let bomb = r#"{"":0},"#.repeat(1 << 20);
        assert_eq!(
            send(&router, Body::from(bomb)).await.status(),
            StatusCode::SERVICE_UNAVAILABLE
        );
        let genuine = r#"{"documentId": "0-eus-d12-801b3f3fc462fe8a01e6810cbff729b8"},"#;
        let genuine = genuine.repeat((1 << 20) / genuine.len());
        assert_eq!(
            send(&router, Body::from(genuine)).await.status(),
            StatusCode::OK
        );
    }

    #[tokio::test]
    async fn a_body_that_is_too_large_is_refused_by_its_length_or_where_it_passes_the_limit() {
        let memory = RequestMemory::new(BUDGET_BYTES).with_limit(1000, OnTooLarge::AskAgain);
        let router = router(&memory, &Arc::new(Semaphore::new(1)));
        for body in [Body::from(vec![0; 1001]), chunked(1001, b"x")] {
            let refused = send(&router, body).await;
            assert_eq!(refused.status(), StatusCode::SERVICE_UNAVAILABLE);
        }
        assert_eq!(
            send(&router, chunked(1000, b"x")).await.status(),
            StatusCode::OK
        );
    }

    #[tokio::test]
    async fn a_refused_body_is_read_to_its_end() {
        let memory = RequestMemory::new(BUDGET_BYTES).with_limit(1000, OnTooLarge::Refuse);
        let router = router(&memory, &Arc::new(Semaphore::new(1)));
        let read = Arc::new(std::sync::atomic::AtomicUsize::new(0));
        let counting = Arc::clone(&read);
        let pieces = std::iter::repeat_n(Bytes::from_static(&[b'x'; 500]), 40).map(move |piece| {
            counting.fetch_add(piece.len(), std::sync::atomic::Ordering::Relaxed);
            Ok::<_, Infallible>(piece)
        });
        let refused = send(&router, Body::from_stream(futures::stream::iter(pieces))).await;
        assert_eq!(refused.status(), StatusCode::PAYLOAD_TOO_LARGE);
        assert_eq!(read.load(std::sync::atomic::Ordering::Relaxed), 20_000);
        assert_eq!(memory.room.available_permits(), BUDGET_BYTES / UNIT_BYTES);
    }

    #[tokio::test(start_paused = true)]
    async fn pieces_take_memory_as_they_arrive() {
        let memory = RequestMemory::new(BUDGET_BYTES).with_limit(1 << 20, OnTooLarge::AskAgain);
        let router = router(&memory, &Arc::new(Semaphore::new(1)));
        let before = memory.room.available_permits();
        let pending = futures::stream::pending::<Result<Bytes, Infallible>>();
        let (router, byte) = (router.clone(), Bytes::from_static(b"x"));
        let pieces = std::iter::repeat_n(Ok(byte), 2 * UNIT_BYTES);
        let body = Body::from_stream(futures::stream::iter(pieces).chain(pending));
        let sending = tokio::spawn(async move { send(&router, body).await.status() });
        while memory.room.available_permits() != before - 2 * COPIES {
            tokio::task::yield_now().await;
        }
        assert_eq!(sending.await.unwrap(), StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(memory.room.available_permits(), before);
    }

    fn gzip(content: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(content).unwrap();
        encoder.finish().unwrap()
    }

    #[rstest::rstest]
    #[case::whole(gzip(&[b' '; 1000]), "1000")]
    #[case::two_members([gzip(b"12"), gzip(b"345")].concat(), "5")]
    #[case::damaged(gzip(b"12")[..15].to_vec(), "15")]
    #[tokio::test]
    async fn a_gzip_body_is_inflated_unless_it_is_damaged(
        #[case] body: Vec<u8>,
        #[case] expected: &str,
    ) {
        let memory = RequestMemory::new(BUDGET_BYTES).with_limit(1000, OnTooLarge::Refuse);
        let router = router(&memory, &Arc::new(Semaphore::new(1)));
        let answer = send(&router, Body::from(body)).await;
        let length = axum::body::to_bytes(answer.into_body(), 10).await.unwrap();
        assert_eq!(length, expected);
    }

    #[tokio::test]
    async fn the_limit_is_that_of_the_inflated_body() {
        let memory = RequestMemory::new(BUDGET_BYTES).with_limit(1000, OnTooLarge::Refuse);
        let router = router(&memory, &Arc::new(Semaphore::new(1)));
        let bomb = gzip(&vec![b' '; 100 << 10]);
        assert!(bomb.len() < 1000);
        let refused = send(&router, Body::from(bomb)).await;
        assert_eq!(refused.status(), StatusCode::PAYLOAD_TOO_LARGE);
        assert_eq!(memory.room.available_permits(), BUDGET_BYTES / UNIT_BYTES);
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_does_not_arrive_gives_its_room_back() {
        let memory = RequestMemory::new(BUDGET_BYTES).with_limit(1000, OnTooLarge::AskAgain);
        let router = router(&memory, &Arc::new(Semaphore::new(1)));
        let pending = futures::stream::pending::<Result<Bytes, Infallible>>();
        let refused = send(&router, Body::from_stream(pending)).await;
        assert_eq!(refused.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(memory.room.available_permits(), BUDGET_BYTES / UNIT_BYTES);
    }
}
