//! Entries that this process has just recorded, some of them claimed by the same write. They save the drive that follows a
//! read and a write.
//!
//! An outdated entry causes a conflict and nothing else, because all writes are conditional. It knows no storage.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::{ChunkLedger, Claim, Found};
use crate::export::slots::ClaimAhead;
use crate::recording::DocumentId;

/// Capacity for entries without a claim. When it is full, the oldest is evicted.
const KEPT_AT_MOST: usize = 32;
/// How long an entry without a claim is kept. Its drive begins at once, or waits for others and reads the entry again.
const KEPT_FOR: Duration = Duration::from_secs(5);

/// An entry that this process has just recorded.
#[derive(Debug)]
pub(in crate::export) struct Fresh {
    pub found: Found,
    /// It was claimed by the same write.
    pub claim: Option<(Claim, ClaimAhead)>,
    since: Instant,
}

impl Fresh {
    pub(super) fn new(found: Found, claim: Option<(Claim, ClaimAhead)>) -> Self {
        let since = Instant::now();
        Self {
            found,
            claim,
            since,
        }
    }

    fn has_claim(&self) -> bool {
        let claim = self.claim.as_ref();
        claim.is_some_and(|(claim, _)| !claim.remaining().is_zero())
    }

    fn is_of(&self, document_id: &DocumentId) -> bool {
        self.found.entry.chunk.document_id == *document_id
    }
}

#[derive(Default)]
pub(super) struct FreshEntries(Mutex<VecDeque<Fresh>>);

impl FreshEntries {
    pub fn keep(&self, fresh: Fresh) {
        let mut kept = self.kept();
        let unclaimed = kept.iter().filter(|kept| !kept.has_claim()).count();
        if unclaimed >= KEPT_AT_MOST
            && let Some(oldest) = kept.iter().position(|kept| !kept.has_claim())
        {
            kept.remove(oldest);
        }
        kept.push_back(fresh);
    }

    fn take(&self, document_id: &DocumentId) -> Option<Fresh> {
        let mut kept = self.kept();
        kept.retain(|fresh| fresh.has_claim() || fresh.since.elapsed() < KEPT_FOR);
        let at = kept.iter().position(|fresh| fresh.is_of(document_id))?;
        kept.remove(at)
    }

    fn kept(&self) -> MutexGuard<'_, VecDeque<Fresh>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ChunkLedger {
    /// Takes the entry of a chunk that this process has just recorded. Others may have changed it since, unless it is
    /// claimed.
    pub(in crate::export) fn take_fresh(&self, document_id: &DocumentId) -> Option<Fresh> {
        self.fresh.take(document_id)
    }
}
