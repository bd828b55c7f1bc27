//! Calls whose start was announced: their recordings are not unsolicited. `calls-seen/<day>-<sha256 of the call>`.
//!
//! It knows no calls, only their ids.

use bytes::Bytes;
use futures::TryStreamExt as _;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use super::{ChunkLedger, LedgerError};
use crate::store::digest::Sha256Digest;
use crate::store::document_store::Precondition;

const SEEN: &str = "calls-seen/";
const DAY: SignedDuration = SignedDuration::from_hours(24);
/// No recording is announced this long after its call began.
const KEPT_FOR: SignedDuration = SignedDuration::from_hours(30 * 24);
/// Notes that one cleanup removes.
const REMOVED_AT_ONCE: usize = 500;

impl ChunkLedger {
    /// Notes that the start of a call was announced.
    ///
    /// # Errors
    /// When the storage fails.
    pub async fn note_call(&self, call: &str, at: Timestamp) -> Result<(), LedgerError> {
        let key = key_of(call, at);
        self.store
            .put(&key, Bytes::new(), Precondition::Absent)
            .await?;
        Ok(())
    }

    /// Whether the start of one of these calls was announced on the day of a recording's start, or the day before.
    ///
    /// # Errors
    /// When the storage fails.
    pub async fn has_seen_call(
        &self,
        calls: impl Iterator<Item = &str> + Send,
        recording_began_at: Timestamp,
    ) -> Result<bool, LedgerError> {
        let day_before = recording_began_at.checked_sub(DAY).ok();
        let keys: Vec<String> = calls
            .flat_map(|call| {
                let days = [Some(recording_began_at), day_before];
                days.into_iter().flatten().map(|at| key_of(call, at))
            })
            .collect();
        let looks: futures::stream::FuturesUnordered<_> =
            keys.iter().map(|key| self.store.find(key)).collect();
        let found: Vec<_> = looks.try_collect().await?;
        Ok(found.iter().any(Option::is_some))
    }

    /// Removes notes that no recording needs any more, a limited number at a time.
    ///
    /// # Errors
    /// When the storage fails.
    pub async fn forget_old_calls(&self) -> Result<(), LedgerError> {
        let Ok(oldest) = self.clock.now().checked_sub(KEPT_FOR) else {
            return Ok(());
        };
        let oldest = format!("{SEEN}{}", day_of(oldest));
        let keys = self.store.list(SEEN, None, REMOVED_AT_ONCE).await?;
        for key in keys.iter().filter(|key| **key < oldest) {
            self.store.remove(key).await?;
        }
        Ok(())
    }
}

fn key_of(call: &str, at: Timestamp) -> String {
    let call = Sha256Digest::of(call.as_bytes());
    format!("{SEEN}{}-{call}", day_of(at))
}

fn day_of(at: Timestamp) -> String {
    at.to_zoned(TimeZone::UTC).strftime("%Y%m%d").to_string()
}
