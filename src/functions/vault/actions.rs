//! What an operator may do, where `OPERATOR_ACTIONS` is on: retry, verify, hold, release, replay.

use std::sync::Arc;

use axum::Json;
use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::{document_id, recording_id, unknown_chunk, unknown_recording};
use crate::app::App;
use crate::catalogue::CatalogueError;
use crate::catalogue::actions::{By, HeldNow, Verified};
use crate::catalogue::detail::{ShownCase, shown_case};
use crate::export::ledger::Retried;
use crate::functions::problem::Problem;
use crate::functions::recording_control::principal;
use crate::intake::events_in;
use crate::store::holds::{Case, CaseTag};

/// What there is to say of a person or a case, at most.
const TEXT_LIMIT: usize = 1000;

/// A case to hold a recording for.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct HoldRequest {
    #[schema(example = "A-2026-17")]
    case: String,
    /// Who wants it held; else who asks, where that is known.
    by: Option<String>,
    note: Option<String>,
}

/// A case to release a recording from.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ReleaseRequest {
    #[schema(example = "A-2026-17")]
    case: String,
}

/// What holds a recording now.
#[derive(Serialize, ToSchema)]
pub(crate) struct HoldsAnswer {
    holds: Vec<ShownCase>,
}

/// A chunk's state after a retry.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct RetryAnswer {
    document_id: String,
    state: &'static str,
}

/// What the vault has of a chunk.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct VerifyAnswer {
    document_id: String,
    verified: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    size_bytes: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sha256: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    problem: Option<String>,
}

/// What an event gave that was fed in again.
#[derive(Serialize, ToSchema)]
pub(crate) struct ReplayAnswer {
    /// Chunks it announced, which are in the ledger now.
    chunks: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    problem: Option<String>,
}

fn allowed(app: &App, headers: &HeaderMap) -> Result<By, Problem> {
    if app.operator_actions {
        return Ok(By(principal(headers)));
    }
    let message = "Actions are off here; set OPERATOR_ACTIONS to on to allow them.";
    Err(Problem::new(StatusCode::FORBIDDEN, "ActionsOff", message))
}

fn parsed<T: DeserializeOwned>(body: &[u8]) -> Result<T, Problem> {
    // By way of a map: a struct would also be read from an array.
    serde_json::from_slice::<Map<String, Value>>(body)
        .and_then(|body| serde_json::from_value(Value::Object(body)))
        .map_err(|error| {
            Problem::invalid(
                None,
                format!("The body is not what is expected here: {error}."),
            )
        })
}

fn case_tag(text: &str) -> Result<CaseTag, Problem> {
    text.parse()
        .map_err(|error| Problem::invalid(Some("case"), format!("`case` is wrong: {error}.")))
}

fn short(name: &str, text: Option<String>) -> Result<Option<String>, Problem> {
    let text = text
        .map(|text| text.trim().to_owned())
        .filter(|text| !text.is_empty());
    if text
        .as_ref()
        .is_some_and(|text| text.chars().count() > TEXT_LIMIT)
    {
        return Err(Problem::invalid(
            Some(name),
            format!("`{name}` has more than {TEXT_LIMIT} characters."),
        ));
    }
    Ok(text)
}

/// Opens a chunk again that was given up; the next sweep exports it.
#[utoipa::path(
    post, path = "/api/vault/chunks/{documentId}/retry", operation_id = "retryChunk", tag = "vault",
    params(("documentId" = String, Path)),
    responses(
        (status = 200, description = "Its state now", body = RetryAnswer),
        (status = 403, description = "Actions are off", body = crate::functions::problem::ErrorAnswer),
        (status = 404, description = "There is no such chunk", body = crate::functions::problem::ErrorAnswer),
        (status = 409, description = "There is nothing to retry", body = crate::functions::problem::ErrorAnswer),
    )
)]
pub(crate) async fn retry(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Result<Json<RetryAnswer>, Problem> {
    let by = allowed(&app, &headers)?;
    let id = document_id(&id)?;
    let conflict = |message| {
        Err(Problem::new(
            StatusCode::CONFLICT,
            "NothingToRetry",
            message,
        ))
    };
    match app.catalogue.retry(&id, &by).await? {
        Retried::Opened => {}
        Retried::Unknown => return Err(unknown_chunk()),
        Retried::Safe => {
            return conflict("The chunk is in the vault and proved; there is nothing to retry.");
        }
        Retried::Removed => return conflict("The chunk was deleted from the vault, and stays so."),
    }
    let state = app.catalogue.state_of(&id).await?;
    Ok(Json(RetryAnswer {
        document_id: id.to_string(),
        state,
    }))
}

/// Looks whether the vault has a chunk's files as they were proved.
#[utoipa::path(
    post, path = "/api/vault/chunks/{documentId}/verify", operation_id = "verifyChunk", tag = "vault",
    params(("documentId" = String, Path)),
    responses(
        (status = 200, description = "Whether it has", body = VerifyAnswer),
        (status = 403, description = "Actions are off", body = crate::functions::problem::ErrorAnswer),
        (status = 404, description = "There is no such chunk", body = crate::functions::problem::ErrorAnswer),
    )
)]
pub(crate) async fn verify(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Result<Json<VerifyAnswer>, Problem> {
    let by = allowed(&app, &headers)?;
    let id = document_id(&id)?;
    let answer = VerifyAnswer {
        document_id: id.to_string(),
        verified: false,
        size_bytes: None,
        sha256: None,
        problem: None,
    };
    Ok(Json(match app.catalogue.verify(&id, &by).await? {
        Verified::Is(file) => {
            let (size_bytes, sha256) = (Some(file.size_bytes()), Some(file.sha256().to_string()));
            VerifyAnswer {
                verified: true,
                size_bytes,
                sha256,
                ..answer
            }
        }
        Verified::IsNot { problem } => VerifyAnswer {
            problem: Some(problem),
            ..answer
        },
        Verified::Unknown => return Err(unknown_chunk()),
    }))
}

/// Holds a recording for a case: it is deleted neither at ACS nor in the vault.
#[utoipa::path(
    post, path = "/api/vault/recordings/{recordingId}/hold", operation_id = "holdRecording", tag = "vault",
    params(("recordingId" = String, Path)), request_body = HoldRequest,
    responses(
        (status = 200, description = "What holds it now", body = HoldsAnswer),
        (status = 403, description = "Actions are off", body = crate::functions::problem::ErrorAnswer),
        (status = 404, description = "There is no such recording", body = crate::functions::problem::ErrorAnswer),
        (status = 409, description = "It holds, but some of it is deleted already", body = crate::functions::problem::ErrorAnswer),
    )
)]
pub(crate) async fn hold(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<Json<HoldsAnswer>, Problem> {
    let who = allowed(&app, &headers)?;
    let id = recording_id(&id)?;
    let HoldRequest { case, by, note } = parsed(&body?)?;
    let by = short("by", by)?.or_else(|| who.0.clone());
    let case = Case {
        tag: case_tag(&case)?,
        by,
        note: short("note", note)?,
        since: app.clock.now(),
    };
    match app.catalogue.hold(&id, &case, &who).await? {
        HeldNow::Held(cases) => Ok(Json(HoldsAnswer {
            holds: cases.iter().map(shown_case).collect(),
        })),
        HeldNow::TooLate { gone } => {
            let gone = gone
                .iter()
                .map(ToString::to_string)
                .collect::<Vec<_>>()
                .join(", ");
            let message = format!(
                "The recording is held, but of it is deleted already, or is being deleted: {gone}."
            );
            Err(Problem::new(StatusCode::CONFLICT, "PartlyRemoved", message))
        }
        HeldNow::Unknown => Err(unknown_recording()),
    }
}

/// Releases a recording from a case; what no other holds is deleted again as its policy says.
#[utoipa::path(
    post, path = "/api/vault/recordings/{recordingId}/release", operation_id = "releaseRecording", tag = "vault",
    params(("recordingId" = String, Path)), request_body = ReleaseRequest,
    responses(
        (status = 200, description = "What holds it still", body = HoldsAnswer),
        (status = 403, description = "Actions are off", body = crate::functions::problem::ErrorAnswer),
        (status = 404, description = "There is no such recording", body = crate::functions::problem::ErrorAnswer),
    )
)]
pub(crate) async fn release(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<Json<HoldsAnswer>, Problem> {
    let by = allowed(&app, &headers)?;
    let id = recording_id(&id)?;
    let ReleaseRequest { case } = parsed(&body?)?;
    let cases = app
        .catalogue
        .release(&id, &case_tag(&case)?, &by)
        .await?
        .ok_or_else(unknown_recording)?;
    Ok(Json(HoldsAnswer {
        holds: cases.iter().map(shown_case).collect(),
    }))
}

/// Feeds an event in again that could not be read.
#[utoipa::path(
    post, path = "/api/vault/poison/{sha256}/replay", operation_id = "replayPoison", tag = "vault",
    params(("sha256" = String, Path)),
    responses(
        (status = 200, description = "What it gave", body = ReplayAnswer),
        (status = 403, description = "Actions are off", body = crate::functions::problem::ErrorAnswer),
        (status = 404, description = "There is none", body = crate::functions::problem::ErrorAnswer),
    )
)]
pub(crate) async fn replay(
    State(app): State<Arc<App>>,
    Path(sha256): Path<String>,
    headers: HeaderMap,
) -> Result<Json<ReplayAnswer>, Problem> {
    let by = allowed(&app, &headers)?;
    let kept = app.catalogue.replayed(&sha256, &by).await?;
    let kept = kept.ok_or_else(|| {
        Problem::new(
            StatusCode::NOT_FOUND,
            "PoisonNotFound",
            "There is no such event.",
        )
    })?;
    let Some(events) = events_in(&kept) else {
        return Ok(Json(ReplayAnswer {
            chunks: 0,
            problem: Some("it is neither JSON nor base64 of JSON".to_owned()),
        }));
    };
    let mut delivery = app.intake.begin();
    let taken = delivery.take_all(&events).await;
    taken.map_err(CatalogueError::from)?;
    let problem = delivery.unreadable.into_iter().chain(delivery.again).next();
    Ok(Json(ReplayAnswer {
        chunks: delivery.recorded.len(),
        problem,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_that_is_wrong_is_told() {
        for wrong in [
            "",
            "[]",
            "[\"A-1\"]",
            "{}",
            r#"{"case": 7}"#,
            r#"{"case": "A", "more": 1}"#,
        ] {
            assert!(parsed::<HoldRequest>(wrong.as_bytes()).is_err(), "{wrong}");
        }
        assert!(parsed::<HoldRequest>(br#"{"case": "A-1", "by": null}"#).is_ok());
        assert!(case_tag(" ").is_err() && short("note", Some("x".repeat(1001))).is_err());
    }
}
