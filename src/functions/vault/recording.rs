//! One recording in detail.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;

use super::{recording_id, unknown_recording};
use crate::app::App;
use crate::catalogue::detail::{RecordingDetail, RecordingLookup};
use crate::functions::problem::Problem;

/// One recording: chunks, participants, pauses, holds, receipts, and what happened to it.
#[utoipa::path(
    get, path = "/api/vault/recordings/{recordingId}", operation_id = "getVaultRecording", tag = "vault",
    params(("recordingId" = String, Path)),
    responses(
        (status = 200, description = "All that is known of it", body = RecordingDetail),
        (status = 404, description = "No account of it is known", body = crate::functions::problem::ErrorAnswer),
        (status = 409, description = "Its account is not readable, or lost", body = crate::functions::problem::ErrorAnswer),
        (status = 410, description = "It was erased", body = crate::functions::problem::ErrorAnswer),
        (status = 503, description = "Whether there is such a recording is not known", body = crate::functions::problem::ErrorAnswer),
    )
)]
pub(crate) async fn show(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
) -> Result<Json<RecordingDetail>, Problem> {
    match app.catalogue.show(&recording_id(&id)?).await? {
        RecordingLookup::Known(detail) => Ok(Json(*detail)),
        RecordingLookup::Erased => {
            let message = "The recording was erased on request; nothing of it is left here.";
            Err(Problem::new(StatusCode::GONE, "RecordingErased", message))
        }
        RecordingLookup::Unknown => Err(unknown_recording()),
    }
}
