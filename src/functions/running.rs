//! Requests under way. Each runs in a task of its own to its end, even when its caller disconnects or its host dies: an
//! export that is dropped half-way keeps its claim until the claim expires.

use axum::extract::Request;
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use tracing::Instrument as _;

use super::invocation::InvocationResponse;
use crate::in_flight::InFlight;

/// Runs a request in a task of its own.
pub async fn to_its_end(in_flight: InFlight, request: Request, next: Next) -> Response {
    let counted = in_flight.begin();
    let running = async move {
        let response = next.run(request).await;
        drop(counted);
        response
    };
    // A panic in a handler is already a response. A failure here means that the runtime is shutting down.
    tokio::spawn(running.in_current_span())
        .await
        .unwrap_or_else(|_| InvocationResponse::failure("the handler is ending").into_response())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use axum::Router;
    use axum::body::Body;
    use axum::middleware::from_fn;
    use axum::routing::get;
    use tokio::sync::Notify;
    use tower::ServiceExt as _;

    use super::*;

    #[tokio::test]
    async fn a_request_runs_to_its_end_when_its_caller_leaves() {
        let in_flight = InFlight::default();
        let (begun, go_on, done) = <(Arc<Notify>, Arc<Notify>, Arc<Notify>)>::default();
        let handler = {
            let (begun, go_on, done) = (begun.clone(), go_on.clone(), done.clone());
            async move || {
                begun.notify_one();
                go_on.notified().await;
                done.notify_one();
            }
        };
        let layer = {
            let in_flight = in_flight.clone();
            from_fn(move |request, next| to_its_end(in_flight.clone(), request, next))
        };
        let router = Router::new().route("/", get(handler)).layer(layer);
        let request = Request::builder().uri("/").body(Body::empty()).unwrap();
        tokio::select! {
            _ = router.oneshot(request) => panic!("it waits"),
            () = begun.notified() => {}
        }
        go_on.notify_one();
        done.notified().await;
        in_flight.none().await;
    }
}
