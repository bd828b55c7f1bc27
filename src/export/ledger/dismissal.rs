//! Events that could not be read and were resolved: replayed and read, or dismissed by an operator with a reason.
//!
//! ```text
//! dismissed/<sha256>.json   the event as it was kept, or what was left of it, with who dismissed it and why; it is not kept as poison again
//! ```

use bytes::Bytes;
use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::{ChunkLedger, DISMISSED, LedgerError};
use crate::recording::Acknowledgement;
use crate::store::audit::{Actor, AuditAction, Operator, SubjectKey};
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
            return self.dismiss_without_content(digest, why, operator).await;
        };
        let subject = subject_of(digest);
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
        self.drop_if_erased(digest).await?;
        self.remove_poison(sha256).await?;
        Ok(Dismissed::Dismissed)
    }

    /// Dismisses an event that the log has, and of which nothing else is left: its process ended before it kept it, or it
    /// was removed.
    async fn dismiss_without_content(
        &self,
        event: Sha256Digest,
        why: &Acknowledgement,
        operator: &Operator,
    ) -> Result<Dismissed, LedgerError> {
        if self.is_dismissed(event).await? {
            // The earlier dismissal may have ended before it did this.
            self.drop_if_erased(event).await?;
            return Ok(Dismissed::AlreadyDismissed);
        }
        let subject = subject_of(event);
        let recorded = self.audit.newest_of(SubjectKey::of(&subject), 1).await?;
        if recorded.is_empty() {
            return Ok(Dismissed::Unknown);
        }
        let detail = json!({"reason": why.reason});
        self.audit_operator(AuditAction::Dismissed, &subject, operator, detail)
            .await?;
        let content = Bytes::from(json!({"dismissed": why}).to_string());
        let key = key(event);
        let putting = self.store.put(&key, content, Precondition::Absent);
        putting.await?;
        Ok(Dismissed::Dismissed)
    }

    /// Removes what a dismissal has stored of an event, if the event was erased after the dismissal read it: the erasure
    /// searched dismissed events before. That it was dismissed stays.
    async fn drop_if_erased(&self, event: Sha256Digest) -> Result<(), LedgerError> {
        if self.poison_or_note(&event.to_string()).await?.is_some() {
            // An erasure that is about to remove it finds the dismissed one afterwards.
            return Ok(());
        }
        let subject = subject_of(event);
        let (key, erased) = (key(event), self.is_last_erased(&subject).await?);
        let Some(stored) = self.store.find(&key).await?.filter(|_| erased) else {
            return Ok(());
        };
        let kept: Value = serde_json::from_slice(&stored.content).unwrap_or_default();
        let has_more = |kept: &Map<String, Value>| kept.keys().any(|name| name != "dismissed");
        if kept.as_object().is_some_and(|kept| !has_more(kept)) {
            // It was dismissed after its erasure.
            return Ok(());
        }
        self.audit.erase_texts(&subject).await?;
        let rest = json!({"dismissed": {"at": kept["dismissed"]["at"]}});
        let rest = Bytes::from(rest.to_string());
        let unchanged = Precondition::Unchanged(stored.version);
        // A conflict means that another process did it.
        self.store.put(&key, rest, unchanged).await?;
        Ok(())
    }

    /// Removes an event that was kept and could be processed after all. The log says so first.
    ///
    /// # Errors
    /// When the storage fails. A repeat continues.
    pub async fn resolve_poison(&self, event: Sha256Digest) -> Result<(), LedgerError> {
        let sha256 = event.to_string();
        if self.poison_or_note(&sha256).await?.is_none() {
            let recorded = SubjectKey::of(&subject_of(event));
            if self.audit.newest_of(recorded, 1).await?.is_empty() {
                return Ok(());
            }
        }
        let action = AuditAction::EventProcessed;
        self.audit
            .append(Actor::Handler, action, &subject_of(event), Value::Null)
            .await?;
        self.remove_poison(&sha256).await
    }

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

    /// Whether an event was dismissed.
    pub(super) async fn is_dismissed(&self, sha256: Sha256Digest) -> Result<bool, LedgerError> {
        Ok(self.store.find(&key(sha256)).await?.is_some())
    }
}

fn subject_of(event: Sha256Digest) -> String {
    format!("poison:{event}")
}

fn key(sha256: Sha256Digest) -> String {
    format!("{DISMISSED}{sha256}.json")
}
