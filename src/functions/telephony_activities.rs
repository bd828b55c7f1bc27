//! `TelephonyActivities`: the Telephony channel as a bot sees it, the Bot Connector's API for activities.
//!
//! <https://learn.microsoft.com/azure/bot-service/rest-api/bot-framework-rest-connector-api-reference#send-to-conversation>
//!
//! The function is anonymous at the host, because a bot's connector client cannot send a function key. A token
//! (`TELEPHONY_APP_ID`) or a key (`TELEPHONY_KEY`), sent like a function key, authorizes the bot.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{DefaultBodyLimit, Path, Request, State};
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::{Json, Router};
use jiff::Timestamp;
use serde_json::{Value, json};
use tracing::{error, warn};
use url::form_urlencoded;

use super::invocation::InvocationResponse;
use super::problem::Problem;
use super::request_memory::{OnTooLarge, RequestMemory};
use super::{http_envelope, request_memory};
use crate::app::{App, TelephonyDoor};
use crate::control::telephony::{Taken, TelephonyError};
use crate::error_chain::ErrorChain;
use crate::oidc::InvalidToken;

const KEY_HEADER: &str = "x-functions-key";

/// The routes. A bot is authorized before its request takes memory of callers with a key.
pub fn routes(app: &Arc<App>, memory: &RequestMemory) -> Router<Arc<App>> {
    let reserve = super::reserving(memory, super::REQUEST_LIMIT_BYTES, OnTooLarge::Refuse);
    Router::new()
        .route(
            "/api/telephony/v3/conversations/{conversationId}/activities",
            post(send),
        )
        .route(
            "/api/telephony/v3/conversations/{conversationId}/activities/{activityId}",
            post(reply),
        )
        .layer(DefaultBodyLimit::disable())
        .layer(from_fn(reserve))
        .layer(from_fn_with_state(Arc::clone(app), authorized))
}

async fn authorized(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    if request.method() == Method::POST {
        let (query, headers) = (request.uri().query(), request.headers());
        let authorizing = async {
            let door = app.telephony.as_ref().ok_or_else(off)?;
            authorize(door, query, headers, app.clock.now()).await
        };
        if let Err(problem) = authorizing.await {
            request_memory::drain(request.into_body().into_data_stream()).await;
            return problem.into_response();
        }
    }
    next.run(request).await
}

fn off() -> Problem {
    let message =
        "Bots are off: set TELEPHONY_APP_ID to the bot's application id, or TELEPHONY_KEY.";
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, "TelephonyOff", message)
}

/// The envelope form.
pub async fn invoke(State(routes): State<Router>, body: Bytes) -> InvocationResponse {
    http_envelope::invoke(routes, "telephony/v3", &body).await
}

/// Takes an activity of a bot.
///
/// `command` activities `channel/vnd.microsoft.telephony.recording.start`, `.pause`, `.resume` and `.stop` are carried out; their
/// result is a `commandResult` activity, in the response for `deliveryMode: expectReplies`, else at `TELEPHONY_BOT_URL`.
#[utoipa::path(
    post, path = "/api/telephony/v3/conversations/{conversationId}/activities", operation_id = "sendToConversation",
    tag = "telephony", params(("conversationId" = String, Path)),
    request_body(content = Object, description = "A Bot Framework activity"),
    responses(
        (status = 200, description = "Accepted: `{\"id\"}`, and `activities` where replies are expected"),
        (status = 400, description = "The activity is wrong", body = super::problem::ErrorAnswer),
        (status = 401, description = "Neither the bot's token nor the key", body = super::problem::ErrorAnswer),
        (status = 404, description = "The call of the conversation is unknown", body = super::problem::ErrorAnswer),
        (status = 429, description = "Too many pending commands", body = super::problem::ErrorAnswer),
        (status = 503, description = "The register fails, or bots are off", body = super::problem::ErrorAnswer),
    )
)]
pub(crate) async fn send(
    State(app): State<Arc<App>>,
    Path(conversation_id): Path<String>,
    body: Result<Bytes, BytesRejection>,
) -> Result<Json<Value>, Problem> {
    let door = app.telephony.as_ref().ok_or_else(off)?;
    let Taken {
        activity_id,
        result,
    } = door
        .telephony
        .take(&conversation_id, &body?, door.after_response)
        .await?;
    Ok(Json(match result {
        Some(result) => json!({"id": activity_id, "activities": [result]}),
        None => json!({"id": activity_id}),
    }))
}

/// Accepts an activity that replies to another; the other one is ignored.
#[utoipa::path(
    post, path = "/api/telephony/v3/conversations/{conversationId}/activities/{activityId}", operation_id = "replyToActivity",
    tag = "telephony", params(("conversationId" = String, Path), ("activityId" = String, Path)),
    request_body(content = Object, description = "A Bot Framework activity"),
    responses((status = 200, description = "As for an activity that is no reply"))
)]
pub(crate) async fn reply(
    app: State<Arc<App>>,
    Path(path): Path<(String, String)>,
    body: Result<Bytes, BytesRejection>,
) -> Result<Json<Value>, Problem> {
    send(app, Path(path.0), body).await
}

/// Checks the key, where one is set and sent; otherwise the bot's token.
async fn authorize(
    door: &TelephonyDoor,
    query: Option<&str>,
    headers: &HeaderMap,
    now: Timestamp,
) -> Result<(), Problem> {
    if let Some(key) = &door.key {
        let in_query = form_urlencoded::parse(query.unwrap_or_default().as_bytes())
            .find(|(name, _)| name == "code");
        let in_header = headers
            .get(KEY_HEADER)
            .and_then(|value| value.to_str().ok());
        if in_header.is_some_and(|given| key.is(given))
            || in_query.is_some_and(|(_, given)| key.is(&given))
        {
            return Ok(());
        }
    }
    let refused = |why: &str| Problem::new(StatusCode::UNAUTHORIZED, "Unauthorized", why);
    let Some(tokens) = &door.tokens else {
        warn!("Refused a bot without the right key");
        return Err(refused(
            "The key is missing or wrong; send it as `x-functions-key` or `code`.",
        ));
    };
    let authorization = headers
        .get(header::AUTHORIZATION)
        .and_then(|value| value.to_str().ok());
    match tokens.validate(authorization, now).await {
        Ok(()) => Ok(()),
        Err(error @ InvalidToken::NoKeys(_)) => {
            error!(error = %ErrorChain(&error), "A bot's token could not be checked");
            let message = "The token cannot be checked now; try again.";
            Err(Problem::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "ServiceError",
                message,
            ))
        }
        Err(
            error @ (InvalidToken::Missing
            | InvalidToken::Invalid(_)
            | InvalidToken::Unsupported(_)
            | InvalidToken::UnknownKey
            | InvalidToken::WrongIssuer { .. }
            | InvalidToken::WrongAudience { .. }
            | InvalidToken::OtherCaller
            | InvalidToken::NotNow),
        ) => {
            warn!(error = %ErrorChain(&error), "Refused a bot");
            Err(refused(&format!("{}.", ErrorChain(&error))))
        }
    }
}

impl From<TelephonyError> for Problem {
    fn from(error: TelephonyError) -> Self {
        match error {
            TelephonyError::Invalid(invalid) => {
                Self::new(StatusCode::BAD_REQUEST, invalid.code, invalid.message)
            }
            TelephonyError::UnknownConversation => {
                let message = "The conversation is not known: give its call as `serverCallId` in `channelData` or in `value.data`.";
                Self::new(StatusCode::NOT_FOUND, "ConversationNotFound", message)
            }
            TelephonyError::TooMany => {
                let message = "Too many commands of this conversation wait; try again in a while.";
                Self::new(StatusCode::TOO_MANY_REQUESTS, "TooManyRequests", message)
            }
            TelephonyError::UnderWay => {
                let message = "The command is still being carried out; send it again with the same commandId for its result.";
                Self::new(StatusCode::SERVICE_UNAVAILABLE, "ServiceError", message)
            }
            TelephonyError::Register(error) => error.into(),
        }
    }
}
