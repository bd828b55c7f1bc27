//! The outbox: notices for other systems. A notice is written before its fact becomes true, and removed after it was
//! sent, so no notice is lost if the process is killed in between. It must not know how notices are sent.
//!
//! `outbox/<id>.json` in the ledger's storage. The id is derived from the content of the notice: writing it twice makes
//! one.

use std::sync::Arc;

use bytes::Bytes;
use futures::TryStreamExt as _;
use jiff::Timestamp;
use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use crate::recording::{DocumentId, RecordingId};
use crate::store::digest::Sha256Digest;
use crate::store::document_store::{
    DocumentStore, Precondition, StoreError, Version, unless_damaged,
};
use crate::store::listing::keys;

const OUTBOX: &str = "outbox/";
/// Hex digits of an id: no two notices share them.
const ID_LENGTH: usize = 40;
/// Writes of a notice that are tried while others keep and remove the same one.
const KEEP_TRIES: usize = 4;

/// The content of a notice.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(
    tag = "kind",
    rename_all = "camelCase",
    rename_all_fields = "camelCase"
)]
pub enum Notice {
    /// A chunk is in the vault, and proved. A chunk that is opened and exported again is reported again.
    Exported {
        document_id: DocumentId,
        opening: u64,
    },
    /// The media of a chunk contradicts what is reported of it, or its metadata could not be copied.
    Doubtful {
        document_id: DocumentId,
        opening: u64,
    },
    /// This share of a chunk's time at ACS has passed, and it is not in the vault.
    AtRisk {
        document_id: DocumentId,
        #[serde(alias = "percentOver")]
        percent_elapsed: u32,
        /// Later files of the chunk have a time of their own, and are reported again. 0 for the first, as in notices of
        /// earlier releases.
        #[serde(default, skip_serializing_if = "is_first")]
        period: u32,
    },
    /// ACS dropped a chunk before it was in the vault.
    Lost {
        document_id: DocumentId,
        opening: u64,
    },
    /// A recording ended, and no event announced its files in time.
    Missing { recording_id: RecordingId },
    /// The report of a day is made, or its numbers have changed.
    DayCompleted {
        day: Date,
        /// When the report that it replaces was begun; `None` for the first, as in notices of earlier releases.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        replaced: Option<Timestamp>,
    },
}

/// A notice as it is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct KeptNotice {
    #[serde(flatten)]
    pub notice: Notice,
    pub noted_at: Timestamp,
}

/// A notice that is to be sent.
#[derive(Debug, Clone)]
pub struct Outgoing {
    /// The same for the same notice, however often it is sent.
    pub id: String,
    pub kept: KeptNotice,
    key: String,
    version: Version,
}

/// Notices that wait to be sent.
#[derive(Clone)]
pub struct Outbox {
    store: Arc<dyn DocumentStore>,
}

impl Outbox {
    pub fn new(store: Arc<dyn DocumentStore>) -> Self {
        Self { store }
    }

    /// Keeps a notice; returns when it is durable. One that is kept already is as new as this one then: it may be of a write
    /// that failed long ago, and a sender that looks before its fact is true must not drop it.
    ///
    /// # Errors
    /// When the storage fails.
    pub async fn keep(&self, notice: Notice, noted_at: Timestamp) -> Result<(), StoreError> {
        let key = format!("{OUTBOX}{}.json", id_of(&notice));
        let kept = KeptNotice { notice, noted_at };
        let content = serde_json::to_vec(&kept).expect("a notice has string keys only");
        let content = Bytes::from(content);
        let mut condition = Precondition::Absent;
        for _ in 0..KEEP_TRIES {
            let put = self.store.put(&key, content.clone(), condition).await?;
            if put.is_written() {
                return Ok(());
            }
            condition = match self.store.find(&key).await {
                Ok(Some(found)) => Precondition::Unchanged(found.version),
                Ok(None) => Precondition::Absent,
                Err(error) if error.damaged().is_some() => return Ok(()),
                Err(error) => return Err(error),
            };
        }
        // Others keep the same notice at this moment.
        Ok(())
    }

    /// At most `limit` notices after the one with the id `after`, fewer only if there are no more; those that are not
    /// readable are left out.
    ///
    /// # Errors
    /// When the storage fails.
    pub async fn waiting(
        &self,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<Outgoing>, StoreError> {
        let after = after.map(|id| format!("{OUTBOX}{id}.json"));
        let mut keys = keys(&*self.store, OUTBOX, after);
        let mut waiting = Vec::new();
        while waiting.len() < limit
            && let Some(key) = keys.try_next().await?
        {
            let Some(found) = unless_damaged(self.store.find(&key).await)? else {
                continue;
            };
            let id = key
                .strip_prefix(OUTBOX)
                .and_then(|id| id.strip_suffix(".json"));
            let (Some(id), Ok(kept)) = (id, serde_json::from_slice(&found.content)) else {
                tracing::error!(key, "A notification is not readable and was not sent");
                continue;
            };
            waiting.push(Outgoing {
                id: id.to_owned(),
                kept,
                version: found.version,
                key,
            });
        }
        Ok(waiting)
    }

    /// Forgets a notice that was sent, or that turned out not to be true.
    ///
    /// # Errors
    /// When the storage fails.
    pub async fn remove(&self, sent: &Outgoing) -> Result<(), StoreError> {
        // Another process may have sent it as well: then it is gone, or was kept again and is sent again.
        self.store
            .remove_unchanged(&sent.key, &sent.version)
            .await
            .map(drop)
    }
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde passes a reference"
)]
fn is_first(period: &u32) -> bool {
    *period == 0
}

fn id_of(notice: &Notice) -> String {
    let text = serde_json::to_vec(notice).expect("a notice has string keys only");
    let mut id = Sha256Digest::of(&text).to_string();
    id.truncate(ID_LENGTH);
    id
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vault::memory::MemoryDocumentStore;

    #[test]
    fn a_notice_of_an_earlier_build_is_read() {
        let notice = Notice::AtRisk {
            document_id: "0-eus-d1-a".parse().unwrap(),
            percent_elapsed: 75,
            period: 0,
        };
        let stored = serde_json::to_string(&notice).unwrap();
        assert!(!stored.contains("period"), "{stored}");
        let earlier = stored.replace("percentElapsed", "percentOver");
        assert!(earlier != stored);
        assert_eq!(serde_json::from_str::<Notice>(&earlier).unwrap(), notice);
    }

    #[tokio::test]
    async fn a_notice_that_is_kept_again_is_as_new_as_the_last_write() {
        let outbox = Outbox::new(Arc::new(MemoryDocumentStore::default()));
        let lost = Notice::Lost {
            document_id: "0-eus-d1-a".parse().unwrap(),
            opening: 1,
        };
        let later = Timestamp::UNIX_EPOCH + jiff::SignedDuration::from_hours(2);
        for noted_at in [Timestamp::UNIX_EPOCH, later] {
            outbox.keep(lost.clone(), noted_at).await.unwrap();
        }
        let waiting = outbox.waiting(None, 10).await.unwrap();
        let noted_at: Vec<_> = waiting.iter().map(|one| one.kept.noted_at).collect();
        assert_eq!(noted_at, [later]);
    }

    #[tokio::test]
    async fn a_notice_that_is_kept_twice_waits_once_until_it_is_removed() {
        let outbox = Outbox::new(Arc::new(MemoryDocumentStore::default()));
        let lost = |id: &str| Notice::Lost {
            document_id: id.parse().unwrap(),
            opening: 1,
        };
        for id in ["0-eus-d1-a", "0-eus-d1-a", "0-eus-d1-b"] {
            outbox.keep(lost(id), Timestamp::UNIX_EPOCH).await.unwrap();
        }
        let waiting = outbox.waiting(None, 10).await.unwrap();
        assert_eq!(waiting.len(), 2);
        let next = outbox.waiting(Some(&waiting[0].id), 10).await.unwrap();
        assert_eq!(next.len(), 1);
        assert_eq!(next[0].kept, waiting[1].kept);
        outbox.remove(&waiting[0]).await.unwrap();
        outbox.remove(&waiting[0]).await.unwrap();
        assert_eq!(outbox.waiting(None, 10).await.unwrap().len(), 1);
    }
}
