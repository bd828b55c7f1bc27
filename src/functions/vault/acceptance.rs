//! `accept` over HTTP: an operator accepts the copy of a doubtful chunk, or selects the right one of its places. Turns
//! outcomes into text; it must not decide what may be accepted.

use std::sync::Arc;

use axum::Json;
use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::actions::authorize;
use super::{document_id, unknown_chunk};
use crate::app::App;
use crate::catalogue::CatalogueError;
use crate::export::ledger::{Accepted, PlaceAccepted};
use crate::functions::principal::Caller;
use crate::functions::problem::Problem;
use crate::recording::FileNumber;
use crate::request_body;

/// What is accepted: without a place, that the media is right.
#[derive(Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct AcceptRequest {
    /// Which of the document's places is right, as its detail numbers them.
    #[schema(example = 2, minimum = 1, maximum = 4)]
    place: Option<u8>,
}

/// A chunk after it was accepted.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct AcceptAnswer {
    document_id: String,
    accepted: bool,
}

/// Accepts a doubtful chunk, or one of the places that events name for it: its source may be deleted then.
#[utoipa::path(
    post, path = "/api/vault/chunks/{documentId}/accept", operation_id = "acceptChunk", tag = "vault",
    params(("documentId" = String, Path)), request_body = AcceptRequest,
    responses(
        (status = 200, description = "The chunk is accepted. Repeating the request is not an error.", body = AcceptAnswer),
        (status = 400, description = "The place is not a number from 1 to 4", body = crate::functions::problem::ErrorAnswer),
        (status = 403, description = "Actions are off", body = crate::functions::problem::ErrorAnswer),
        (status = 404, description = "There is no such chunk", body = crate::functions::problem::ErrorAnswer),
        (status = 409, description = "There is nothing to accept, `place` is missing for a chunk with several places, or the file of that place is not in the vault", body = crate::functions::problem::ErrorAnswer),
    )
)]
pub(crate) async fn accept(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    caller: Caller,
    body: Result<Bytes, BytesRejection>,
) -> Result<Json<AcceptAnswer>, Problem> {
    let operator = authorize(&app, caller)?;
    let id = document_id(&id)?;
    let body = body?;
    let AcceptRequest { place } = if body.trim_ascii().is_empty() {
        AcceptRequest::default()
    } else {
        request_body::read(&body)?
    };
    let conflict = |message: &str| {
        let code = "NothingToAccept";
        Err(Problem::new(StatusCode::CONFLICT, code, message))
    };
    match place {
        None => {
            let accepted = app.actions.accept(&id, &operator).await;
            match accepted.map_err(CatalogueError::from)? {
                Accepted::Accepted(_) | Accepted::AlreadyAccepted(_) => {}
                Accepted::SeveralPlaces => {
                    return conflict(
                        "Events name several places for this chunk. Choose one: `recording-vault accept <id> --place <n>`, or `place` in the request; `recording-vault show` lists the places.",
                    );
                }
                Accepted::NotDoubtful => return conflict("The chunk is not doubtful."),
                Accepted::Unknown => return Err(unknown_chunk()),
            }
        }
        Some(place) => {
            let place = FileNumber::try_from(place).map_err(|error| {
                Problem::invalid(Some("place"), format!("`place` is wrong: {error}."))
            })?;
            let accepted = app.actions.accept_place(&id, place, &operator).await;
            match accepted.map_err(CatalogueError::from)? {
                PlaceAccepted::Accepted | PlaceAccepted::AlreadyAccepted => {}
                PlaceAccepted::OnePlace => {
                    return conflict("Events name one place for this chunk.");
                }
                PlaceAccepted::NoSuchPlace => return conflict("The chunk has no such place."),
                PlaceAccepted::NotInVault => {
                    return conflict("The file of that place is not in the vault.");
                }
                PlaceAccepted::BeingExported => {
                    return conflict(
                        "The chunk is being exported or moved home. Try again in a few minutes.",
                    );
                }
                PlaceAccepted::Unknown => return Err(unknown_chunk()),
            }
        }
    }
    Ok(Json(AcceptAnswer {
        document_id: id.to_string(),
        accepted: true,
    }))
}
