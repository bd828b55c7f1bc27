//! Further files of a document: an event never moves a document, so a file announced elsewhere is exported beside it.
//!
//! ```text
//! entry.chunk, entry.state    the document's file, as the catalogue shows it and as its source is deleted
//! entry.further               at most three more: Pending ─▶ Proved ∎ | Missing ∎ | Refused ∎
//! ```
//! A further file is exported under a name of its own (`….<documentId>.2.mp4`) with a receipt of its own. It is never
//! deleted at ACS by itself. It takes the document's place, and the document's file becomes a further one, where
//!
//! - the document's own file ended without a copy,
//! - it is the final form of a file that was copied while it was still recorded,
//! - its object is the document's, and that of the document's file so far is another, or
//! - an operator says so (`accept --place`).
//!
//! It knows no vault, no source and no clock.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::LedgerEntry;
use crate::export::receipt::{ExportReceipt, VaultName};
use crate::export::state::ChunkState;
use crate::media::MediaNotice;
use crate::recording::{
    AnnouncedFile, ChunkEnd, FileNumber, MediaKind, RecordingChunk, names_own_object,
};

/// Folders that are tried for one chunk. More conflicts are no accident.
const FOLDERS_TRIED: usize = 8;

/// A file that an event announced for a document that was already known.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FurtherFile {
    #[serde(flatten)]
    pub file: AnnouncedFile,
    pub recorded_at: Timestamp,
    /// When ACS has dropped it by any reading.
    pub surely_gone_at: Timestamp,
    pub state: FurtherState,
    /// The kind of media that it is named after, decided once, before its first byte is sent to a vault.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub media_kind: Option<MediaKind>,
    /// The folder of its files in the vault, if it is not the document's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub folder: Option<String>,
    /// Its copy began while the file was still growing.
    #[serde(default)]
    pub copied_unfinished: bool,
    /// An attempt began: what is in the vault may be shorter than what events announce since.
    #[serde(default)]
    pub is_begun: bool,
    /// It was known when the document's source was deleted: if it is missing, it may have gone with that.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub known_at_deletion: bool,
    /// Failed attempts at the source.
    #[serde(default)]
    pub attempts: u32,
    /// Attempts whose copy could not be proved.
    #[serde(default)]
    pub unproved: u32,
    #[serde(default)]
    pub not_before: Option<Timestamp>,
}

/// State of a further file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(
    tag = "name",
    rename_all = "camelCase",
    rename_all_fields = "camelCase"
)]
pub enum FurtherState {
    Pending,
    /// In the vault, beside the document's file.
    Proved {
        receipt: Box<ExportReceipt>,
    },
    /// It could not be read. The document is not lost by that.
    Missing {
        at: Timestamp,
        reason: String,
    },
    /// Its location may not be used. It stays one of the locations that events name for the document.
    Refused {
        at: Timestamp,
        reason: String,
    },
}

impl FurtherFile {
    /// Creates a file without any attempt.
    pub fn new(file: AnnouncedFile, recorded_at: Timestamp, surely_gone_at: Timestamp) -> Self {
        Self {
            media_kind: file.media_kind(),
            folder: None,
            copied_unfinished: file.end() == ChunkEnd::BeingRecorded,
            is_begun: false,
            known_at_deletion: false,
            file,
            recorded_at,
            surely_gone_at,
            state: FurtherState::Pending,
            attempts: 0,
            unproved: 0,
            not_before: None,
        }
    }

    pub fn is_pending(&self) -> bool {
        self.state == FurtherState::Pending
    }

    /// Removes the origin of an imported file, whose name may name people.
    pub(in crate::export) fn forget_origin(&mut self) {
        if let FurtherState::Proved { receipt } = &mut self.state {
            receipt.forget_origin();
        }
    }

    /// Makes it due now, with all its attempts available again.
    pub(in crate::export) fn open_again(&mut self) {
        self.state = FurtherState::Pending;
        self.attempts = 0;
        self.unproved = 0;
        self.not_before = None;
    }

    /// The proof of its copy.
    pub fn receipt(&self) -> Option<&ExportReceipt> {
        match &self.state {
            FurtherState::Proved { receipt } => Some(receipt),
            FurtherState::Pending | FurtherState::Missing { .. } | FurtherState::Refused { .. } => {
                None
            }
        }
    }

    /// Why it is not in the vault, where that is final.
    pub fn problem(&self) -> Option<&str> {
        match &self.state {
            FurtherState::Missing { reason, .. } | FurtherState::Refused { reason, .. } => {
                Some(reason)
            }
            FurtherState::Pending | FurtherState::Proved { .. } => None,
        }
    }
}

impl FurtherState {
    /// The state's name as the ledger writes it.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Proved { .. } => "proved",
            Self::Missing { .. } => "missing",
            Self::Refused { .. } => "refused",
        }
    }

    /// The state of the document's file when another replaces it. `None` where none may: it is being removed, or its
    /// copy is in the backup vault, which only the document's own file comes home from.
    fn of(state: &ChunkState, now: Timestamp) -> Option<Self> {
        Some(match state {
            ChunkState::Pending => Self::Pending,
            ChunkState::Exported { receipt }
            | ChunkState::SourceDeleted { receipt, .. }
            | ChunkState::SourceLeft { receipt, .. }
                if receipt.vault() == VaultName::Backup =>
            {
                return None;
            }
            ChunkState::Exported { receipt }
            | ChunkState::SourceDeleted { receipt, .. }
            | ChunkState::SourceLeft { receipt, .. } => Self::Proved {
                receipt: Box::new(receipt.clone()),
            },
            ChunkState::Expired { seen_at, reason } => Self::Missing {
                at: *seen_at,
                reason: reason.clone(),
            },
            ChunkState::DeadLettered { at, reason } => Self::Missing {
                at: *at,
                reason: reason.clone(),
            },
            ChunkState::InPlace { .. } => Self::Missing {
                at: now,
                reason: "it is in your own storage".to_owned(),
            },
            ChunkState::Removing { .. } | ChunkState::Removed { .. } => return None,
        })
    }
}

impl LedgerEntry {
    /// Whether automatic work is left for it.
    pub fn is_open(&self) -> bool {
        let is_settled = self.state.is_settled() || self.is_unfinished_import();
        !is_settled || self.next_further().is_some()
    }

    /// The further file that is due next. No file of a removed chunk is.
    pub fn next_further(&self) -> Option<&FurtherFile> {
        if matches!(
            self.state,
            ChunkState::Removing { .. } | ChunkState::Removed { .. }
        ) {
            return None;
        }
        self.further
            .iter()
            .filter(|further| further.is_pending())
            .min_by_key(|further| further.not_before)
    }

    /// Every copy in a vault: the chunk that it belongs to, and its proof. The document's own comes first. A removal
    /// concerns all of them.
    pub fn copies(&self) -> impl Iterator<Item = (RecordingChunk, &ExportReceipt)> {
        let own = self.state.receipt();
        let own = own.map(|receipt| (self.chunk.clone(), receipt));
        let is_removed = matches!(
            self.state,
            ChunkState::Removing { .. } | ChunkState::Removed { .. }
        );
        let further = self.further.iter().filter(move |_| !is_removed);
        let further = further.filter_map(|further| {
            let receipt = further.receipt()?;
            Some((self.chunk.with_file(&further.file), receipt))
        });
        own.into_iter().chain(further)
    }

    /// The notices on the media of every copy in a vault, those of the document's own first.
    pub fn notices(&self) -> impl Iterator<Item = &MediaNotice> {
        self.copies().flat_map(|(_, receipt)| receipt.notices())
    }

    /// The chunk with each of its files, the document's own first.
    pub fn chunks(&self) -> impl Iterator<Item = RecordingChunk> {
        let further = self.further.iter();
        let further = further.map(|further| self.chunk.with_file(&further.file));
        std::iter::once(self.chunk.clone()).chain(further)
    }

    /// The entry as the export of this further file sees it.
    pub(in crate::export) fn with_further(&self, number: FileNumber) -> Option<Self> {
        let further = self.further(number)?;
        Some(Self {
            chunk: self.chunk.with_file(&further.file),
            folder: self.folder_of(number).to_owned(),
            state: ChunkState::Pending,
            media_kind: further.media_kind,
            attempts: further.attempts,
            surely_gone_at: further.surely_gone_at,
            copied_unfinished: further.copied_unfinished,
            ..self.clone()
        })
    }

    pub(in crate::export) fn further(&self, number: FileNumber) -> Option<&FurtherFile> {
        self.further
            .iter()
            .find(|further| further.file.number == number)
    }

    pub(in crate::export) fn further_mut(
        &mut self,
        number: FileNumber,
    ) -> Option<&mut FurtherFile> {
        self.further
            .iter_mut()
            .find(|further| further.file.number == number)
    }

    /// The folder of one of its files in the vault.
    pub fn folder_of(&self, number: FileNumber) -> &str {
        let further = self.further(number);
        let own = further.and_then(|further| further.folder.as_deref());
        own.unwrap_or(&self.folder)
    }

    /// Every folder that may hold a file of it, each once; the document's own comes first.
    pub fn folders(&self) -> impl Iterator<Item = &str> {
        let further = self.further.iter();
        let further = further.filter_map(|further| further.folder.as_ref());
        let mut once: Vec<&str> = vec![&self.folder];
        for folder in self.former_folders.iter().chain(further) {
            if !once.contains(&folder.as_str()) {
                once.push(folder);
            }
        }
        once.into_iter()
    }

    /// Whether another folder is tried where a name is taken.
    pub(in crate::export) fn has_another_name(&self) -> bool {
        self.folders().count() <= FOLDERS_TRIED
    }

    /// Switches one of its files to another folder: another program writes under its name in the one that is in use.
    /// Proved files stay where they are.
    pub(in crate::export) fn leave_folder(&mut self, number: FileNumber) {
        // Every other folder has the first one's name and a number.
        let first = self.folders().min_by_key(|folder| folder.len());
        let first = first.unwrap_or(&self.folder);
        let next = format!("{first}-{}", self.folders().count() + 1);
        let is_own = self.chunk.file_number == number;
        let left = if is_own || self.copies().next().is_none() {
            self.keep_proved_in_folder();
            std::mem::replace(&mut self.folder, next)
        } else {
            let left = self.folder_of(number).to_owned();
            if let Some(further) = self.further_mut(number) {
                further.folder = Some(next);
            }
            left
        };
        if !self.former_folders.contains(&left) {
            self.former_folders.push(left);
        }
        self.staged_versions.clear();
    }

    /// Notes for each proved further file that it stays in the folder that the document is about to leave.
    fn keep_proved_in_folder(&mut self) {
        for further in &mut self.further {
            if further.receipt().is_some() && further.folder.is_none() {
                further.folder = Some(self.folder.clone());
            }
        }
    }

    /// The first unused file number.
    pub(in crate::export) fn free_number(&self) -> Option<FileNumber> {
        let is_free = |number: &FileNumber| {
            *number != self.chunk.file_number && self.further(*number).is_none()
        };
        FileNumber::all().find(is_free)
    }

    /// Sets the kind of media that one of its files is named after, unless that is decided.
    pub(in crate::export) fn name_media(
        &mut self,
        number: FileNumber,
        kind: MediaKind,
    ) -> Option<MediaKind> {
        if self.chunk.file_number == number {
            return Some(*self.media_kind.get_or_insert(kind));
        }
        let further = self.further_mut(number)?;
        Some(*further.media_kind.get_or_insert(kind))
    }

    /// The number of locations that events name for this document, if more than one and no operator has chosen one.
    pub fn disputed_places(&self) -> Option<usize> {
        if self.accepted_place == Some(self.chunk.file_number) {
            return None;
        }
        let mut places = vec![&self.chunk.locations];
        let further = self.further.iter().map(|further| &further.file.locations);
        for other in further.chain(&self.place_without_room) {
            if !places.iter().any(|place| place.is_same_place(other)) {
                places.push(other);
            }
        }
        (places.len() > 1).then_some(places.len())
    }

    /// Whether another form of the document's file reports that ACS could not store all of it.
    pub(in crate::export) fn has_failed_form(&self) -> bool {
        self.further.iter().any(|further| {
            further.file.end() == ChunkEnd::Failed
                && self.chunk.locations.is_same_place(&further.file.locations)
        })
    }

    /// A further file in the vault that becomes the document's file without an operator.
    pub(in crate::export) fn successor(&self) -> Option<FileNumber> {
        let precedes = |further: &&FurtherFile| {
            further.receipt().is_some()
                && match &self.state {
                    ChunkState::Expired { .. } | ChunkState::DeadLettered { .. } => true,
                    ChunkState::Exported { .. } | ChunkState::SourceLeft { .. } => {
                        self.is_final_form(further) || self.is_own_object_of(further)
                    }
                    ChunkState::Pending
                    | ChunkState::SourceDeleted { .. }
                    | ChunkState::InPlace { .. }
                    | ChunkState::Removing { .. }
                    | ChunkState::Removed { .. } => false,
                }
        };
        self.further
            .iter()
            .find(precedes)
            .map(|further| further.file.number)
    }

    /// Schedules the export of the final form of a file that was copied while still recorded, and has since ended.
    pub(in crate::export) fn announce_final_form(&mut self, now: Timestamp) {
        let is_known = self.further.iter().any(|further| {
            let locations = &further.file.locations;
            self.chunk.locations.is_same_place(locations)
        });
        if !self.copied_unfinished || self.chunk.end() != ChunkEnd::Final || is_known {
            return;
        }
        if let Some(number) = self.free_number() {
            let file = AnnouncedFile {
                number,
                ..AnnouncedFile::of(&self.chunk)
            };
            self.further
                .push(FurtherFile::new(file, now, self.surely_gone_at));
        }
    }

    fn is_final_form(&self, further: &FurtherFile) -> bool {
        let own_is_unfinished =
            self.copied_unfinished || self.chunk.end() == ChunkEnd::BeingRecorded;
        own_is_unfinished
            && !further.copied_unfinished
            && further.file.end() == ChunkEnd::Final
            && self.chunk.locations.is_same_place(&further.file.locations)
    }

    fn is_own_object_of(&self, further: &FurtherFile) -> bool {
        let is_own = |locations| names_own_object(&self.chunk.document_id, locations);
        is_own(&further.file.locations) && !is_own(&self.chunk.locations)
    }

    /// Swaps a proved further file and the document's file. What was proved or accepted for
    /// the one does not apply to the other. Returns whether it did.
    pub(in crate::export) fn exchange(&mut self, number: FileNumber, now: Timestamp) -> bool {
        let (Some(receipt), Some(own)) = (
            self.further(number).and_then(FurtherFile::receipt).cloned(),
            FurtherState::of(&self.state, now),
        ) else {
            return false;
        };
        let own = FurtherFile {
            file: AnnouncedFile::of(&self.chunk),
            recorded_at: self.recorded_at,
            surely_gone_at: self.surely_gone_at,
            state: own,
            media_kind: self.media_kind,
            folder: None,
            copied_unfinished: self.copied_unfinished,
            is_begun: self.claims > 0,
            known_at_deletion: false,
            attempts: self.attempts,
            unproved: 0,
            not_before: None,
        };
        let Some(further) = self.further_mut(number) else {
            return false;
        };
        let successor = std::mem::replace(further, own);
        self.surely_gone_at = self.surely_gone_at.max(successor.surely_gone_at);
        self.media_kind = successor.media_kind;
        if let Some(folder) = successor.folder {
            self.keep_proved_in_folder();
            self.former_folders
                .push(std::mem::replace(&mut self.folder, folder));
        }
        self.copied_unfinished = successor.copied_unfinished;
        successor.file.put_into(&mut self.chunk);
        self.state = ChunkState::Exported { receipt };
        self.anomaly_accepted_at = None;
        self.accepted_place = None;
        self.begin_attempts_anew();
        true
    }
}
