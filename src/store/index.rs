//! The index: markers (keys without content) that list recordings newest first, by call, by participant, and by
//! problem. It knows nothing about the recordings.
//!
//! ```text
//! catalogue/<list>/<5 digits>/<8 digits>-<sha256 of the recordingId>[-<documentId>]
//! ```
//! The 13 digits are a time in milliseconds, counted backwards, so that listing order is newest first; they are cut in
//! two, so that a folder of a directory holds about a day. A marker is written before its fact becomes true, and
//! removed after the fact ends: readers skip an extra marker, and a marker is never missing. Its content says when it was
//! written: what an old marker names, and does not exist, was lost. A removal names the
//! version of the marker that was read before the write which made it untrue; a writer who relies on a marker writes
//! it, which gives it another version.

mod place;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::future::ready;
use std::sync::Arc;

use bytes::Bytes;
use futures::stream::BoxStream;
use futures::{StreamExt as _, TryStreamExt as _};
use jiff::{SignedDuration, Timestamp};
use uuid::Uuid;

use crate::recording::id::canonical;
use crate::recording::{DocumentId, RecordingId};
use crate::store::digest::Sha256Digest;
use crate::store::document_store::{DocumentStore, Precondition, PutOutcome, StoreError, Version};
use crate::store::documents::CONFLICTS_TOLERATED;
use crate::store::listing::{self, Count};
use crate::store::people::PersonHash;

pub(super) use self::place::{DIGITS, back_ms};
pub use self::place::{Place, listed_time};

const CATALOGUE: &str = "catalogue/";
pub(super) const DIGITS_OF_FOLDER: usize = 5;
/// What a marker names is written right after it, and exists within this time.
pub const FOLLOWS_WITHIN: SignedDuration = SignedDuration::from_mins(5);
/// Markers of one change that are written concurrently.
const AT_ONCE: usize = 16;

/// A list of recordings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Listed {
    All,
    /// Any of a call's names, in any casing.
    Call(String),
    /// A participant, by the name that keys give it.
    Participant(PersonHash),
    Attention(Attention),
    /// Chunks, by when they were proved.
    Proved,
    /// Copied chunks without readable metadata: who was in the call is not known.
    ParticipantsUnknown,
}

/// A problem that needs attention.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Attention {
    /// A chunk is dead-lettered; or, without a chunk, ACS could not start the recording.
    Failed,
    /// A chunk expired.
    Lost,
    /// A recording's files were never announced.
    Missing,
    /// Files of a recording were not announced, ACS could not store all of one, or a deletion from the vault is not finished.
    Incomplete,
    /// The media of a copy contradicts its event or metadata.
    Doubtful,
    /// What was wrong was acknowledged.
    Acknowledged,
}

impl Attention {
    /// Every list.
    pub const ALL: [Self; 6] = [
        Self::Failed,
        Self::Lost,
        Self::Missing,
        Self::Incomplete,
        Self::Doubtful,
        Self::Acknowledged,
    ];

    fn name(self) -> &'static str {
        match self {
            Self::Failed => "failed",
            Self::Lost => "lost",
            Self::Missing => "missing",
            Self::Incomplete => "incomplete",
            Self::Doubtful => "doubtful",
            Self::Acknowledged => "acknowledged",
        }
    }
}

impl Listed {
    /// What the keys of its markers begin with.
    pub fn prefix(&self) -> String {
        match self {
            Self::All => format!("{CATALOGUE}all/"),
            Self::Call(id) => format!("{CATALOGUE}call/{}/", hashed(&canonical(id.trim()))),
            Self::Participant(name) => format!("{CATALOGUE}participant/{name}/"),
            Self::Attention(kind) => format!("{CATALOGUE}attention/{}/", kind.name()),
            Self::Proved => format!("{CATALOGUE}proved/"),
            Self::ParticipantsUnknown => format!("{CATALOGUE}participants-unknown/"),
        }
    }

    /// The key of a marker.
    pub fn marker(
        &self,
        at: Timestamp,
        recording: &Sha256Digest,
        document: Option<&DocumentId>,
    ) -> String {
        self.key(&Place {
            back_ms: back_ms(at),
            recording: *recording,
            document: document.cloned(),
        })
    }

    /// The key of the marker at a place.
    pub fn key(&self, place: &Place) -> String {
        let place = place.to_string();
        let (folder, rest) = place.split_at(DIGITS_OF_FOLDER);
        format!("{}{folder}/{rest}", self.prefix())
    }

    fn place(&self, key: &str) -> Option<Place> {
        place_below(&self.prefix(), key)
    }
}

/// The place of a marker in the list whose keys begin with `prefix`; `None` for a key that is no marker.
fn place_below(prefix: &str, key: &str) -> Option<Place> {
    let (folder, rest) = key.strip_prefix(prefix)?.split_once('/')?;
    format!("{folder}{rest}").parse().ok()
}

fn hashed(id: &str) -> Sha256Digest {
    Sha256Digest::of(id.trim().to_lowercase().as_bytes())
}

/// A name for documents of this recording, whatever characters its id has.
pub fn recording_name(id: &RecordingId) -> Sha256Digest {
    Sha256Digest::of(id.key().as_bytes())
}

/// From a time on, up to another.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Period {
    pub from: Option<Timestamp>,
    /// Exclusive.
    pub to: Option<Timestamp>,
}

/// A marker as it was read.
#[derive(Debug, Clone)]
pub struct SeenMarker {
    key: String,
    version: Version,
}

impl SeenMarker {
    pub fn key(&self) -> &str {
        &self.key
    }
}

/// Index markers around a write that has not been made yet.
#[derive(Debug, Default)]
pub struct MarkedAhead {
    /// Written for it.
    pub new: Vec<SeenMarker>,
    /// It makes them untrue.
    pub stale: Vec<SeenMarker>,
}

/// Markers in the ledger's storage.
#[derive(Clone)]
pub struct Index {
    store: Arc<dyn DocumentStore>,
}

impl Index {
    pub fn new(store: Arc<dyn DocumentStore>) -> Self {
        Self { store }
    }

    /// Writes markers. Rewrites an existing one, so that a removal that was decided before has no effect.
    ///
    /// # Errors
    /// When the storage fails: the facts of the markers must then not become true.
    pub async fn put(
        &self,
        markers: impl IntoIterator<Item = String>,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        self.put_seen(markers, now).await.map(drop)
    }

    /// Writes markers, and returns them as they are now, so that a write that fails can take its own back.
    async fn put_seen(
        &self,
        markers: impl IntoIterator<Item = String>,
        now: Timestamp,
    ) -> Result<Vec<SeenMarker>, StoreError> {
        let puts = futures::stream::iter(markers).map(|key| async move {
            let version = self.put_marker(&key, now).await?;
            Ok(SeenMarker { key, version })
        });
        puts.buffer_unordered(AT_ONCE).try_collect().await
    }

    async fn put_marker(&self, key: &str, now: Timestamp) -> Result<Version, StoreError> {
        let mut condition = Precondition::Absent;
        for _ in 0..CONFLICTS_TOLERATED {
            let content = marker_content(now);
            if let PutOutcome::Written(version) = self.store.put(key, content, condition).await? {
                return Ok(version);
            }
            condition = match self.store.find(key).await? {
                Some(found) => Precondition::Unchanged(found.version),
                None => Precondition::Absent,
            };
        }
        Err(StoreError {
            action: "write",
            key: key.to_owned(),
            source: "too many others write it at the same time".into(),
        })
    }

    /// Whether a marker exists and is so old that what it names should exist by now.
    ///
    /// # Errors
    /// When the storage fails.
    pub async fn is_abandoned(&self, marker: &str, now: Timestamp) -> Result<bool, StoreError> {
        let Some(found) = self.store.find(marker).await? else {
            return Ok(false);
        };
        let written_at = written_at(&found.content);
        Ok(written_at.is_none_or(|at| now.duration_since(at).abs() > FOLLOWS_WITHIN))
    }

    /// Markers that are about to become untrue, as they are now. Read them before the write that makes them untrue, and
    /// remove them after it: a writer that relies on one meanwhile has rewritten it, or its own write conflicts.
    ///
    /// # Errors
    /// When the storage fails.
    pub async fn seen(
        &self,
        markers: impl IntoIterator<Item = String>,
    ) -> Result<Vec<SeenMarker>, StoreError> {
        let reads = futures::stream::iter(markers).map(|key| async move {
            let found = self.store.find(&key).await?;
            Ok(found.map(|found| SeenMarker {
                key,
                version: found.version,
            }))
        });
        let seen: Vec<Option<SeenMarker>> = reads.buffer_unordered(AT_ONCE).try_collect().await?;
        Ok(seen.into_iter().flatten().collect())
    }

    /// Removes markers that were not rewritten since they were read.
    ///
    /// # Errors
    /// When the storage fails: extra markers remain.
    pub async fn remove_seen(
        &self,
        markers: impl IntoIterator<Item = SeenMarker>,
    ) -> Result<(), StoreError> {
        let removals = futures::stream::iter(markers).map(|seen| async move {
            let removed = self.store.remove_unchanged(&seen.key, &seen.version);
            removed.await.map(drop)
        });
        removals.buffer_unordered(AT_ONCE).try_collect().await
    }

    /// At most `limit` places of a list, newest first, that come after `after` and are in the period. Fewer only at the end
    /// of the list: keys that are no markers are passed over.
    ///
    /// # Errors
    /// When the storage fails.
    pub async fn places(
        &self,
        list: &Listed,
        period: Period,
        after: Option<&Place>,
        limit: usize,
    ) -> Result<Vec<Place>, StoreError> {
        let places = self.places_by(list, period, after, limit);
        places.take(limit).try_collect().await
    }

    /// All places of a list that are in the period, newest first. They are listed as they are needed.
    pub fn all_places(
        &self,
        list: &Listed,
        period: Period,
    ) -> BoxStream<'_, Result<Place, StoreError>> {
        self.places_by(list, period, None, listing::PAGE)
    }

    fn places_by(
        &self,
        list: &Listed,
        period: Period,
        after: Option<&Place>,
        page: usize,
    ) -> BoxStream<'_, Result<Place, StoreError>> {
        let begin = begin(list, period)
            .into_iter()
            .chain(after.map(|place| list.key(place)))
            .max();
        let prefix = list.prefix();
        let is_in_period = move |place: &Place| {
            let mut from = period.from.into_iter();
            from.all(|from| place.back_ms <= back_ms(from))
        };
        listing::keys_by(&*self.store, &prefix, begin, page)
            .try_filter_map(move |key| ready(Ok(place_below(&prefix, &key))))
            .try_take_while(move |place| ready(Ok(is_in_period(place))))
            .boxed()
    }

    /// The places of all lists of problems, with one request; `None` if there are more than `limit`.
    ///
    /// # Errors
    /// When the storage fails.
    pub async fn all_attention(
        &self,
        limit: usize,
    ) -> Result<Option<Vec<(Attention, Place)>>, StoreError> {
        let prefix = format!("{CATALOGUE}attention/");
        let keys = self.store.list(&prefix, None, limit + 1).await?;
        if keys.len() > limit {
            return Ok(None);
        }
        let place = |key: &String| {
            let mut kinds = Attention::ALL.into_iter();
            kinds.find_map(|kind| Some((kind, Listed::Attention(kind).place(key)?)))
        };
        Ok(Some(keys.iter().filter_map(place).collect()))
    }

    /// The number of places of a list in the period; counts up to `cap`.
    ///
    /// # Errors
    /// When the storage fails.
    pub async fn count(
        &self,
        list: &Listed,
        period: Period,
        cap: usize,
    ) -> Result<Count, StoreError> {
        Count::up_to(cap, self.all_places(list, period)).await
    }

    /// Writes the markers that `after` has and `before` had not. Returns them as they are now, so that a write that fails can
    /// take them back.
    pub(crate) async fn put_new(
        &self,
        before: &BTreeSet<String>,
        after: &BTreeSet<String>,
        now: Timestamp,
    ) -> Result<Vec<SeenMarker>, StoreError> {
        self.put_seen(after.difference(before).cloned(), now).await
    }
}

/// The content of a marker: when it was written. No two writes have the same content, so none has the version of another.
pub(crate) fn marker_content(now: Timestamp) -> Bytes {
    Bytes::from(format!("{now} {}", Uuid::new_v4()))
}

fn written_at(content: &[u8]) -> Option<Timestamp> {
    let (at, _) = std::str::from_utf8(content).ok()?.split_once(' ')?;
    at.parse().ok()
}

/// What all keys of the period come after.
fn begin(list: &Listed, period: Period) -> Option<String> {
    // What is later than the latest time of a list has that time: a later end leaves nothing out.
    let to = period.to.filter(|to| *to <= listed_time(*to))?;
    let back = format!("{:0DIGITS$}", back_ms(to));
    let (folder, rest) = back.split_at(DIGITS_OF_FOLDER);
    // `~` comes after every character of a key.
    Some(format!("{}{folder}/{rest}~", list.prefix()))
}
