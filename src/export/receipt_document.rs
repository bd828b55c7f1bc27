//! The receipt as stored beside the files, written and read back.

use bytes::Bytes;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::receipt::ExportReceipt;
use crate::recording::RecordingChunk;
use crate::store::audit::CheckpointRef;

/// A receipt has a few thousand bytes plus the content of its event.
pub const RECEIPT_READ_LIMIT: u64 = 4 * 1024 * 1024;

/// The receipt as written.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ReceiptDocument<'a> {
    pub receipt: &'a ExportReceipt,
    pub chunk: &'a RecordingChunk,
    pub recorded_at: Timestamp,
    /// The newest known checkpoint of the audit log: what it covers can no longer be rewritten without detection.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub audit_checkpoint: Option<CheckpointRef>,
}

impl ReceiptDocument<'_> {
    /// Its bytes in the vault.
    pub fn to_bytes(&self) -> Bytes {
        Bytes::from(serde_json::to_vec_pretty(self).expect("a receipt has string keys only"))
    }
}

/// A receipt as read back from the vault.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct KeptReceipt {
    pub receipt: ExportReceipt,
    pub chunk: RecordingChunk,
    pub recorded_at: Timestamp,
    #[serde(default)]
    pub audit_checkpoint: Option<CheckpointRef>,
}
