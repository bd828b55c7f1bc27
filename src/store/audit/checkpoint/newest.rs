//! Which checkpoint is the newest. Documents beside the chain are hints: a checkpoint is named only after it was read.

use std::collections::BTreeMap;
use std::sync::PoisonError;
use std::time::Duration;

use super::search::{OfDamaged, last_after, last_from};
use crate::error_chain::ErrorChain;
use crate::store::audit::AuditLog;
use crate::store::audit::name::{self, CheckpointRef, NEWEST_CHECKPOINT, WriterName};
use crate::store::audit::record::{Checkpoint, LogEnd};
use crate::store::digest::Sha256Digest;
use crate::store::document_store::{Damage, Precondition, StoreError, Versioned, unless_damaged};

/// The shortest time between two lookups of the newest checkpoint.
const LOOK_EVERY: Duration = Duration::from_mins(1);

/// The newest checkpoint and its ends. An unreadable one has no ends; the chain continues after it.
#[derive(Debug, Clone)]
pub(super) struct Newest {
    pub reference: CheckpointRef,
    pub ends: BTreeMap<WriterName, LogEnd>,
}

impl Newest {
    fn of(number: u64, content: &[u8]) -> Self {
        Self {
            reference: CheckpointRef {
                number,
                sha256: Sha256Digest::of(content),
            },
            ends: serde_json::from_slice::<Checkpoint>(content)
                .map(|checkpoint| checkpoint.ends)
                .unwrap_or_default(),
        }
    }
}

/// The newest checkpoint as it was last looked up.
#[derive(Debug, Default)]
pub(in crate::store::audit) struct KnownNewest {
    looked_at: Option<tokio::time::Instant>,
    reference: Option<CheckpointRef>,
    /// The newest that a sweep of this process read or wrote. The next sweep searches only after it.
    read: Option<Newest>,
}

impl AuditLog {
    /// The newest checkpoint that this process knows of; it looks once a minute at most. `None` where there is none, or it
    /// could not be read.
    pub async fn anchor(&self) -> Option<CheckpointRef> {
        let known = {
            let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
            if known.looked_at.is_some_and(|at| at.elapsed() < LOOK_EVERY) {
                return known.reference;
            }
            known.reference
        };
        match self.newest_by_hint(known).await {
            Ok(found) => self.remember(found),
            Err(error) => {
                tracing::debug!(error = %ErrorChain(&error), "Could not read which checkpoint of the audit log is the newest");
                self.remember(None)
            }
        }
    }

    /// Follows the hint if it names a checkpoint that exists; else searches.
    async fn newest_by_hint(
        &self,
        known: Option<CheckpointRef>,
    ) -> Result<Option<CheckpointRef>, StoreError> {
        let hint = self.hint().await?;
        let is_newer = |hint: &CheckpointRef| known.is_none_or(|known| hint.number > known.number);
        if let Some(hint) = hint.filter(is_newer)
            && self.is_stored(hint).await?
        {
            return Ok(Some(hint));
        }
        if let Some(known) = known {
            if !self.is_stored(known).await? {
                // The hint may name a lost checkpoint: a receipt must not.
                self.forget_known();
            } else if hint == Some(known) {
                return Ok(Some(known));
            }
        }
        let newest = match self.read_before() {
            Some(before) => Some(self.newest_after(before).await?),
            None => self.find_newest(hint).await?,
        };
        Ok(self.keep_read(newest).map(|newest| newest.reference))
    }

    /// Whether there is this checkpoint, and not another one with its number.
    pub(super) async fn is_stored(&self, reference: CheckpointRef) -> Result<bool, StoreError> {
        let found = self.store.find(&name::checkpoint(reference.number)).await;
        let is_archived = |error: &StoreError| {
            let damaged = error.damaged();
            damaged.is_some_and(|damaged| damaged.damage == Damage::Archived)
        };
        if found.as_ref().err().is_some_and(is_archived) {
            return Ok(true);
        }
        let stored = unless_damaged(found)?;
        Ok(stored.is_some_and(|stored| Sha256Digest::of(&stored.content) == reference.sha256))
    }

    /// Caches the result of a lookup, unless it is older than the known one.
    fn remember(&self, found: Option<CheckpointRef>) -> Option<CheckpointRef> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.looked_at = Some(tokio::time::Instant::now());
        let number = |reference: Option<CheckpointRef>| reference.map(|found| found.number);
        if number(found) > number(known.reference) {
            known.reference = found;
        }
        known.reference
    }

    pub(in crate::store::audit) async fn hint(&self) -> Result<Option<CheckpointRef>, StoreError> {
        // It is a hint: without it, the newest is searched for.
        let stored = unless_damaged(self.store.find(NEWEST_CHECKPOINT).await)?;
        Ok(stored.and_then(|stored| serde_json::from_slice(&stored.content).ok()))
    }

    /// The same, for a check: without it, a removal of the newest checkpoints may not be noticed.
    pub(in crate::store::audit) async fn readable_hint(
        &self,
    ) -> Result<Option<CheckpointRef>, StoreError> {
        let Some(stored) = self.store.find(NEWEST_CHECKPOINT).await? else {
            return Ok(None);
        };
        let hint = serde_json::from_slice(&stored.content);
        hint.map(Some).map_err(|error| StoreError {
            action: "read",
            key: NEWEST_CHECKPOINT.to_owned(),
            source: error.into(),
        })
    }

    /// The newest checkpoint that there is now.
    pub(in crate::store::audit) async fn newest_reference(
        &self,
    ) -> Result<Option<CheckpointRef>, StoreError> {
        Ok(self.newest().await?.map(|newest| newest.reference))
    }

    pub(super) async fn newest(&self) -> Result<Option<Newest>, StoreError> {
        let newest = match self.read_before() {
            Some(before) => Some(self.newest_after(before).await?),
            None => self.find_newest(self.hint().await?).await?,
        };
        Ok(self.keep_read(newest))
    }

    async fn newest_after(&self, before: Newest) -> Result<Newest, StoreError> {
        let number = before.reference.number;
        let further = last_after(&*self.store, number, name::checkpoint, OfDamaged::Empty).await?;
        Ok(further.map_or(before, |(number, content)| Newest::of(number, &content)))
    }

    fn keep_read(&self, newest: Option<Newest>) -> Option<Newest> {
        newest.inspect(|newest| self.remember_read(newest))
    }

    fn read_before(&self) -> Option<Newest> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.read.clone()
    }

    /// The newest checkpoint that this process has read or written.
    pub(super) fn known_reference(&self) -> Option<CheckpointRef> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let read = known.read.as_ref().map(|newest| newest.reference);
        read.or(known.reference)
    }

    /// Forgets what this process knows: a checkpoint that something names is missing.
    pub(super) fn forget_known(&self) {
        *self.known.lock().unwrap_or_else(PoisonError::into_inner) = KnownNewest::default();
    }

    pub(super) fn remember_read(&self, newest: &Newest) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.read = Some(newest.clone());
    }

    async fn find_newest(&self, hint: Option<CheckpointRef>) -> Result<Option<Newest>, StoreError> {
        let hint = hint.map_or(0, |hint| hint.number);
        let found = match last_from(&*self.store, hint, name::checkpoint, OfDamaged::Empty).await? {
            // The hint names a missing checkpoint: search from the first one.
            None if hint > 0 => {
                last_from(&*self.store, 0, name::checkpoint, OfDamaged::Empty).await?
            }
            found => found,
        };
        Ok(found.map(|(number, content)| Newest::of(number, &content)))
    }

    /// Notes a checkpoint as the newest. A hint that is behind costs a few reads; it is not worth a failure.
    pub(super) async fn note_newest(&self, newest: CheckpointRef) {
        if let Err(error) = self.replace_hint(newest).await {
            tracing::debug!(error = %ErrorChain(&error), "Could not note the newest checkpoint of the audit log");
        }
        self.remember(Some(newest));
    }

    /// The hint as it is stored. A damaged one is removed, because it could not be replaced.
    pub(super) async fn replaceable_hint(&self) -> Result<Option<Versioned>, StoreError> {
        match self.store.find(NEWEST_CHECKPOINT).await {
            Err(error) if error.damaged().is_some() => {
                self.store.remove(NEWEST_CHECKPOINT).await?;
                Ok(None)
            }
            found => found,
        }
    }

    async fn replace_hint(&self, newest: CheckpointRef) -> Result<(), StoreError> {
        let condition = match self.replaceable_hint().await? {
            None => Precondition::Absent,
            Some(stored) => {
                let there = serde_json::from_slice::<CheckpointRef>(&stored.content).ok();
                // Another sweep was faster, or the hint names a lost checkpoint: it is the memory of the loss.
                if let Some(there) = there
                    && (there.number >= newest.number || !self.is_stored(there).await?)
                {
                    return Ok(());
                }
                Precondition::Unchanged(stored.version)
            }
        };
        let content = serde_json::to_vec(&newest).expect("it has string keys only");
        let put = self.store.put(NEWEST_CHECKPOINT, content.into(), condition);
        put.await.map(drop)
    }
}
