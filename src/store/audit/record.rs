//! The documents of the audit log. The stored members must not change: old logs are read for years.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::action::AuditAction;
use super::name::{self, WriterName};
use crate::store::digest::Sha256Digest;

/// Who did it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Actor {
    /// The functions, by event or timer.
    Handler,
    /// A person, at a shell or over HTTP.
    Operator,
}

/// One record of the log.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AuditRecord {
    pub at: Timestamp,
    pub actor: Actor,
    pub action: AuditAction,
    /// What it happened to: a document id, a recording, a hold.
    pub subject: String,
    /// Digests, places, reasons; never a location with a query, never participants.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub detail: Value,
}

/// A document of a log.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct LogDocument {
    pub writer: WriterName,
    pub sequence: u64,
    /// SHA-256 of the document before, byte for byte.
    pub previous: Sha256Digest,
    pub at: Timestamp,
    #[serde(flatten)]
    pub content: LogContent,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) enum LogContent {
    Records(Vec<AuditRecord>),
    /// A sweep closed the log, because its writer was quiet. Nothing comes after it.
    Closed {
        quiet_since: Option<Timestamp>,
    },
}

/// The end of a chain, as far as it is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ChainEnd {
    pub number: u64,
    pub sha256: Sha256Digest,
}

impl ChainEnd {
    /// Before the first document.
    pub const START: Self = Self {
        number: 0,
        sha256: Sha256Digest::ZERO,
    };
}

/// Where every log ended that was open since the checkpoint before.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Checkpoint {
    pub number: u64,
    /// SHA-256 of the checkpoint before, byte for byte.
    pub previous: Sha256Digest,
    pub at: Timestamp,
    pub ends: BTreeMap<WriterName, LogEnd>,
}

/// Where a log ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct LogEnd {
    #[serde(deserialize_with = "name::number")]
    pub number: u64,
    pub sha256: Sha256Digest,
    pub state: LogState,
    /// When its last document was written, by the clock of its writer; `None` where that is not readable.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<Timestamp>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) enum LogState {
    Open,
    Closed,
}

/// The marker of an open log, with the time when the log began.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct LiveMarker {
    pub began: Timestamp,
}

impl LogEnd {
    /// The log end after this document; an unreadable document counts too.
    pub fn of(number: u64, content: &[u8]) -> Self {
        let document = serde_json::from_slice::<LogDocument>(content).ok();
        let state = match document.as_ref().map(|document| &document.content) {
            Some(LogContent::Closed { .. }) => LogState::Closed,
            Some(LogContent::Records(_)) | None => LogState::Open,
        };
        Self {
            number,
            sha256: Sha256Digest::of(content),
            state,
            at: document.map(|document| document.at),
        }
    }
}
