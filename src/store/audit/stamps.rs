//! Time stamps of checkpoints: proof by a third party that a checkpoint existed at a time. They are stored beside the
//! checkpoints as the authority issued them (DER), so any tool can check them:
//!
//! ```text
//! audit/timestamps/20260303-000000000042.tst   of checkpoint 42, made on that day
//! openssl ts -verify -token_in -in 20260303-000000000042.tst -data 000000000042.json -CAfile ca.pem
//! ```
//! The first sweep of a day has the newest checkpoint stamped, which is the last of the day before.

use bytes::Bytes;
use jiff::tz::TimeZone;

use super::name::CheckpointRef;
use super::{AuditLog, StoreError};
use crate::store::document_store::Precondition;

const TIMESTAMPS: &str = "audit/timestamps/";
const PAGE: usize = 1000;

/// A checkpoint that is to be stamped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnstampedCheckpoint {
    pub checkpoint: CheckpointRef,
    day: String,
}

/// A stamp that is kept.
#[derive(Debug, Clone)]
pub struct CheckpointStamp {
    pub name: String,
    /// The checkpoint's number; `None` if the name has none.
    pub number: Option<u64>,
    pub token: Bytes,
}

impl AuditLog {
    /// The checkpoint that is to be stamped today. `None`: there is none, or today's stamp exists.
    ///
    /// # Errors
    /// When the storage fails.
    pub async fn unstamped(&self) -> Result<Option<UnstampedCheckpoint>, StoreError> {
        let today = self.clock.now().to_zoned(TimeZone::UTC).date();
        let day = today.strftime("%Y%m%d").to_string();
        if *self.stamped() == Some(day.clone()) {
            return Ok(None);
        }
        let of_today = format!("{TIMESTAMPS}{day}-");
        if !self.store.list(&of_today, None, 1).await?.is_empty() {
            *self.stamped() = Some(day);
            return Ok(None);
        }
        let newest = self.newest_reference().await?;
        Ok(newest.map(|checkpoint| UnstampedCheckpoint { checkpoint, day }))
    }

    /// Keeps the stamp of a checkpoint.
    ///
    /// # Errors
    /// When the storage fails.
    pub async fn keep_stamp(
        &self,
        stamped: UnstampedCheckpoint,
        token: Vec<u8>,
    ) -> Result<(), StoreError> {
        let number = stamped.checkpoint.number;
        let key = format!("{TIMESTAMPS}{}-{number:012}.tst", stamped.day);
        // A conflict is another sweep's stamp, or our own: one is enough.
        self.store
            .put(&key, token.into(), Precondition::Absent)
            .await?;
        *self.stamped() = Some(stamped.day);
        Ok(())
    }

    /// All stamps, oldest first.
    ///
    /// # Errors
    /// When the storage fails.
    pub async fn stamps(&self) -> Result<Vec<CheckpointStamp>, StoreError> {
        self.read_stamps(|_| true).await
    }

    /// The stamps of certain checkpoints, oldest first.
    pub(super) async fn stamps_of(
        &self,
        is_wanted: impl Fn(u64) -> bool + Send + Sync,
    ) -> Result<Vec<CheckpointStamp>, StoreError> {
        self.read_stamps(|number| number.is_some_and(&is_wanted))
            .await
    }

    async fn read_stamps(
        &self,
        is_wanted: impl Fn(Option<u64>) -> bool + Send + Sync,
    ) -> Result<Vec<CheckpointStamp>, StoreError> {
        let mut stamps = Vec::new();
        let mut after: Option<String> = None;
        loop {
            let keys = self.store.list(TIMESTAMPS, after.as_deref(), PAGE).await?;
            let is_last = keys.len() < PAGE;
            after = keys.last().cloned();
            for key in keys {
                let name = key.trim_start_matches(TIMESTAMPS).to_owned();
                let number = name
                    .strip_suffix(".tst")
                    .and_then(|name| name.split_once('-'))
                    .and_then(|(_, number)| number.parse().ok());
                if !is_wanted(number) {
                    continue;
                }
                let Some(stored) = self.store.find(&key).await? else {
                    continue;
                };
                stamps.push(CheckpointStamp {
                    name,
                    number,
                    token: stored.content,
                });
            }
            if is_last {
                return Ok(stamps);
            }
        }
    }

    fn stamped(&self) -> std::sync::MutexGuard<'_, Option<String>> {
        self.stamped_day
            .lock()
            .expect("no holder of this lock panics")
    }
}
