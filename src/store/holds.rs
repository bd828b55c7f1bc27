//! Holds: what must not be deleted, neither at ACS nor in the vault, and for which case. They decide nothing by themselves:
//! each deletion asks [`Holds::on`] after its intent is durable and before it acts.
//!
//! `holds/<sha256 of "recording:<id>" or "call:<id>">.json` in the ledger's storage: what is held, and its cases. A document
//! whose last case is released stays, empty: the storage removes without a condition, and a case may be added at any time.

mod case;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use futures::{StreamExt as _, TryStreamExt as _};

use crate::recording::RecordingChunk;
use crate::store::document_store::{DocumentStore, StoreError};
use crate::store::documents::{DocumentError, Documents};
use crate::store::index::Count;

pub use case::{Case, CaseTag, Held, Hold, InvalidTag, tags};

const HOLDS: &str = "holds/";
const PAGE: usize = 500;
/// Holds that are read together.
const AT_ONCE: usize = 16;

/// What adding a case found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Added {
    Added,
    /// The case holds it already; the first record of it stays.
    AlreadyHeld,
}

/// What releasing a case found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Released {
    /// The case no longer holds it; these still do.
    Released { still: Vec<CaseTag> },
    /// An earlier release did it; these still hold it.
    ReleasedBefore { still: Vec<CaseTag> },
    /// The case never held it.
    NotHeld,
}

/// All holds in the ledger's storage.
#[derive(Clone)]
pub struct Holds {
    documents: Documents,
}

impl Holds {
    pub fn new(store: Arc<dyn DocumentStore>) -> Self {
        Self {
            documents: Documents { store },
        }
    }

    /// Holds something for a case; returns only when that is durable. Every deletion that looks afterwards finds it.
    ///
    /// # Errors
    /// When the storage fails or the hold is unreadable.
    pub async fn add(&self, held: &Held, case: &Case) -> Result<Added, StoreError> {
        let add = |known: Option<&Hold>| {
            let mut hold = known.cloned().unwrap_or_else(|| Hold {
                held: held.clone(),
                cases: Vec::new(),
                released: Vec::new(),
            });
            let is_known = hold.cases.iter().any(|known| known.tag == case.tag);
            hold.cases.push(case.clone());
            hold.released.retain(|tag| *tag != case.tag);
            (!is_known).then_some(hold)
        };
        let hold = self.documents.change(&key(held), add).await;
        let hold = hold.map_err(store_error)?;
        // A case that equals this one was written by this call, also when the answer to the write was lost.
        let is_ours = hold.is_some_and(|hold| hold.cases.contains(case));
        Ok(if is_ours {
            Added::Added
        } else {
            Added::AlreadyHeld
        })
    }

    /// Releases one case; others still hold.
    ///
    /// # Errors
    /// When the storage fails or the hold is unreadable.
    pub async fn release(&self, held: &Held, tag: &CaseTag) -> Result<Released, StoreError> {
        // A write whose answer was lost is tried again, and finds the case released: it was held when this call began.
        let was_held = AtomicBool::new(false);
        let release = |known: Option<&Hold>| {
            let mut hold = known?.clone();
            let before = hold.cases.len();
            hold.cases.retain(|case| case.tag != *tag);
            let is_held = hold.cases.len() < before;
            was_held.fetch_or(is_held, Ordering::Relaxed);
            if !hold.released.contains(tag) {
                hold.released.push(tag.clone());
            }
            is_held.then_some(hold)
        };
        let hold = self.documents.change(&key(held), release).await;
        let hold = hold.map_err(store_error)?;
        let Some(Hold {
            cases, released, ..
        }) = hold
        else {
            return Ok(Released::NotHeld);
        };
        let still = cases.into_iter().map(|case| case.tag).collect();
        Ok(if was_held.load(Ordering::Relaxed) {
            Released::Released { still }
        } else if released.contains(tag) {
            Released::ReleasedBefore { still }
        } else {
            Released::NotHeld
        })
    }

    /// The cases that hold a chunk: by its recording, or by its call under either name. One request while nothing was ever
    /// held, three more at most.
    ///
    /// # Errors
    /// When the storage fails or a hold is unreadable: then nothing may be deleted.
    pub async fn on(&self, chunk: &RecordingChunk) -> Result<Vec<Case>, StoreError> {
        if !self.is_any().await? {
            return Ok(Vec::new());
        }
        self.cases_of(Held::covering(chunk)).await
    }

    /// Whether anything was ever held.
    ///
    /// # Errors
    /// When the storage fails.
    pub async fn is_any(&self) -> Result<bool, StoreError> {
        Ok(!self.documents.store.list(HOLDS, None, 1).await?.is_empty())
    }

    /// The cases that hold any of these.
    ///
    /// # Errors
    /// When the storage fails or a hold is unreadable.
    pub async fn cases_of(
        &self,
        held: impl IntoIterator<Item = Held, IntoIter: Send>,
    ) -> Result<Vec<Case>, StoreError> {
        let mut cases: Vec<Case> = Vec::new();
        for one in held {
            let hold = self.find(&key(&one)).await?;
            cases.extend(hold.into_iter().flat_map(|hold| hold.cases));
        }
        Ok(cases)
    }

    /// How many holds are in force; of more than `cap` documents the rest is not looked at.
    ///
    /// # Errors
    /// When the storage fails or a hold is unreadable.
    pub async fn count(&self, cap: usize) -> Result<Count, StoreError> {
        let keys = self.documents.store.list(HOLDS, None, cap + 1).await?;
        let is_capped = keys.len() > cap;
        let holds = futures::stream::iter(keys.into_iter().take(cap))
            .map(|key| async move { self.find(&key).await });
        let holds: Vec<_> = holds.buffer_unordered(AT_ONCE).try_collect().await?;
        let in_force = holds.into_iter().flatten();
        let count = in_force.filter(|hold| !hold.cases.is_empty()).count();
        Ok(Count { count, is_capped })
    }

    /// Everything that is held by any case.
    ///
    /// # Errors
    /// When the storage fails or a hold is unreadable.
    pub async fn all(&self) -> Result<Vec<Hold>, StoreError> {
        let mut holds = Vec::new();
        let mut after: Option<String> = None;
        loop {
            let keys = self
                .documents
                .store
                .list(HOLDS, after.as_deref(), PAGE)
                .await?;
            for key in &keys {
                let hold = self.find(key).await?;
                holds.extend(hold.filter(|hold| !hold.cases.is_empty()));
            }
            after = keys.last().cloned();
            if keys.len() < PAGE {
                return Ok(holds);
            }
        }
    }

    async fn find(&self, key: &str) -> Result<Option<Hold>, StoreError> {
        self.documents.find(key).await.map_err(store_error)
    }
}

fn key(held: &Held) -> String {
    format!("{HOLDS}{}.json", held.digest())
}

/// For a deletion there is one answer to all of them: it must not happen.
fn store_error(error: DocumentError) -> StoreError {
    match error {
        DocumentError::Store(error) => error,
        DocumentError::Corrupt { key, source } => StoreError {
            action: "read",
            key,
            source: source.into(),
        },
        DocumentError::Contended { key } => StoreError {
            action: "change",
            key,
            source: "too many others write it at the same time".into(),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recording::chunk::tests::chunk;
    use crate::store::document_store::Precondition;
    use crate::vault::memory::MemoryDocumentStore;
    use bytes::Bytes;
    use jiff::Timestamp;

    fn holds() -> (Holds, Arc<MemoryDocumentStore>) {
        let store = Arc::new(MemoryDocumentStore::default());
        (Holds::new(store.clone()), store)
    }

    fn recording(id: &str) -> Held {
        Held::RecordingId(id.parse().unwrap())
    }

    fn call(id: &str) -> Held {
        Held::CallId(id.parse().unwrap())
    }

    fn case(tag: &str) -> Case {
        Case {
            tag: tag.parse().unwrap(),
            by: None,
            note: None,
            since: Timestamp::UNIX_EPOCH,
        }
    }

    #[tokio::test]
    async fn a_chunk_that_names_no_recording_is_held_by_what_it_is_filed_under() {
        let (holds, _) = holds();
        let chunk = RecordingChunk {
            recording_id: None,
            ..known()
        };
        holds
            .add(&Held::RecordingId(chunk.filed_under()), &case("a"))
            .await
            .unwrap();
        assert_eq!(holds.on(&chunk).await.unwrap().len(), 1);
        assert_eq!(chunk.filed_under().as_str(), "call c");
    }

    fn known() -> RecordingChunk {
        RecordingChunk {
            recording_id: "r".parse().ok(),
            call_id: "c".parse().ok(),
            server_call_id: "s".parse().ok(),
            ..chunk()
        }
    }

    #[tokio::test]
    async fn a_chunk_is_held_by_its_recording_and_by_either_name_of_its_call() {
        for held in [recording("r"), call("c"), call("s")] {
            let (holds, _) = holds();
            assert!(holds.on(&known()).await.unwrap().is_empty());
            assert_eq!(holds.add(&held, &case("A-1")).await.unwrap(), Added::Added);
            assert_eq!(holds.on(&known()).await.unwrap(), [case("A-1")], "{held}");
            assert!(held.covers(&known()));
        }
    }

    #[tokio::test]
    async fn what_is_of_another_recording_and_another_call_is_not_held() {
        let (holds, _) = holds();
        // A call of the recording's name is not the recording.
        for held in [recording("c"), call("r"), recording("other"), call("other")] {
            holds.add(&held, &case("A-1")).await.unwrap();
            assert!(!held.covers(&known()));
        }
        assert!(holds.on(&known()).await.unwrap().is_empty());
        assert!(
            holds.on(&chunk()).await.unwrap().is_empty(),
            "a chunk of which nothing is known"
        );
    }

    #[tokio::test]
    async fn it_is_held_until_the_last_case_is_released() {
        let (holds, _) = holds();
        for tag in ["A-1", "B-2"] {
            holds.add(&recording("r"), &case(tag)).await.unwrap();
        }
        let still = vec!["B-2".parse().unwrap()];
        let release = async |tag: &str| {
            holds
                .release(&recording("r"), &tag.parse().unwrap())
                .await
                .unwrap()
        };
        assert_eq!(release("A-1").await, Released::Released { still });
        assert_eq!(release("A-1").await, Released::NotHeld);
        assert_eq!(holds.on(&known()).await.unwrap(), [case("B-2")]);
        assert_eq!(
            release("B-2").await,
            Released::Released { still: Vec::new() }
        );
        assert!(
            holds.on(&known()).await.unwrap().is_empty() && holds.all().await.unwrap().is_empty()
        );
    }

    #[tokio::test]
    async fn a_case_that_is_added_again_stays_as_it_was_said_first() {
        let (holds, _) = holds();
        let first = Case {
            by: Some("legal".to_owned()),
            ..case("A-1")
        };
        holds.add(&call("c"), &first).await.unwrap();
        assert_eq!(
            holds.add(&call("c"), &case("A-1")).await.unwrap(),
            Added::AlreadyHeld
        );
        assert_eq!(
            holds.all().await.unwrap(),
            [Hold {
                held: call("c"),
                cases: vec![first],
                released: Vec::new(),
            }]
        );
    }

    #[tokio::test]
    async fn of_cases_added_at_once_none_is_lost() {
        let (holds, _) = holds();
        let cases: Vec<Case> = (0..8).map(|number| case(&number.to_string())).collect();
        let held = recording("r");
        let added =
            futures::future::join_all(cases.iter().map(|case| holds.add(&held, case))).await;
        assert!(
            added
                .into_iter()
                .all(|added| added.unwrap() == Added::Added)
        );
        assert_eq!(holds.on(&known()).await.unwrap().len(), cases.len());
    }

    #[tokio::test]
    async fn a_hold_that_is_not_readable_is_an_error_and_not_no_hold() {
        let (holds, store) = holds();
        store
            .put(
                &key(&recording("r")),
                Bytes::from_static(b"{"),
                Precondition::Absent,
            )
            .await
            .unwrap();
        assert!(holds.on(&known()).await.is_err());
    }
}
