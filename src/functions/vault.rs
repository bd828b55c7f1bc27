//! The vault over HTTP: lists, one recording in detail, its media, and, where `OPERATOR_ACTIONS` is on, the actions of
//! an operator.
//!
//! | function | routes |
//! |---|---|
//! | `Vault` | `GET` of `vault/summary`, `recordings`, `chunks`, `days`, `deadlines`, `poison`, `evidence`, `holds`; the host asks for a function key |
//! | `VaultActions` | `POST` of the same, and of `vault/rights`: actions of an operator; has a key of its own |
//! | `VaultPlay` | `vault/play/{ticket}`: media, for callers with a ticket |
//! | `VaultPage` | `vault`: the page |

pub mod acceptance;
pub mod acknowledgements;
pub mod actions;
mod conditions;
pub mod evidence;
pub mod holds;
pub mod list;
pub mod media;
pub mod page;
pub mod poison;
mod range;
pub mod recording;
pub mod rights;

use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::{from_fn, from_fn_with_state};
use axum::response::Response;
use axum::routing::{MethodRouter, get, post};

use super::http_envelope;
use super::invocation::InvocationResponse;
use super::problem::{Problem, get_only};
use super::repeated;
use crate::app::App;
use crate::recording::{DocumentId, RecordingId};

/// Routes of `Vault`.
pub fn read_routes(app: &Arc<App>) -> Router<Arc<App>> {
    let routes = Router::new()
        .route("/api/vault/summary", get(list::summary))
        .route("/api/vault/recordings", get(list::recordings))
        .route("/api/vault/recordings/{recording_id}", get(recording::show))
        .route(
            "/api/vault/recordings/{recording_id}/evidence",
            file(get(evidence::evidence).head(get_only)),
        )
        .route(
            "/api/vault/chunks/{document_id}/ticket",
            once(app, get(media::ticket).head(get_only)),
        )
        .route(
            "/api/vault/chunks/{document_id}/media",
            file(get(media::media)),
        )
        .route(
            "/api/vault/chunks/{document_id}/metadata",
            file(get(media::metadata)),
        )
        .route("/api/vault/days", get(list::days))
        .route("/api/vault/deadlines", get(list::deadlines))
        .route("/api/vault/deadlines/recordings", get(list::due_recordings))
        .route(
            "/api/vault/evidence",
            file(get(evidence::of_several).head(get_only)),
        )
        .route("/api/vault/poison", get(poison::list))
        .route(
            "/api/vault/poison/{sha256}",
            file(get(poison::show).head(get_only)),
        )
        .route("/api/vault/holds", get(holds::list));
    finished(routes)
}

/// Routes of `VaultActions`.
pub fn action_routes(app: &Arc<App>) -> Router<Arc<App>> {
    let routes = Router::new()
        .route("/api/vault/rights", post(rights::rights))
        .route(
            "/api/vault/recordings/{recording_id}/hold",
            once(app, post(holds::hold_recording)),
        )
        .route(
            "/api/vault/recordings/{recording_id}/release",
            once(app, post(holds::release_recording)),
        )
        .route(
            "/api/vault/chunks/{document_id}/retry",
            once(app, post(actions::retry)),
        )
        .route(
            "/api/vault/chunks/{document_id}/accept",
            once(app, post(acceptance::accept)),
        )
        .route(
            "/api/vault/chunks/{document_id}/verify",
            once(app, post(actions::verify)),
        )
        .route(
            "/api/vault/poison/{sha256}/replay",
            once(app, post(actions::replay)),
        )
        .route("/api/vault/holds", once(app, post(holds::add)))
        .route("/api/vault/holds/release", once(app, post(holds::release)))
        .route(
            "/api/vault/recordings/{recording_id}/acknowledge",
            once(app, post(acknowledgements::acknowledge_recording)),
        )
        .route(
            "/api/vault/chunks/{document_id}/acknowledge",
            once(app, post(acknowledgements::acknowledge_chunk)),
        )
        .route(
            "/api/vault/poison/{sha256}/dismiss",
            once(app, post(acknowledgements::dismiss)),
        )
        // The route from before a reader's key was accepted; issues the same ticket.
        .route(
            "/api/vault/chunks/{document_id}/ticket",
            once(app, post(media::ticket)),
        );
    finished(routes)
}

/// Routes of `VaultPlay`.
pub fn play_routes() -> Router<Arc<App>> {
    finished(Router::new().route("/api/vault/play/{ticket}", file(get(media::play))))
}

/// Routes of `VaultPage`.
pub fn page_routes() -> Router<Arc<App>> {
    finished(Router::new().route("/api/vault", get(page::page)))
}

/// A request that the host sends again gets the answer of the first run.
fn once(app: &Arc<App>, route: MethodRouter<Arc<App>>) -> MethodRouter<Arc<App>> {
    route.layer(from_fn_with_state(Arc::clone(app), repeated::answer_once))
}

/// A route that returns a file byte for byte, which the envelope form cannot.
fn file(route: MethodRouter<Arc<App>>) -> MethodRouter<Arc<App>> {
    route.layer(from_fn(http_envelope::refuse_envelope))
}

fn finished(routes: Router<Arc<App>>) -> Router<Arc<App>> {
    routes.layer(axum::middleware::map_response(without_referrer))
}

/// The envelope form of all these functions.
pub async fn invoke(State(routes): State<Router>, body: Bytes) -> InvocationResponse {
    http_envelope::invoke(routes, "vault", &body).await
}

/// The browser sends no referrer.
async fn without_referrer(mut response: Response) -> Response {
    response.headers_mut().insert(
        header::REFERRER_POLICY,
        HeaderValue::from_static("no-referrer"),
    );
    response
}

fn document_id(text: &str) -> Result<DocumentId, Problem> {
    text.parse()
        .map_err(|error| Problem::invalid(Some("documentId"), format!("The {error}.")))
}

fn recording_id(text: &str) -> Result<RecordingId, Problem> {
    text.parse()
        .map_err(|error| Problem::invalid(Some("recordingId"), format!("The {error}.")))
}

fn unknown_recording() -> Problem {
    Problem::new(
        StatusCode::NOT_FOUND,
        "RecordingNotFound",
        "No such recording: neither the register nor an open chunk has this id, and the audit log does not mention it.",
    )
}

fn unknown_chunk() -> Problem {
    Problem::new(
        StatusCode::NOT_FOUND,
        "ChunkNotFound",
        "There is no such chunk in the ledger.",
    )
}
