//! Events that could not be read: kept whole, until they are read after all or an operator dismisses them.
//!
//! ```text
//! poison/<sha256>.json      an event that could not be read, whole, with the reason
//! dismissed/<sha256>.json   one that was dealt with, with who did it and why; it is not kept as poison again
//! ```

use bytes::Bytes;
use serde_json::Value;

use super::{ChunkLedger, LedgerError};
use crate::recording::Acknowledgement;
use crate::store::audit::{AuditAction, Operator};
use crate::store::digest::Sha256Digest;
use crate::store::document_store::Precondition;
use crate::store::index::Count;

const POISON: &str = "poison/";
const DISMISSED: &str = "dismissed/";

/// What became of an event that was to be dismissed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dismissed {
    Dismissed,
    /// An earlier dismissal, or a replay, did it.
    AlreadyDismissed,
    Unknown,
}

impl ChunkLedger {
    /// Keeps an event that could not be read, whole, once; not again after it was dismissed.
    ///
    /// # Errors
    /// When the storage fails: the event must then not be acknowledged.
    pub async fn keep_poison(&self, event: &Value, reason: &str) -> Result<(), LedgerError> {
        let text = event.to_string();
        let sha256 = Sha256Digest::of(text.as_bytes());
        if self.store.find(&dismissed_key(sha256)).await?.is_some() {
            return Ok(());
        }
        let kept = serde_json::json!({
            "reason": reason, "keptAt": self.clock.now().to_string(), "sha256": sha256.to_string(), "event": event,
        });
        // A conflict means that the same event is kept already.
        self.store
            .put(
                &poison_key(sha256),
                Bytes::from(kept.to_string()),
                Precondition::Absent,
            )
            .await?;
        Ok(())
    }

    /// An event that was kept, by its SHA-256.
    ///
    /// # Errors
    /// When the storage fails.
    pub async fn poison(&self, sha256: &str) -> Result<Option<Bytes>, LedgerError> {
        let Ok(sha256) = Sha256Digest::try_from(sha256.to_owned()) else {
            return Ok(None);
        };
        let stored = self.store.find(&poison_key(sha256)).await?;
        Ok(stored.map(|stored| stored.content))
    }

    /// Takes an event out of those that need a person: an operator says that nothing is lost by it, or it was read after all.
    ///
    /// # Errors
    /// When the storage fails.
    pub async fn dismiss_poison(
        &self,
        sha256: &str,
        why: &Acknowledgement,
        operator: &Operator,
    ) -> Result<Dismissed, LedgerError> {
        let Ok(sha256) = Sha256Digest::try_from(sha256.to_owned()) else {
            return Ok(Dismissed::Unknown);
        };
        let key = poison_key(sha256);
        let Some(stored) = self.store.find(&key).await? else {
            let dismissed = self.store.find(&dismissed_key(sha256)).await?;
            return Ok(dismissed.map_or(Dismissed::Unknown, |_| Dismissed::AlreadyDismissed));
        };
        let subject = format!("poison:{sha256}");
        let detail = operator.sign(Value::Null);
        self.audit_operator(AuditAction::Dismissed, &subject, detail)
            .await?;
        let event = serde_json::from_slice::<Value>(&stored.content).unwrap_or_else(|_| {
            Value::String(String::from_utf8_lossy(&stored.content).into_owned())
        });
        let kept = serde_json::json!({"dismissed": why, "poison": event});
        // A conflict means that it was dismissed already; what remains is to remove it.
        self.store
            .put(
                &dismissed_key(sha256),
                Bytes::from(kept.to_string()),
                Precondition::Absent,
            )
            .await?;
        self.store.remove_unchanged(&key, &stored.version).await?;
        Ok(Dismissed::Dismissed)
    }

    /// SHA-256s of all events that were kept.
    ///
    /// # Errors
    /// When the storage fails.
    pub async fn poisoned(&self) -> Result<Vec<String>, LedgerError> {
        self.names(POISON).await
    }

    /// How many events were kept, counted up to `cap`.
    ///
    /// # Errors
    /// When the storage fails.
    pub async fn count_poison(&self, cap: usize) -> Result<Count, LedgerError> {
        let count = self.store.list(POISON, None, cap + 1).await?.len();
        Ok(Count {
            count: count.min(cap),
            is_capped: count > cap,
        })
    }

    /// SHA-256s of events that were kept, at most `limit`.
    ///
    /// # Errors
    /// When the storage fails.
    pub async fn some_poisoned(&self, limit: usize) -> Result<Vec<String>, LedgerError> {
        let keys = self.store.list(POISON, None, limit).await?;
        Ok(keys
            .iter()
            .filter_map(|key| Some(key.strip_prefix(POISON)?.strip_suffix(".json")?.to_owned()))
            .collect())
    }
}

fn poison_key(sha256: Sha256Digest) -> String {
    format!("{POISON}{sha256}.json")
}

fn dismissed_key(sha256: Sha256Digest) -> String {
    format!("{DISMISSED}{sha256}.json")
}
