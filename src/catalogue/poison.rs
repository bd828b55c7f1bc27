//! Events that could not be read, as operators see them: a list, and each event as it was kept.

use futures::{StreamExt as _, TryStreamExt as _};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use super::{AT_ONCE, Catalogue, CatalogueError};
use crate::store::digest::Sha256Digest;

/// Events that one list reads.
const LISTED: usize = 500;
/// Events that are counted; there may be more.
const COUNTED: usize = 10_000;

/// An event that could not be read.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Poison {
    pub sha256: String,
    pub kept_at: Option<String>,
    pub reason: Option<String>,
    /// When its content was removed, because it was not resolved in its time. It can only be dismissed.
    pub expired_at: Option<String>,
}

/// Some of the events that could not be read.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct PoisonList {
    /// Newest first. If there are more than are listed, these are some of them, and not the newest.
    pub poison: Vec<Poison>,
    /// There are more than are listed.
    pub is_capped: bool,
    /// How many there are, including those that are not listed.
    pub total: usize,
    /// `total` is a lower bound.
    pub is_total_capped: bool,
}

/// What a kept event has beside the event itself, which is not read: it may take much memory.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct PoisonHead {
    kept_at: Option<String>,
    reason: Option<String>,
    expired_at: Option<String>,
}

impl Catalogue {
    /// Returns unreadable events, with the reasons.
    ///
    /// # Errors
    /// When the storage fails.
    pub async fn poison(&self) -> Result<PoisonList, CatalogueError> {
        let mut sha256s = self.ledger.some_poisoned(LISTED + 1).await?;
        let is_capped = sha256s.len() > LISTED;
        sha256s.truncate(LISTED);
        let kept = futures::stream::iter(sha256s).map(|sha256| async move {
            let kept = self.ledger.poison_or_note(&sha256).await?;
            let head = kept.and_then(|kept| serde_json::from_slice(&kept).ok());
            let PoisonHead {
                kept_at,
                reason,
                expired_at,
            } = head.unwrap_or_default();
            Ok::<_, CatalogueError>(Poison {
                sha256,
                kept_at,
                reason,
                expired_at,
            })
        });
        let mut poison: Vec<Poison> = kept.buffered(AT_ONCE).try_collect().await?;
        poison.sort_by(|one, other| other.kept_at.cmp(&one.kept_at));
        let (mut total, mut is_total_capped) = (poison.len(), false);
        if is_capped {
            let counted = self.ledger.count_poison(COUNTED).await?;
            (total, is_total_capped) = (counted.count, counted.is_capped);
        }
        Ok(PoisonList {
            poison,
            is_capped,
            total,
            is_total_capped,
        })
    }

    /// Returns an unreadable event as JSON, in the bytes that its SHA-256 is of.
    ///
    /// # Errors
    /// When the storage fails, or what was kept is not readable.
    pub async fn poison_event(
        &self,
        sha256: Sha256Digest,
    ) -> Result<Option<String>, CatalogueError> {
        let Some(kept) = self.ledger.poison(&sha256.to_string()).await? else {
            return Ok(None);
        };
        let kept: Option<Value> = serde_json::from_slice(&kept).ok();
        let event = kept.as_ref().and_then(|kept| kept.get("event"));
        let Some(event) = event else {
            let key = format!("poison/{sha256}.json");
            return Err(CatalogueError::Unreadable { key });
        };
        Ok(Some(event.to_string()))
    }
}
