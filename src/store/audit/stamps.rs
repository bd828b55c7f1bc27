//! Time stamps of checkpoints: proof by a third party that a checkpoint existed at a time. They are stored beside the
//! checkpoints as the authority issued them (DER), so any tool can check them:
//!
//! ```text
//! audit/timestamps/20260303-000000000042.tst   of checkpoint 42, made on that day
//! openssl ts -verify -token_in -in 20260303-000000000042.tst -data 000000000042.json -CAfile ca.pem
//! ```
//! The first sweep of a day has the newest checkpoint stamped, which is the last of the day before.

use std::collections::BTreeSet;

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

    /// The numbers of all checkpoints that have a stamp.
    pub(super) async fn stamped_numbers(&self) -> Result<BTreeSet<u64>, StoreError> {
        let keys = self.stamp_keys().await?;
        Ok(keys
            .iter()
            .filter_map(|key| number_of(name_of(key)))
            .collect())
    }

    async fn read_stamps(
        &self,
        is_wanted: impl Fn(Option<u64>) -> bool + Send + Sync,
    ) -> Result<Vec<CheckpointStamp>, StoreError> {
        let mut stamps = Vec::new();
        for key in self.stamp_keys().await? {
            let name = name_of(&key);
            let number = number_of(name);
            if !is_wanted(number) {
                continue;
            }
            let Some(stored) = self.store.find(&key).await? else {
                continue;
            };
            stamps.push(CheckpointStamp {
                name: name.to_owned(),
                number,
                token: stored.content,
            });
        }
        Ok(stamps)
    }

    async fn stamp_keys(&self) -> Result<Vec<String>, StoreError> {
        let mut all: Vec<String> = Vec::new();
        loop {
            let after = all.last().map(String::as_str);
            let keys = self.store.list(TIMESTAMPS, after, PAGE).await?;
            let is_last = keys.len() < PAGE;
            all.extend(keys);
            if is_last {
                return Ok(all);
            }
        }
    }

    fn stamped(&self) -> std::sync::MutexGuard<'_, Option<String>> {
        self.stamped_day
            .lock()
            .expect("no holder of this lock panics")
    }
}

fn name_of(key: &str) -> &str {
    key.strip_prefix(TIMESTAMPS).unwrap_or(key)
}

/// The number of the checkpoint; `None` if the name has none.
fn number_of(name: &str) -> Option<u64> {
    let (_, number) = name.strip_suffix(".tst")?.split_once('-')?;
    number.parse().ok()
}
