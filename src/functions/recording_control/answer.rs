//! Recordings in responses of the HTTP API.

use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use crate::control::RecordingView;
use crate::control::consent::Consent;
use crate::control::entry::{Pause, RecordingStatus};
use crate::control::register::running::RunningPage;
use crate::control::state::RecordingState;

/// A recording: its state, and what the register knows of it.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct RecordingAnswer {
    recording_id: String,
    recording_state: RecordingState,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "azureCommunicationServices")]
    recording_kind: Option<String>,
    /// `{"callLocator": …}` or `{"callConnectionId": …}`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    call: Option<Value>,
    /// As in the start.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    options: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    started_by: Option<String>,
    /// The bot's conversation that it belongs to.
    #[serde(skip_serializing_if = "Option::is_none")]
    conversation: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(format = DateTime)]
    started_at: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(format = DateTime)]
    ended_at: Option<String>,
    /// Why the start failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    failure: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pauses: Vec<Pause>,
    #[serde(skip_serializing_if = "Option::is_none")]
    consent: Option<Consent>,
}

/// A page of recordings.
#[derive(Debug, Serialize, ToSchema)]
pub struct RecordingList {
    recordings: Vec<RecordingAnswer>,
    /// Recordings of this page that the ledger names, and whose accounts cannot be read or do not exist.
    unreadable: usize,
    /// Where the next page begins, if there may be one.
    #[serde(skip_serializing_if = "Option::is_none")]
    continuation: Option<String>,
}

impl From<RunningPage> for RecordingList {
    fn from(page: RunningPage) -> Self {
        let recordings = page.recordings.into_iter();
        let recordings = recordings.map(|one| RecordingAnswer::from(RecordingView::of(one)));
        Self {
            recordings: recordings.collect(),
            unreadable: page.unreadable,
            continuation: page.next.map(|cursor| cursor.as_str().to_owned()),
        }
    }
}

impl From<RecordingView> for RecordingAnswer {
    fn from(view: RecordingView) -> Self {
        let json = |value: Result<Value, _>| {
            value
                .ok()
                .filter(|value| value.as_object().is_some_and(|map| !map.is_empty()))
        };
        let account = view.account;
        let (ended_at, failure) = match account.as_ref().map(|account| account.status.clone()) {
            Some(RecordingStatus::Stopped { at }) => (Some(at.to_string()), None),
            Some(RecordingStatus::Failed { at, reason }) => (Some(at.to_string()), Some(reason)),
            Some(RecordingStatus::Running) | None => (None, None),
        };
        Self {
            recording_id: view.recording_id.to_string(),
            recording_state: view.state,
            recording_kind: view.recording_kind,
            call: account
                .as_ref()
                .and_then(|account| json(serde_json::to_value(account.call.as_ref()))),
            options: account
                .as_ref()
                .and_then(|account| json(serde_json::to_value(&account.options))),
            conversation: account
                .as_ref()
                .and_then(|account| account.conversation.clone()),
            started_by: account
                .as_ref()
                .and_then(|account| account.started_by.clone()),
            started_at: account
                .as_ref()
                .and_then(|account| account.started_at)
                .map(|at| at.to_string()),
            ended_at,
            failure,
            pauses: account
                .as_ref()
                .map(|account| account.pauses.clone())
                .unwrap_or_default(),
            consent: account.and_then(|account| account.consent),
        }
    }
}
