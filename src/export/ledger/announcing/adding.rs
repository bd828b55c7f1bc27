//! What an event adds to a chunk that is known. Pure.

use super::{OtherFile, Recorded, other_files};
use crate::export::entry::{FurtherFile, LedgerEntry};
use crate::export::state::ChunkState;
use crate::recording::{NamedAs, RecordingChunk};

/// Notes the recording and the call that an event names, if they contradict what is known.
pub(super) fn note_other_names(entry: &mut LedgerEntry, chunk: &RecordingChunk) -> NamedAs {
    let named = entry.chunk.note_other_names(chunk);
    if named == NamedAs::Another {
        // The copy was accepted without this.
        entry.anomaly_accepted_at = None;
    }
    named
}

/// Adds to the outcome of a file that its event names another recording. What needs more than a look at the event counts.
pub(super) fn outcome_of(named: NamedAs, recorded: Recorded) -> Recorded {
    match (named, recorded) {
        (NamedAs::Another | NamedAs::AnotherWithoutRoom, Recorded::AlreadyKnown) => {
            Recorded::OfAnotherRecording
        }
        (
            NamedAs::Known | NamedAs::AnotherAgain | NamedAs::Another | NamedAs::AnotherWithoutRoom,
            recorded,
        ) => recorded,
    }
}

/// Whether a chunk was only noted for an erased recording, by an event that named it there, and this event names another
/// one. Nothing of it was ever exported, and the other recording is not erased.
pub(super) fn is_closed_for_another(entry: &LedgerEntry, announced: &RecordingChunk) -> bool {
    entry.claims == 0
        && !entry.chunk.is_of(&announced.filed_under())
        && !announced.is_of(&entry.chunk.filed_under())
}

/// Adds another file, or at least what it puts in dispute.
pub(super) fn add_other(
    entry: &mut LedgerEntry,
    announced: FurtherFile,
    why: OtherFile,
) -> Recorded {
    let file = announced.file.clone();
    if other_files::add(entry, announced).is_some() {
        return Recorded::OtherFile(why);
    }
    match why {
        OtherFile::Elsewhere => other_files::note_place_without_room(entry, file),
        OtherFile::Longer => {
            entry.longer_without_room |= entry.chunk.locations.is_same_place(&file.locations);
        }
    }
    Recorded::TooManyFiles
}

/// A file in the customer's own storage that an event reports as longer, or with another end, is looked at again: what
/// was seen there may be a part of it.
pub(super) fn look_in_place_again(before: &LedgerEntry, entry: &mut LedgerEntry) {
    let is_in_place = matches!(entry.state, ChunkState::InPlace { .. });
    if is_in_place && !before.chunk.is_same_form(&entry.chunk) {
        entry.try_again();
    }
}

/// A late metadata location is read; a late delete location makes a left source deletable again.
pub(in crate::export) fn reopen_for_what_was_added(entry: &mut LedgerEntry) {
    // What was accepted knew of no metadata.
    if entry.lacks_announced_metadata() {
        entry.anomaly_accepted_at = None;
    }
    let locations = &entry.chunk.locations;
    match &entry.state {
        ChunkState::Exported { receipt }
            if receipt.metadata().is_none() && locations.metadata.is_some() =>
        {
            entry.begin_attempts_anew();
        }
        // Its copy was imported by hand: nothing is exported or deleted at ACS for it.
        ChunkState::SourceLeft { receipt, .. } if receipt.imported().is_some() => {}
        ChunkState::SourceLeft { receipt, .. }
            if locations.delete.is_some()
                || (receipt.metadata().is_none() && locations.metadata.is_some()) =>
        {
            entry.state = ChunkState::Exported {
                receipt: receipt.clone(),
            };
            entry.begin_attempts_anew();
        }
        ChunkState::InPlace { files, .. }
            if files.metadata.is_none() && locations.metadata.is_some() =>
        {
            entry.try_again();
        }
        ChunkState::Pending
        | ChunkState::Exported { .. }
        | ChunkState::SourceDeleted { .. }
        | ChunkState::SourceLeft { .. }
        | ChunkState::Removing { .. }
        | ChunkState::Removed { .. }
        | ChunkState::InPlace { .. }
        | ChunkState::Expired { .. }
        | ChunkState::DeadLettered { .. } => {}
    }
}
