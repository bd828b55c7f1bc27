//! Holds: what must not be deleted, neither at ACS nor in the vault, and for which case. They decide nothing by themselves:
//! each deletion asks for them (`ChunkLedger::cases_on`) after its intent is durable and before it acts.
//!
//! ```text
//! holds/<sha256 of "recording:<id>" or "call:<id>">.json   a recording or call, found by its name
//! holds/standing/<sha256 of the rule>.json                 a person's recordings, or those of a period; all are read
//! ```
//! Each document says what is held, and its cases. A document whose last case is released stays, empty: the storage
//! removes without a condition, and a case may be added at any time.

mod case;
mod rule;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use futures::future::BoxFuture;
use futures::stream::BoxStream;
use futures::{FutureExt as _, StreamExt as _, TryStreamExt as _};

use crate::recording::RecordingChunk;
use crate::store::document_store::{DocumentStore, StoreError};
use crate::store::documents::{Decision, DocumentError, Documents, Keyed, Known};
use crate::store::listing::{self, Count};

pub use case::{Case, CaseTag, Held, Hold, InvalidTag, tags};
pub use rule::{HeldPerson, HoldRule, InvalidRule, KnownPeople, KnownStart, Match};

const HOLDS: &str = "holds/";
const STANDING: &str = "holds/standing/";
/// Holds that are read together.
const AT_ONCE: usize = 16;

/// The key of a hold, and what was read there.
type ReadHold = (String, Result<Option<Hold>, DocumentError>);

/// What adding a case found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Added {
    Added,
    /// The case holds it already; the first record of it stays. Further names of its person are added.
    AlreadyHeld,
}

/// Outcome of a release.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReleaseOutcome {
    Released,
    /// An earlier release did it.
    ReleasedBefore,
    /// The case never held it.
    NeverHeld,
}

impl ReleaseOutcome {
    /// The outcome of two releases of one subject.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        match (self, other) {
            (Self::Released, _) | (_, Self::Released) => Self::Released,
            (Self::ReleasedBefore, _) | (_, Self::ReleasedBefore) => Self::ReleasedBefore,
            (Self::NeverHeld, Self::NeverHeld) => Self::NeverHeld,
        }
    }
}

/// A standing hold that is in force.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StandingHold {
    pub scope: Scope,
    pub cases: Vec<Case>,
}

/// What a standing hold covers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Scope {
    Matching(HoldRule),
    /// Its document is not readable.
    Everything,
}

/// Every hold in force.
#[derive(Debug, Default)]
pub struct AllHolds {
    pub holds: Vec<Hold>,
    /// Keys of holds that are not readable. Nothing that they may cover is deleted.
    pub unreadable: Vec<String>,
}

/// A document of a hold; after the last release it has no case.
#[derive(Debug)]
pub struct StoredHold {
    pub key: String,
    pub content: HoldContent,
}

/// What the document of a hold has.
#[derive(Debug)]
pub enum HoldContent {
    Hold(Hold),
    Unreadable {
        source: serde_json::Error,
    },
    /// The storage did not return it.
    NotRead(DocumentError),
}

impl StoredHold {
    /// Whether it is a standing hold, by its name.
    pub fn is_standing(&self) -> bool {
        self.key.starts_with(STANDING)
    }

    /// Whether the name of this document is that of a hold with this name in the audit log. Two rules can
    /// have the same name there.
    pub fn may_be_of(&self, subject: &str) -> bool {
        let id = |kind: &str| subject.strip_prefix(kind);
        let recording = id("recording ").and_then(|id| id.parse().ok());
        let call = id("call ").and_then(|id| id.parse().ok());
        let recording = recording.map(Held::RecordingId);
        match recording.or(call.map(Held::CallId)) {
            Some(held) => key(&held) == self.key,
            None => self.is_standing(),
        }
    }
}

/// All holds in the ledger's storage.
#[derive(Clone)]
pub struct Holds {
    documents: Documents,
}

impl Keyed for Hold {
    fn key(&self) -> Option<String> {
        Some(key(&self.held))
    }
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
            if known.is_some_and(|known| known.is_held_for(held, &case.tag)) {
                return None;
            }
            let mut document = known.cloned().unwrap_or_else(|| Hold {
                held: held.clone(),
                cases: Vec::new(),
                released: Vec::new(),
            });
            document.add(held, case);
            Some(document)
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

    /// Whether a case holds something already, under every name that it has here: then adding it changes nothing.
    ///
    /// # Errors
    /// When the storage fails or the hold is unreadable.
    pub async fn is_held_for(&self, held: &Held, tag: &CaseTag) -> Result<bool, StoreError> {
        let found = self.find(&key(held)).await?;
        Ok(found.is_some_and(|hold| hold.is_held_for(held, tag)))
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
    ) -> Result<ReleaseOutcome, StoreError> {
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
        let decided = self
            .documents
            .decide(&key(held), Known::Nothing, release)
            .await;
        Ok(decided.map_err(store_error)?.outcome)
    }

    /// The cases that hold a chunk by its recording, or by its call under either name. Standing holds are separate.
    ///
    /// # Errors
    /// When the storage fails or a hold is unreadable: then nothing may be deleted.
    pub async fn cases_by_name(&self, chunk: &RecordingChunk) -> Result<Vec<Case>, StoreError> {
        self.cases_of(Held::covering(chunk)).await
    }

    /// Whether anything was ever held.
    ///
    /// # Errors
    /// When the storage fails.
    pub async fn is_any(&self) -> Result<bool, StoreError> {
        Ok(!self.documents.store.list(HOLDS, None, 1).await?.is_empty())
    }

    /// The cases that hold any of these, by their names.
    ///
    /// # Errors
    /// When the storage fails or a hold is unreadable: then nothing may be deleted.
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

    /// The standing holds in force. One that is not readable holds everything.
    ///
    /// # Errors
    /// When the storage fails: then nothing may be deleted.
    pub async fn standing(&self) -> Result<Vec<StandingHold>, StoreError> {
        let AllHolds { holds, unreadable } = in_force(self.stored_below(STANDING)).await?;
        let readable = holds.into_iter().filter_map(|hold| match hold.held {
            Held::Matching(rule) => Some(StandingHold {
                scope: Scope::Matching(rule),
                cases: hold.cases,
            }),
            Held::RecordingId(_) | Held::CallId(_) => None,
        });
        let unreadable = unreadable.iter().map(|key| StandingHold {
            scope: Scope::Everything,
            cases: vec![Case::of_unreadable(key)],
        });
        Ok(readable.chain(unreadable).collect())
    }

    /// The rules of all standing holds, also of those that were released. One that is not readable is left out.
    ///
    /// # Errors
    /// When the storage fails.
    pub async fn rules(&self) -> Result<Vec<HoldRule>, StoreError> {
        let mut found = self.stored_below(STANDING);
        let mut rules = Vec::new();
        while let Some((_, found)) = found.try_next().await? {
            match found {
                Ok(hold) => rules.extend(hold.and_then(|hold| hold.held.rule().cloned())),
                Err(DocumentError::Corrupt { .. }) => {}
                Err(error) => return Err(store_error(error)),
            }
        }
        Ok(rules)
    }

    /// Other subjects under which what is meant by `held` may have been held: an id with spaces around it, a person whose
    /// name depended on the country that was set.
    ///
    /// # Errors
    /// When the storage fails.
    pub async fn other_subjects(&self, held: &Held) -> Result<Vec<Held>, StoreError> {
        let Held::Matching(rule) = held else {
            return Ok(held.other_forms());
        };
        let others = self.rules().await?.into_iter();
        let others = others.filter(|other| other != rule && other.is_given_as(rule));
        Ok(others.map(Held::Matching).collect())
    }

    /// Subjects of the same person and period that were named with another key of people.
    ///
    /// # Errors
    /// When the storage fails.
    pub async fn same_by_another_key(&self, held: &Held) -> Result<Vec<Held>, StoreError> {
        let Some(rule) = held.rule().filter(|rule| rule.person().is_some()) else {
            return Ok(Vec::new());
        };
        let others = self.rules().await?.into_iter();
        let others = others.filter(|other| rule.is_same_by_another_key(other));
        Ok(others.map(Held::Matching).collect())
    }

    /// How many holds are in force, including those that are not readable. Reads at most `cap` documents.
    ///
    /// # Errors
    /// When the storage fails.
    pub async fn count(&self, cap: usize) -> Result<Count, StoreError> {
        let mut keys = self.documents.store.list(HOLDS, None, cap + 1).await?;
        let is_capped = keys.len() > cap;
        keys.truncate(cap);
        let keys = futures::stream::iter(keys.into_iter().map(Ok)).boxed();
        let AllHolds { holds, unreadable } = in_force(self.read(keys)).await?;
        Ok(Count {
            count: holds.len() + unreadable.len(),
            is_capped,
        })
    }

    /// Returns the documents of all holds, also of those that were released. One that cannot be read stops no other.
    ///
    /// # Errors
    /// When they cannot be listed.
    pub async fn stored(&self) -> Result<Vec<StoredHold>, StoreError> {
        let mut found = self.stored_below(HOLDS);
        let mut stored = Vec::new();
        while let Some((name, found)) = found.try_next().await? {
            let content = match found {
                Ok(Some(hold)) => HoldContent::Hold(hold),
                Ok(None) => continue,
                Err(DocumentError::Corrupt { source, .. }) => HoldContent::Unreadable { source },
                Err(error) => HoldContent::NotRead(error),
            };
            stored.push(StoredHold { key: name, content });
        }
        Ok(stored)
    }

    /// Returns all holds in force.
    ///
    /// # Errors
    /// When the storage fails.
    pub async fn all(&self) -> Result<AllHolds, StoreError> {
        in_force(self.stored_below(HOLDS)).await
    }

    /// Each document below a prefix as it is read: fails only if they cannot be listed.
    fn stored_below(&self, prefix: &str) -> BoxStream<'_, Result<ReadHold, StoreError>> {
        self.read(listing::keys(&*self.documents.store, prefix, None))
    }

    fn read<'a>(
        &'a self,
        keys: BoxStream<'a, Result<String, StoreError>>,
    ) -> BoxStream<'a, Result<ReadHold, StoreError>> {
        let reads = keys.map_ok(move |key| async move {
            let found = self.documents.find::<Hold>(&key).await;
            Ok((key, found))
        });
        reads.try_buffered(AT_ONCE).boxed()
    }

    async fn find(&self, key: &str) -> Result<Option<Hold>, StoreError> {
        self.documents.find(key).await.map_err(store_error)
    }
}

/// The holds in force among these documents.
async fn in_force(
    mut read: BoxStream<'_, Result<ReadHold, StoreError>>,
) -> Result<AllHolds, StoreError> {
    let mut all = AllHolds::default();
    while let Some((key, found)) = read.try_next().await? {
        match found {
            Ok(hold) => all.holds.extend(hold.filter(|hold| !hold.cases.is_empty())),
            Err(DocumentError::Corrupt { .. }) => all.unreadable.push(key),
            Err(error) => return Err(store_error(error)),
        }
    }
    Ok(all)
}

/// Removes the case that was found first; if it is gone, another release removed it.
fn decide_released(
    known: Option<Hold>,
    tag: &CaseTag,
    first_found: &mut Option<Case>,
) -> Decision<Hold, ReleaseOutcome> {
    let Some(mut hold) = known else {
        return Decision::Leave(ReleaseOutcome::NeverHeld);
    };
    let case = hold.cases.iter().find(|case| case.tag == *tag).cloned();
    let releases = case.filter(|case| first_found.get_or_insert_with(|| case.clone()) == case);
    hold.cases.retain(|case| Some(case) != releases.as_ref());
    if releases.is_none() {
        let was_held = first_found.is_some() || hold.released.contains(tag);
        return Decision::Leave(if was_held {
            ReleaseOutcome::ReleasedBefore
        } else {
            ReleaseOutcome::NeverHeld
        });
    }
    if !hold.released.contains(tag) {
        hold.released.push(tag.clone());
    }
    hold.forget_if_released();
    Decision::Write(hold, ReleaseOutcome::Released)
}

fn key(held: &Held) -> String {
    let folder = match held {
        Held::RecordingId(_) | Held::CallId(_) => HOLDS,
        Held::Matching(_) => STANDING,
    };
    format!("{folder}{}.json", held.digest())
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
