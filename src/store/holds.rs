//! Holds: what must not be deleted, neither at ACS nor in the vault, and for which case. It decides nothing by itself:
//! whoever is about to delete asks [`Holds::on`].
//!
//! `holds/<sha256 of "recording:<id>" or "call:<id>">.json` in the ledger's storage: what is held, and its cases. The storage
//! removes without a condition, and a case may be added at any time: so a document whose last case is released stays, empty.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use futures::{FutureExt as _, StreamExt as _, TryStreamExt as _};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::recording::{CallId, RecordingChunk, RecordingId};
use crate::store::digest::Sha256Digest;
use crate::store::document_store::{DocumentStore, StoreError};
use crate::store::documents::{Decision, DocumentError, Documents};
use crate::store::index::Count;

const HOLDS: &str = "holds/";
const PAGE: usize = 500;
/// Holds that are read together.
const AT_ONCE: usize = 16;
/// A tag is a file number, not a text.
const MAX_TAG_LENGTH: usize = 128;

/// What is held.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Held {
    RecordingId(RecordingId),
    /// The call as events name it (`callId`), or as Call Automation does (`serverCallId`).
    CallId(CallId),
}

/// The name of a case.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct CaseTag(String);

/// A text that names no case.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected 1 to {MAX_TAG_LENGTH} characters, none of them a control character")]
pub struct InvalidTag;

/// Why something is held.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Case {
    pub tag: CaseTag,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    pub since: Timestamp,
}

/// A hold as it is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hold {
    pub held: Held,
    pub cases: Vec<Case>,
}

/// What adding a case found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Added {
    Added,
    /// The case holds it already, as it was said then.
    AlreadyHeld,
}

/// What releasing a case found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Released {
    /// It is held no more by this case; by these it still is.
    Released {
        still: Vec<CaseTag>,
    },
    NotHeld,
}

/// All holds there are.
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
        let added = self.change(held, |cases| {
            let is_new = cases.iter().all(|known| known.tag != case.tag);
            if is_new {
                cases.push(case.clone());
            }
            is_new
        });
        Ok(if added.await?.is_some() {
            Added::Added
        } else {
            Added::AlreadyHeld
        })
    }

    /// Releases one case; others go on holding.
    ///
    /// # Errors
    /// When the storage fails or the hold is unreadable.
    pub async fn release(&self, held: &Held, tag: &CaseTag) -> Result<Released, StoreError> {
        let released = self.change(held, |cases| {
            let before = cases.len();
            cases.retain(|case| case.tag != *tag);
            cases.len() < before
        });
        Ok(match released.await? {
            Some(cases) => Released::Released {
                still: cases.into_iter().map(|case| case.tag).collect(),
            },
            None => Released::NotHeld,
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
            let found = self.find(&one.key()).await?;
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
        let count = holds
            .into_iter()
            .flatten()
            .filter(|hold| !hold.cases.is_empty())
            .count();
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

    /// The cases after `change`; `None` when it has nothing to change.
    async fn change(
        &self,
        what: &Held,
        change: impl Fn(&mut Vec<Case>) -> bool + Send,
    ) -> Result<Option<Vec<Case>>, StoreError> {
        let changed = self
            .documents
            .decide(&what.key(), None, move |found: Option<Hold>| {
                let mut hold = found.unwrap_or_else(|| Hold {
                    held: what.clone(),
                    cases: Vec::new(),
                });
                let decision = if change(&mut hold.cases) {
                    let cases = hold.cases.clone();
                    Decision::Write(hold, Some(cases))
                } else {
                    Decision::Leave(None)
                };
                futures::future::ready(Ok::<_, DocumentError>(decision)).boxed()
            })
            .await;
        changed.map(|changed| changed.outcome).map_err(failed)
    }

    async fn find(&self, key: &str) -> Result<Option<Hold>, StoreError> {
        self.documents.find(key).await.map_err(failed)
    }
}

fn failed(error: DocumentError) -> StoreError {
    match error {
        DocumentError::Store(error) => error,
        DocumentError::Corrupt { key, source } => StoreError {
            action: "understand",
            key,
            source: source.into(),
        },
        DocumentError::Contended { ref key } => StoreError {
            action: "change",
            key: key.clone(),
            source: "it is written by too many at once".into(),
        },
    }
}

impl Held {
    /// All by which a chunk may be held.
    pub fn covering(chunk: &RecordingChunk) -> impl Iterator<Item = Self> + Send {
        let call = |id: String| CallId::try_from(id).ok().map(Self::CallId);
        let server_call = chunk.server_call_id.clone().and_then(|id| call(id.into()));
        // Where the event names no recording, what it is filed under is what anybody can hold.
        let recording = Some(Self::RecordingId(chunk.filed_under()));
        [
            recording,
            chunk.call_id.clone().map(Self::CallId),
            server_call,
        ]
        .into_iter()
        .flatten()
    }

    /// Whether a chunk is of what is held.
    pub fn covers(&self, chunk: &RecordingChunk) -> bool {
        Self::covering(chunk).any(|held| held == *self)
    }

    fn key(&self) -> String {
        let name = match self {
            Self::RecordingId(id) => format!("recording:{id}"),
            Self::CallId(id) => format!("call:{id}"),
        };
        format!("{HOLDS}{}.json", Sha256Digest::of(name.as_bytes()))
    }
}

impl fmt::Display for Held {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::RecordingId(id) => write!(f, "recording {id}"),
            Self::CallId(id) => write!(f, "call {id}"),
        }
    }
}

impl FromStr for CaseTag {
    type Err = InvalidTag;
    fn from_str(text: &str) -> Result<Self, InvalidTag> {
        let tag = text.trim();
        let is_fine = !tag.is_empty()
            && tag.chars().count() <= MAX_TAG_LENGTH
            && !tag.chars().any(char::is_control);
        if is_fine {
            Ok(Self(tag.to_owned()))
        } else {
            Err(InvalidTag)
        }
    }
}

impl TryFrom<String> for CaseTag {
    type Error = InvalidTag;
    fn try_from(text: String) -> Result<Self, InvalidTag> {
        text.parse()
    }
}

impl From<CaseTag> for String {
    fn from(tag: CaseTag) -> Self {
        tag.0
    }
}

impl fmt::Display for CaseTag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The tags of cases, once each, as they are written in a sentence.
pub fn tags(cases: &[Case]) -> String {
    let tags: std::collections::BTreeSet<&str> =
        cases.iter().map(|case| case.tag.0.as_str()).collect();
    tags.into_iter()
        .map(|tag| format!("`{tag}`"))
        .collect::<Vec<_>>()
        .join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recording::chunk::tests::chunk;
    use crate::store::document_store::Precondition;
    use crate::vault::memory::MemoryDocumentStore;
    use bytes::Bytes;

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
                cases: vec![first]
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
                &recording("r").key(),
                Bytes::from_static(b"{"),
                Precondition::Absent,
            )
            .await
            .unwrap();
        assert!(holds.on(&known()).await.is_err());
    }

    #[rstest::rstest]
    #[case("")]
    #[case("  ")]
    #[case("a\nb")]
    fn a_text_that_names_no_case_is_refused(#[case] text: &str) {
        assert_eq!(text.parse::<CaseTag>(), Err(InvalidTag));
    }

    #[test]
    fn tags_are_named_once_each() {
        assert_eq!(tags(&[case("B"), case("A"), case("B")]), "`A`, `B`");
    }
}
