//! Events that could not be read and were resolved: replayed and read, or dismissed by an operator with a reason.
//!
//! ```text
//! dismissed/<sha256>.json   the event as it was kept, or what was left of it, with who dismissed it and why; it is not kept as poison again
//! ```

use bytes::Bytes;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::{ChunkLedger, DISMISSED, LedgerError};
use crate::recording::Acknowledgement;
use crate::store::audit::{AuditAction, Operator};
use crate::store::digest::Sha256Digest;
use crate::store::document_store::Precondition;

/// Outcome of a dismissal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dismissed {
    Dismissed,
    /// An earlier dismissal, or a replay, did it.
    AlreadyDismissed,
    Unknown,
}

impl ChunkLedger {
    /// Removes an event from those that need attention: an operator says that nothing is lost, or it was read after
    /// all.
    ///
    /// # Errors
    /// When the storage fails.
    pub async fn dismiss_poison(
        &self,
        sha256: &str,
        why: &Acknowledgement,
        operator: &Operator,
    ) -> Result<Dismissed, LedgerError> {
        let Ok(digest) = Sha256Digest::try_from(sha256.to_owned()) else {
            return Ok(Dismissed::Unknown);
        };
        let Some(kept) = self.poison_or_note(sha256).await? else {
            let is_dismissed = self.is_dismissed(digest).await?;
            return Ok(if is_dismissed {
                Dismissed::AlreadyDismissed
            } else {
                Dismissed::Unknown
            });
        };
        let subject = format!("poison:{digest}");
        let detail = json!({"reason": why.reason});
        self.audit_operator(AuditAction::Dismissed, &subject, operator, detail)
            .await?;
        let mut kept: Value = serde_json::from_slice(&kept).unwrap_or_else(|_| {
            let text = String::from_utf8_lossy(&kept).into_owned();
            json!({"event": text})
        });
        kept["dismissed"] = json!(why);
        // A conflict means that it is already dismissed; only the removal remains.
        let content = Bytes::from(kept.to_string());
        let key = key(digest);
        let putting = self.store.put(&key, content, Precondition::Absent);
        putting.await?;
        self.remove_poison(sha256).await?;
        Ok(Dismissed::Dismissed)
    }

    /// Whether an event was dismissed.
    /// The SHA-256s of all events that were dismissed.
    ///
    /// # Errors
    /// When the storage fails.
    pub async fn dismissed(&self) -> Result<Vec<String>, LedgerError> {
        self.names(DISMISSED).await
    }

    /// When an event was dismissed, by the document that says so. `None`: it does not exist, or it does not say it.
    ///
    /// # Errors
    /// When the storage fails.
    pub async fn dismissed_at(&self, sha256: &str) -> Result<Option<Timestamp>, LedgerError> {
        let found = self
            .store
            .find(&format!("{DISMISSED}{sha256}.json"))
            .await?;
        let kept = found.and_then(|found| serde_json::from_slice::<Value>(&found.content).ok());
        Ok(kept.and_then(|kept| kept["dismissed"]["at"].as_str()?.parse().ok()))
    }

    pub(super) async fn is_dismissed(&self, sha256: Sha256Digest) -> Result<bool, LedgerError> {
        Ok(self.store.find(&key(sha256)).await?.is_some())
    }
}

fn key(sha256: Sha256Digest) -> String {
    format!("{DISMISSED}{sha256}.json")
}
