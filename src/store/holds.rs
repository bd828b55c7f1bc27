//! Holds: what must not be deleted, neither at ACS nor in the vault, and for which case. They decide nothing by themselves:
//! each deletion asks [`Holds::on`] after its intent is durable and before it acts.
//!
//! `holds/<sha256 of "recording:<id>" or "call:<id>">.json` in the ledger's storage: what is held, and its cases. A document
//! whose last case is released stays, empty: the storage removes without a condition, and a case may be added at any time.

mod case;

use std::sync::Arc;

use futures::future::BoxFuture;
use futures::{FutureExt as _, StreamExt as _, TryStreamExt as _};

use crate::recording::RecordingChunk;
use crate::store::document_store::{DocumentStore, StoreError};
use crate::store::documents::{Decision, DocumentError, Documents};
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
            let mut document = known.cloned().unwrap_or_else(|| Hold {
                held: held.clone(),
                cases: Vec::new(),
                released: Vec::new(),
            });
            let is_known = document.cases.iter().any(|known| known.tag == case.tag);
            document.cases.push(case.clone());
            document.released.retain(|tag| *tag != case.tag);
            (!is_known).then_some(document)
        };
        let changed = self.documents.change(&key(held), add).await;
        let changed = changed.map_err(store_error)?;
        // A case that equals this one was written by this call, even if the response to the write was lost.
        let is_ours = changed.is_some_and(|hold| hold.cases.contains(case));
        Ok(if is_ours {
            Added::Added
        } else {
            Added::AlreadyHeld
        })
    }

    /// Releases one case; others still hold. Only the case that is found first is released: one of the same tag that is added
    /// meanwhile stays. `audit` runs once, before the release takes effect, and not where there is nothing to release.
    ///
    /// # Errors
    /// When the storage or `audit` fails, or the hold is unreadable.
    pub async fn release<'a>(
        &'a self,
        held: &Held,
        tag: &'a CaseTag,
        mut audit: impl FnMut() -> BoxFuture<'a, Result<(), StoreError>> + Send,
    ) -> Result<Released, StoreError> {
        let mut first_found: Option<Case> = None;
        let release = |known: Option<Hold>| {
            let is_first = first_found.is_none();
            let decision = decide_released(known, tag, &mut first_found);
            let auditing = (is_first && first_found.is_some()).then(&mut audit);
            async move {
                if let Some(auditing) = auditing {
                    auditing.await?;
                }
                Ok::<_, DocumentError>(decision)
            }
            .boxed()
        };
        let decided = self.documents.decide(&key(held), None, release).await;
        Ok(decided.map_err(store_error)?.outcome)
    }

    /// The cases that hold a chunk: by its recording, or by its call under either name. One request while nothing was ever
    /// held, five more at most.
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
            let found = self.find(&key(&one)).await?;
            cases.extend(found.into_iter().flat_map(|hold| hold.cases));
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

/// Removes the case that was found first; if it is gone, another release removed it.
fn decide_released(
    known: Option<Hold>,
    tag: &CaseTag,
    first_found: &mut Option<Case>,
) -> Decision<Hold, Released> {
    let Some(mut hold) = known else {
        return Decision::Leave(Released::NotHeld);
    };
    let case = hold.cases.iter().find(|case| case.tag == *tag).cloned();
    let releases = case.filter(|case| first_found.get_or_insert_with(|| case.clone()) == case);
    hold.cases.retain(|case| Some(case) != releases.as_ref());
    let still = hold.cases.iter().map(|case| case.tag.clone()).collect();
    if releases.is_none() {
        let was_held = first_found.is_some() || hold.released.contains(tag);
        return Decision::Leave(if was_held {
            Released::ReleasedBefore { still }
        } else {
            Released::NotHeld
        });
    }
    if !hold.released.contains(tag) {
        hold.released.push(tag.clone());
    }
    Decision::Write(hold, Released::Released { still })
}

fn key(held: &Held) -> String {
    format!("{HOLDS}{}.json", held.digest())
}

/// A deletion handles all of them alike: it must not happen.
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

    fn unaudited<'a>() -> BoxFuture<'a, Result<(), StoreError>> {
        futures::future::ready(Ok(())).boxed()
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
                .release(&recording("r"), &tag.parse().unwrap(), unaudited)
                .await
                .unwrap()
        };
        assert_eq!(
            release("A-1").await,
            Released::Released {
                still: still.clone()
            }
        );
        assert_eq!(release("A-1").await, Released::ReleasedBefore { still });
        assert_eq!(release("C-3").await, Released::NotHeld);
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
    async fn a_hold_by_the_name_a_recording_was_filed_under_outlasts_the_event_that_names_it() {
        let announced = RecordingChunk {
            recording_id: None,
            call_id: None,
            ..known()
        };
        let with_call = RecordingChunk {
            recording_id: None,
            ..known()
        };
        for before in [announced, with_call] {
            let (holds, _) = holds();
            let held = Held::RecordingId(before.filed_under());
            holds.add(&held, &case("A-1")).await.unwrap();
            let mut after = before;
            after.absorb(&known());
            assert_eq!(after.filed_under().as_str(), "r");
            assert_eq!(holds.on(&after).await.unwrap(), [case("A-1")], "{held}");
        }
    }

    #[tokio::test]
    async fn a_release_leaves_a_hold_that_was_added_after_another_release() {
        let (holds, _) = holds();
        let (held, tag) = (recording("r"), "A-1".parse().unwrap());
        holds.add(&held, &case("A-1")).await.unwrap();
        let newer = Case {
            since: Timestamp::UNIX_EPOCH + jiff::SignedDuration::from_secs(1),
            ..case("A-1")
        };
        let mut audits = 0;
        // While the first release is audited, another one takes effect, and the case is added again.
        let released = holds.release(&held, &tag, || {
            audits += 1;
            async {
                holds.release(&held, &tag, unaudited).await?;
                holds.add(&held, &newer).await.map(drop)
            }
            .boxed()
        });
        let still = vec![tag.clone()];
        assert_eq!(released.await.unwrap(), Released::ReleasedBefore { still });
        assert_eq!(
            holds.on(&known()).await.unwrap(),
            std::slice::from_ref(&newer)
        );
        assert_eq!(audits, 1);
    }

    #[tokio::test]
    async fn a_release_of_what_is_not_held_is_not_audited() {
        let (holds, _) = holds();
        let (held, tag) = (recording("r"), "A-1".parse().unwrap());
        let audit = || panic!("nothing is released");
        let released = holds.release(&held, &tag, audit).await.unwrap();
        assert_eq!(released, Released::NotHeld);
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
