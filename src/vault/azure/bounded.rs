//! Limits concurrent requests to the storage: a burst of events opens no more connections than that.

use std::sync::Arc;
use std::time::Instant;

use async_trait::async_trait;
use azure_core::http::{AsyncRawResponse, HttpClient, Method, Request};
use tokio::sync::Semaphore;

use crate::metrics;

/// Concurrent requests to the storage; far more than the blocks in flight of a process with default settings.
const AT_ONCE: usize = 96;

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
        result
    }
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

    use azure_core::http::StatusCode;
    use azure_core::http::headers::Headers;

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
