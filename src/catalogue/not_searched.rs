//! What a search could not look into: recordings whose participants are not known, holds that cover too many, and what is
//! not readable. Without this number, "no recordings" would say more than is known.

use std::collections::BTreeSet;
use std::fmt;

use serde::Serialize;
use utoipa::ToSchema;

use super::known::{KnownRecording, Reading};
use super::list_filter::ListFilter;
use super::person::Sought;
use super::survey::{Surveyed, UnreadChunks};
use super::{Catalogue, CatalogueError};
use crate::control::entry::RecordingStatus;
use crate::export::ChunkState;
use crate::recording::DocumentId;
use crate::standing::{ChunkEntry, KnownChunk};
use crate::store::index::{Listed, Period};
use crate::visible;

/// Recordings that are read to count them; there may be more.
const LOOKED_AT: usize = 5000;
/// Names that a text lists.
const NAMED: usize = 20;
/// What to do with a text that may be a phone number, and finds nobody.
pub const PHONE_NUMBER: &str =
    "If this is a phone number, write it with its country, as +49 30 …, or set DEFAULT_COUNTRY.";

/// Recordings that a search could not look into.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is another limit of the search, and the API names them all"
)]
pub struct NotSearched {
    /// Recordings of which not all participants are known: they run, wait for their export, or it failed.
    pub participants_unknown: usize,
    /// Recordings and chunks that are not readable.
    pub unreadable: usize,
    /// Their names in the ledger.
    pub unreadable_names: BTreeSet<String>,
    /// There are more than were counted.
    pub is_lower_bound: bool,
    /// The ledger has recordings, or names of operators, whose people were named with another `keys/person.json`: they are
    /// not found by a person's id.
    pub named_by_another_key: bool,
    /// A hold covers more recordings than one search reads.
    pub is_capped: bool,
    /// The text may be a phone number, and lacks its country: nobody is found by it.
    pub lacks_country: bool,
}

impl NotSearched {
    /// Whether the search looked into everything.
    pub fn is_nothing(&self) -> bool {
        self.participants_unknown == 0
            && self.unreadable == 0
            && !self.is_lower_bound
            && !self.named_by_another_key
            && !self.is_capped
            && !self.lacks_country
    }

    /// Adds what another page of the same search could not look into.
    pub fn merge(&mut self, other: Self) {
        self.participants_unknown = self.participants_unknown.max(other.participants_unknown);
        self.is_lower_bound |= other.is_lower_bound;
        self.named_by_another_key |= other.named_by_another_key;
        self.is_capped |= other.is_capped;
        self.lacks_country |= other.lacks_country;
        self.add_unreadable(other.unreadable_names);
    }

    pub(super) fn add_unreadable(&mut self, names: impl IntoIterator<Item = String>) {
        self.unreadable_names.extend(names);
        self.unreadable = self.unreadable_names.len();
    }
}

impl fmt::Display for NotSearched {
    /// Sentences, a line for each unreadable name; nothing if everything was searched.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let least = if self.is_lower_bound { "at least " } else { "" };
        let mut separator = "";
        match (self.participants_unknown, self.is_lower_bound) {
            (0, false) => {}
            (1, _) => {
                write!(
                    f,
                    "Not searched: {least}1 recording whose participants are not all known yet."
                )?;
                separator = "\n";
            }
            (count, _) => {
                write!(
                    f,
                    "Not searched: {least}{count} recordings whose participants are not all known yet."
                )?;
                separator = "\n";
            }
        }
        if self.named_by_another_key {
            write!(
                f,
                "{separator}Not searched: recordings and names of operators that were recorded with another `keys/person.json`."
            )?;
            separator = "\n";
        }
        if self.is_capped {
            write!(
                f,
                "{separator}Not searched: a hold covers more recordings than one search reads."
            )?;
            separator = "\n";
        }
        if self.lacks_country {
            write!(f, "{separator}Not searched: phone numbers. {PHONE_NUMBER}")?;
            separator = "\n";
        }
        match self.unreadable {
            0 => return Ok(()),
            1 => write!(
                f,
                "{separator}Not searched: {least}1 entry that is not readable or not complete."
            )?,
            count => write!(
                f,
                "{separator}Not searched: {least}{count} entries that are not readable or not complete."
            )?,
        }
        let mut names = self.unreadable_names.iter().take(NAMED);
        names.try_for_each(|name| write!(f, "\n  {}", visible::one_line(name)))?;
        if self.unreadable > NAMED {
            write!(f, "\n  and {} more", self.unreadable - NAMED)?;
        }
        Ok(())
    }
}

impl ListFilter {
    /// Whether a recording is of its time and ids.
    fn is_of(&self, recorded: &KnownRecording) -> bool {
        self.has_time(recorded.account.filed_at()) && self.has_ids_of(recorded)
    }
}

impl KnownRecording {
    /// Whether a vault has a copy of a chunk of it, by the ledger.
    pub(super) fn has_copy(&self) -> bool {
        self.entries().any(|entry| entry.copies().next().is_some())
    }

    /// Whether everybody who was in it is known by now.
    pub fn knows_participants(&self) -> bool {
        match &self.account.status {
            RecordingStatus::Running => return false,
            // ACS never started it.
            RecordingStatus::Failed { .. } => return true,
            RecordingStatus::Stopped { .. } => {}
        }
        let are_files_known =
            !self.account.is_awaited() && self.account.files.problems().is_empty();
        are_files_known && self.chunks.iter().all(|chunk| is_known(&chunk.entry))
    }
}

fn entry_of(id: &DocumentId) -> String {
    format!("the entry of chunk {id}")
}

/// Names the entries of a recording that are not readable.
pub(super) fn unreadable_entries(recorded: &KnownRecording) -> Vec<String> {
    let is_unreadable = |chunk: &&KnownChunk| matches!(chunk.entry, ChunkEntry::Unreadable);
    let unreadable = recorded.chunks.iter().filter(is_unreadable);
    unreadable
        .map(|chunk| entry_of(&chunk.document_id))
        .collect()
}

/// Names the entries that a survey did not read.
pub(super) fn entries_of(chunks: &UnreadChunks) -> impl Iterator<Item = String> {
    let unwritten = chunks.unwritten.iter();
    let unwritten = unwritten.map(|id| format!("{}, which is not written yet", entry_of(id)));
    chunks.unreadable.iter().map(entry_of).chain(unwritten)
}

fn is_known(entry: &ChunkEntry) -> bool {
    match entry {
        ChunkEntry::Found(entry) => {
            matches!(entry.state, ChunkState::Removed { .. }) || entry.knows_participants()
        }
        ChunkEntry::Absent | ChunkEntry::Unreadable => false,
    }
}

/// What a search for a person could not look into by register and ledger alone.
#[derive(Debug, Default)]
pub(super) struct BesideSearch {
    pub not_searched: NotSearched,
    /// Erased recordings that have a copy again, such as of an entry that was restored. Only their files name people.
    pub erased_with_copy: Vec<KnownRecording>,
}

impl Catalogue {
    /// Counts what a search for a person could not look into, among the recordings of the filter's time and call.
    ///
    /// # Errors
    /// When the storage fails.
    pub(super) async fn not_searched(
        &self,
        sought: &Sought,
        filter: &ListFilter,
    ) -> Result<NotSearched, CatalogueError> {
        let BesideSearch {
            mut not_searched,
            erased_with_copy,
        } = self.beside_search(sought, filter).await?;
        not_searched.add_unreadable(erased_with_copy.iter().map(copied_again));
        Ok(not_searched)
    }

    /// As [`not_searched`](Self::not_searched), with the erased recordings that it counts.
    ///
    /// # Errors
    /// When the storage fails.
    pub(super) async fn beside_search(
        &self,
        sought: &Sought,
        filter: &ListFilter,
    ) -> Result<BesideSearch, CatalogueError> {
        let check = self.last_check().await?;
        let mut candidates = self.open_candidates(check.as_ref(), LOOKED_AT).await?;
        let list = Listed::ParticipantsUnknown;
        let index = self.ledger.index();
        let places = index.places(&list, Period::default(), None, LOOKED_AT);
        candidates.add_places(&list, places.await?, LOOKED_AT);
        candidates.keep(LOOKED_AT);
        let is_lower_bound = candidates.is_capped || candidates.lacks_settled;
        let (read, chunks) = self
            .read_candidates(candidates, self.rules(), |_| true)
            .await?;
        let mut not_searched = NotSearched {
            is_lower_bound,
            named_by_another_key: self.ledger.people().has_names_of_another_key().await?,
            ..NotSearched::default()
        };
        let mut erased_with_copy = Vec::new();
        for one in read {
            match one.reading {
                Reading::Known(recorded) if recorded.account.erased.is_some() => {
                    if !filter.is_of(&recorded) {
                        continue;
                    }
                    not_searched.add_unreadable(unreadable_entries(&recorded));
                    if recorded.has_copy() {
                        erased_with_copy.push(*recorded);
                    }
                }
                Reading::Known(_) | Reading::Unreadable { .. } | Reading::Absent => {
                    not_searched.count(&one, sought, filter);
                }
            }
        }
        not_searched.add_unreadable(entries_of(&chunks));
        Ok(BesideSearch {
            not_searched,
            erased_with_copy,
        })
    }
}

/// Names an erased recording that has a copy.
pub(super) fn copied_again(recorded: &KnownRecording) -> String {
    let id = &recorded.account.recording_id;
    format!("the copy of recording {id}, which was erased")
}

impl NotSearched {
    fn count(&mut self, one: &Surveyed, sought: &Sought, filter: &ListFilter) {
        let recorded = match &one.reading {
            Reading::Known(recorded) => recorded,
            Reading::Unreadable { key } => return self.add_unreadable([format!("`{key}`")]),
            Reading::Absent => {
                let name = format!("`recordings/{}.json`, which does not exist", one.name);
                return self.add_unreadable([name]);
            }
        };
        if !filter.is_of(recorded) || sought.is_in(recorded) {
            return;
        }
        let names = unreadable_entries(recorded);
        if !names.is_empty() {
            self.add_unreadable(names);
        } else if !recorded.knows_participants() {
            self.participants_unknown += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_not_searched_is_named_and_counted_in_sentences() {
        assert_eq!(NotSearched::default().to_string(), "");
        let mut not_searched = NotSearched {
            participants_unknown: 1,
            ..NotSearched::default()
        };
        not_searched.add_unreadable(["`recordings/x.json`".to_owned()]);
        assert_eq!(
            not_searched.to_string(),
            "Not searched: 1 recording whose participants are not all known yet.\n\
             Not searched: 1 entry that is not readable or not complete.\n  `recordings/x.json`"
        );
        assert!(!not_searched.is_nothing() && NotSearched::default().is_nothing());
        let capped = NotSearched {
            is_capped: true,
            ..NotSearched::default()
        };
        assert_eq!(
            capped.to_string(),
            "Not searched: a hold covers more recordings than one search reads."
        );
        let national = NotSearched {
            lacks_country: true,
            ..NotSearched::default()
        };
        assert!(!national.is_nothing());
        assert_eq!(
            national.to_string(),
            format!("Not searched: phone numbers. {PHONE_NUMBER}")
        );
        not_searched.merge(national);
        assert!(not_searched.lacks_country);
        not_searched.merge(NotSearched {
            participants_unknown: 3,
            ..capped
        });
        assert_eq!(
            (
                not_searched.participants_unknown,
                not_searched.unreadable,
                not_searched.is_capped
            ),
            (3, 1, true)
        );
    }
}
