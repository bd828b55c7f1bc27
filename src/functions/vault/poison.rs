//! Events that could not be read: the list, and each event as it was kept. `actions` and `acknowledgements` replay and
//! dismiss them.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::json;

use crate::app::App;
use crate::catalogue::poison::PoisonList;
use crate::functions::principal::Caller;
use crate::functions::problem::Problem;
use crate::store::audit::AuditAction;
use crate::store::digest::Sha256Digest;

/// Events that could not be read.
#[utoipa::path(
    get, path = "/api/vault/poison", operation_id = "listVaultPoison", tag = "vault",
    responses((status = 200, description = "The events, with the reasons", body = PoisonList))
)]
pub(crate) async fn list(State(app): State<Arc<App>>) -> Result<Json<PoisonList>, Problem> {
    Ok(Json(app.catalogue.poison().await?))
}

/// Returns an event that could not be read, by its SHA-256.
#[utoipa::path(
    get, path = "/api/vault/poison/{sha256}", operation_id = "getPoison", tag = "vault",
    params(("sha256" = String, Path)),
    responses(
        (status = 200, description = "The event", content_type = "application/json"),
        (status = 404, description = "There is no such event", body = crate::functions::problem::ErrorAnswer),
        (status = 409, description = "What was kept is not readable", body = crate::functions::problem::ErrorAnswer),
    )
)]
pub(crate) async fn show(
    State(app): State<Arc<App>>,
    Path(sha256): Path<String>,
    caller: Caller,
) -> Result<Response, Problem> {
    let sha256 = Sha256Digest::try_from(sha256).map_err(|_| unknown())?;
    let Some(event) = app.catalogue.poison_event(sha256).await? else {
        return Err(unknown());
    };
    // An event may name people.
    let detail = caller.sign(json!({"file": "event"}));
    let subject = format!("poison:{sha256}");
    let log = app.ledger.audit_log();
    log.note_access(AuditAction::Downloaded, &subject, detail);
    let headers = [
        (header::CONTENT_TYPE, "application/json".to_owned()),
        (header::ETAG, format!("\"{sha256}\"")),
        (
            header::CONTENT_DISPOSITION,
            format!("attachment; filename=\"event-{sha256}.json\""),
        ),
    ];
    Ok((headers, event).into_response())
}

pub(super) fn unknown() -> Problem {
    let message = "There is no such event.";
    Problem::new(StatusCode::NOT_FOUND, "PoisonNotFound", message)
}
