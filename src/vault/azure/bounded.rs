//! Limits concurrent requests to the storage: a burst of events opens no more connections than that. It also limits the
//! delays that the storage asks for.

use std::sync::Arc;
use std::time::Instant;

use async_trait::async_trait;
use azure_core::http::headers::{
    HeaderName, Headers, RETRY_AFTER, RETRY_AFTER_MS, X_MS_RETRY_AFTER_MS,
};
use azure_core::http::{AsyncRawResponse, HttpClient, Method, Request};
use tokio::sync::Semaphore;

use super::LONGEST_DELAY_SECONDS;
use crate::metrics;

/// Concurrent requests to the storage; far more than the blocks in flight of a process with default settings.
const AT_ONCE: usize = 96;

/// The headers that the client reads a delay from (`azure_core` 1.1.0, `http/pipeline.rs`), and how many of their unit a
/// second has.
const DELAYS: [(HeaderName, i64); 3] = [
    (X_MS_RETRY_AFTER_MS, 1000),
    (RETRY_AFTER_MS, 1000),
    (RETRY_AFTER, 1),
];

/// The official client's transport, with a queue before it.
#[derive(Debug)]
pub(super) struct BoundedClient {
    inner: Arc<dyn HttpClient>,
    permits: Semaphore,
}

impl BoundedClient {
    pub fn new(inner: Arc<dyn HttpClient>) -> Self {
        Self {
            inner,
            permits: Semaphore::new(AT_ONCE),
        }
    }
}

#[async_trait]
impl HttpClient for BoundedClient {
    async fn execute_request(&self, request: &Request) -> azure_core::Result<AsyncRawResponse> {
        let _permit = self
            .permits
            .acquire()
            .await
            .expect("the semaphore is never closed");
        let began = Instant::now();
        let result = self.inner.execute_request(request).await;
        let status = result
            .as_ref()
            .ok()
            .map(|response| u16::from(response.status()));
        let method = method(request.method());
        metrics::STORAGE_REQUESTS.increment(&[method, metrics::status_class(status)]);
        metrics::STORAGE_REQUEST_DURATION.record(began.elapsed().as_secs_f64(), &[method]);
        result.map(with_short_delay)
    }
}

/// Shortens the delay that an answer asks for. The client sleeps that long without regard to its own limits, while its
/// caller holds a slot and a claim: an hour may outlast the file at ACS. The sweep tries again later.
fn with_short_delay(answer: AsyncRawResponse) -> AsyncRawResponse {
    let Some(headers) = short_delays(answer.headers()) else {
        return answer;
    };
    let (status, _, body) = answer.deconstruct();
    AsyncRawResponse::new(status, headers, Box::pin(body))
}

/// Returns the headers with each delay cut to the client's own longest one; `None` if none is longer. A date, or a text
/// that is no number, counts as longer.
fn short_delays(headers: &Headers) -> Option<Headers> {
    let mut short = None;
    for (name, units_a_second) in DELAYS {
        let longest = LONGEST_DELAY_SECONDS * units_a_second;
        let Some(asked_for) = headers.get_optional_str(&name) else {
            continue;
        };
        if !asked_for.parse::<i64>().is_ok_and(|delay| delay <= longest) {
            let short = short.get_or_insert_with(|| headers.clone());
            short.insert(name, longest.to_string());
        }
    }
    short
}

fn method(method: Method) -> &'static str {
    match method {
        Method::Get => "GET",
        Method::Head => "HEAD",
        Method::Put => "PUT",
        Method::Delete => "DELETE",
        Method::Post => "POST",
        Method::Patch => "PATCH",
        _ => "other",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;

    use azure_core::http::{StatusCode, Transport};

    use super::super::{AzureStorage, ContainerUrl};

    /// Answers after everything else had its turn; counts its waiters.
    #[derive(Debug, Default)]
    struct Counting {
        now: AtomicUsize,
        most: AtomicUsize,
    }

    #[async_trait]
    impl HttpClient for Counting {
        async fn execute_request(
            &self,
            _request: &Request,
        ) -> azure_core::Result<AsyncRawResponse> {
            let now = self.now.fetch_add(1, Ordering::Relaxed) + 1;
            self.most.fetch_max(now, Ordering::Relaxed);
            tokio::task::yield_now().await;
            self.now.fetch_sub(1, Ordering::Relaxed);
            Ok(AsyncRawResponse::from_bytes(
                StatusCode::Ok,
                Headers::new(),
                "",
            ))
        }
    }

    /// Asks once for an hour's delay, and then answers.
    #[derive(Debug, Default)]
    struct BusyOnce(AtomicUsize);

    #[async_trait]
    impl HttpClient for BusyOnce {
        async fn execute_request(
            &self,
            _request: &Request,
        ) -> azure_core::Result<AsyncRawResponse> {
            let (mut status, mut headers) = (StatusCode::Ok, Headers::new());
            if self.0.fetch_add(1, Ordering::Relaxed) == 0 {
                status = StatusCode::ServiceUnavailable;
                headers.insert(RETRY_AFTER, "3600");
            }
            Ok(AsyncRawResponse::from_bytes(status, headers, ""))
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_storage_that_asks_for_an_hour_is_asked_again_within_seconds() {
        let busy = Arc::new(BusyOnce::default());
        let storage = AzureStorage {
            credential: None,
            transport: Transport::new(Arc::new(BoundedClient::new(busy.clone()))),
        };
        let url = "https://account.blob.core.windows.net/calls?sv=2024-08-04&sig=x";
        let url = ContainerUrl::new(url.parse().unwrap()).unwrap();
        let container = storage.container(&url).unwrap();
        let began = tokio::time::Instant::now();
        container.get_properties(None).await.unwrap();
        assert_eq!(busy.0.load(Ordering::Relaxed), 2);
        assert!(began.elapsed() < Duration::from_secs(10));
    }

    #[rstest::rstest]
    #[case::none(None, None)]
    #[case::seconds(Some((RETRY_AFTER, "3600")), Some("3"))]
    #[case::few_seconds(Some((RETRY_AFTER, "3")), Some("3"))]
    #[case::at_once(Some((RETRY_AFTER, "0")), Some("0"))]
    #[case::date(Some((RETRY_AFTER, "Wed, 02 Mar 2095 10:00:00 GMT")), Some("3"))]
    #[case::no_number(Some((RETRY_AFTER, "99999999999999999999")), Some("3"))]
    #[case::milliseconds(Some((RETRY_AFTER_MS, "86400000")), Some("3000"))]
    #[case::few_milliseconds(Some((RETRY_AFTER_MS, "250")), Some("250"))]
    #[case::of_azure(Some((X_MS_RETRY_AFTER_MS, "3001")), Some("3000"))]
    #[case::another_header(Some((HeaderName::from_static("date"), "3600")), Some("3600"))]
    fn a_delay_is_cut_to_the_longest_of_the_client(
        #[case] asked_for: Option<(HeaderName, &'static str)>,
        #[case] expected: Option<&str>,
    ) {
        let mut headers = Headers::new();
        if let Some((name, delay)) = asked_for.clone() {
            headers.insert(name, delay);
        }
        let answer = AsyncRawResponse::from_bytes(StatusCode::ServiceUnavailable, headers, "busy");
        let answer = with_short_delay(answer);
        let found = asked_for.and_then(|(name, _)| answer.headers().get_optional_str(&name));
        assert_eq!(found, expected);
        let count = answer.headers().iter().count();
        assert_eq!(count, usize::from(found.is_some()));
    }

    #[tokio::test]
    async fn a_crowd_goes_to_the_storage_a_few_at_a_time() {
        let inner = Arc::new(Counting::default());
        let client = BoundedClient::new(inner.clone());
        let request = Request::new(
            "https://a.blob.core.windows.net/c".parse().unwrap(),
            Method::Get,
        );
        let answers =
            futures::future::join_all((0..500).map(|_| client.execute_request(&request))).await;
        assert!(answers.iter().all(Result::is_ok));
        assert_eq!(inner.most.load(Ordering::Relaxed), AT_ONCE);
    }
}
