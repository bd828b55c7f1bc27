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
use futures::TryStreamExt as _;
use jiff::civil::Date;
use jiff::tz::TimeZone;

use super::name::{CheckpointRef, number_of_key};
use super::{AuditLog, StoreError};
use crate::store::document_store::Precondition;
use crate::store::listing::keys;

const TIMESTAMPS: &str = "audit/timestamps/";

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
    /// The day in its name; `None` if the name has none.
    pub day: Option<Date>,
    pub token: Bytes,
}

/// A stamp, or why it could not be read.
type ReadStamp = Result<CheckpointStamp, StoreError>;

impl AuditLog {
    /// The checkpoint that is to be stamped today. `None`: there is none, or today's stamp exists.
    ///
    /// # Errors
    /// When the storage fails.
    pub async fn unstamped(&self) -> Result<Option<UnstampedCheckpoint>, StoreError> {
        let today = self.clock.now().to_zoned(TimeZone::UTC).date();
        let day = today.strftime("%Y%m%d").to_string();
        let of_today = format!("{TIMESTAMPS}{day}-");
        let is_of_today = |key: &String| key.starts_with(&of_today);
        if self.stamped().as_ref().is_some_and(is_of_today) {
            return Ok(None);
        }
        if let Some(found) = self.store.list(&of_today, None, 1).await?.pop() {
            *self.stamped() = Some(found);
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
        *self.stamped() = Some(key);
        Ok(())
    }

    /// The name of the newest stamp that this process knows of.
    pub fn newest_stamp(&self) -> Option<String> {
        let key = self.stamped().clone()?;
        key.strip_prefix(TIMESTAMPS).map(str::to_owned)
    }

    /// Whether there is a stamp of this name.
    ///
    /// # Errors
    /// When the storage fails.
    pub async fn has_stamp(&self, name: &str) -> Result<bool, StoreError> {
        let key = format!("{TIMESTAMPS}{name}");
        Ok(self.store.find(&key).await?.is_some())
    }

    /// All stamps, oldest first, and why others could not be read.
    ///
    /// # Errors
    /// When the storage cannot be listed.
    pub async fn stamps(&self) -> Result<(Vec<CheckpointStamp>, Vec<StoreError>), StoreError> {
        let (mut stamps, mut unread) = (Vec::new(), Vec::new());
        for read in self.read_stamps(|_| true).await? {
            match read {
                Ok(stamp) => stamps.push(stamp),
                Err(error) => unread.push(error),
            }
        }
        Ok((stamps, unread))
    }

    /// The stamps of certain checkpoints, oldest first.
    pub(super) async fn stamps_of(
        &self,
        is_wanted: impl Fn(u64) -> bool + Send + Sync,
    ) -> Result<Vec<CheckpointStamp>, StoreError> {
        let read = self.read_stamps(|number| number.is_some_and(&is_wanted));
        read.await?.into_iter().collect()
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
    ) -> Result<Vec<ReadStamp>, StoreError> {
        let mut stamps = Vec::new();
        for key in self.stamp_keys().await? {
            let name = name_of(&key);
            let number = number_of(name);
            if !is_wanted(number) {
                continue;
            }
            let day = name.split_once('-').map(|(day, _)| day);
            match self.store.find(&key).await {
                Ok(None) => {}
                Ok(Some(stored)) => stamps.push(Ok(CheckpointStamp {
                    name: name.to_owned(),
                    number,
                    day: day.and_then(|day| Date::strptime("%Y%m%d", day).ok()),
                    token: stored.content,
                })),
                Err(error) => stamps.push(Err(error)),
            }
        }
        Ok(stamps)
    }

    async fn stamp_keys(&self) -> Result<Vec<String>, StoreError> {
        keys(&*self.store, TIMESTAMPS, None).try_collect().await
    }

    fn stamped(&self) -> std::sync::MutexGuard<'_, Option<String>> {
        self.newest_stamp
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

fn name_of(key: &str) -> &str {
    key.strip_prefix(TIMESTAMPS).unwrap_or(key)
}

/// The number of the checkpoint; `None` if the name has none.
fn number_of(name: &str) -> Option<u64> {
    let (_, number) = name.strip_suffix(".tst")?.split_once('-')?;
    number_of_key(number)
}
