//! Decides whether an event announces the document's file, a known further file, or another one. Pure.

use super::OtherFile;
use crate::export::entry::{FurtherFile, FurtherState, LedgerEntry};
use crate::export::state::ChunkState;
use crate::recording::{AnnouncedFile, ChunkEnd, ChunkLocations, FileNumber, names_own_object};

/// The file that an event announces.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum AnnouncedAs {
    OwnFile,
    /// One that an event announced before.
    Known(FileNumber),
    Another(OtherFile),
    /// Of a document whose files are being removed, or that is in storage that nothing is copied from.
    NotExported,
}

/// Returns which file of a known document an event announces.
pub(super) fn classify(entry: &LedgerEntry, newer: &AnnouncedFile) -> AnnouncedAs {
    let own = AnnouncedFile::of(&entry.chunk);
    let is_own_place = is_place_of(entry, newer);
    let may_have_copy = match &entry.state {
        ChunkState::Exported { .. }
        | ChunkState::SourceDeleted { .. }
        | ChunkState::SourceLeft { .. } => true,
        // Of a file that was never claimed nothing is in a vault: its export takes it as it is then. Of any other, an
        // attempt may have read or even committed the shorter form.
        ChunkState::Pending | ChunkState::Expired { .. } | ChunkState::DeadLettered { .. } => {
            entry.claims > 0 && !entry.is_external()
        }
        ChunkState::InPlace { .. } => false,
        ChunkState::Removing { .. } | ChunkState::Removed { .. } => {
            return if is_own_place {
                AnnouncedAs::OwnFile
            } else {
                AnnouncedAs::NotExported
            };
        }
    };
    if is_own_place && (!may_have_copy || own.covers(newer) || is_growth(newer)) {
        return AnnouncedAs::OwnFile;
    }
    let same_place = entry
        .further
        .iter()
        .filter(|further| further.file.locations.is_same_place(&newer.locations));
    let mut is_known_place = is_own_place;
    for further in same_place {
        is_known_place = true;
        // A copy that was begun while the file grew is not its final form.
        let is_final_form = further.copied_unfinished && newer.end() == ChunkEnd::Final;
        if (further.is_pending() && !further.is_begun && !is_final_form)
            || further.file.covers(newer)
            || is_growth(newer)
        {
            return AnnouncedAs::Known(further.file.number);
        }
    }
    AnnouncedAs::Another(if is_known_place {
        OtherFile::Longer
    } else {
        OtherFile::Elsewhere
    })
}

/// Whether this is a `ChunkIsBeingRecorded`: at a known place it announces nothing to copy, and its final event follows.
fn is_growth(newer: &AnnouncedFile) -> bool {
    newer.end() == ChunkEnd::BeingRecorded
}

/// Whether an event names the location of the document's file. If none was named and it was never claimed, the
/// document's own object is that location.
fn is_place_of(entry: &LedgerEntry, newer: &AnnouncedFile) -> bool {
    let known = &entry.chunk.locations;
    let is_first_place = known.content.is_none()
        && entry.claims == 0
        && names_own_object(&entry.chunk.document_id, &newer.locations);
    known.is_same_place(&newer.locations) || is_first_place
}

/// Adds what an event reports for a known file. One that could not be read is retried.
pub(super) fn update_known(entry: &mut LedgerEntry, number: FileNumber, newer: FurtherFile) {
    let is_acknowledged = entry.acknowledged.is_some();
    let Some(known) = entry.further_mut(number) else {
        return;
    };
    known.file.locations.complete(&newer.file.locations);
    // As for the document's own file: a loss that an operator acknowledged stays one, unless ACS may still have the file.
    let stays_lost = is_acknowledged && newer.recorded_at >= known.surely_gone_at;
    match known.state {
        FurtherState::Pending => known.file.add_report(&newer.file),
        FurtherState::Missing { .. } | FurtherState::Refused { .. } if stays_lost => {}
        FurtherState::Missing { .. } | FurtherState::Refused { .. } => {
            known.open_again();
            known.surely_gone_at = newer.surely_gone_at;
        }
        FurtherState::Proved { .. } => {}
    }
}

/// Adds a file. If the document was never claimed, its own object comes first. `None`: it has the maximum number.
pub(super) fn add(entry: &mut LedgerEntry, mut announced: FurtherFile) -> Option<()> {
    let number = entry.free_number()?;
    let document = &entry.chunk.document_id;
    let own = &entry.chunk.locations;
    if own.is_same_place(&announced.file.locations) {
        announced.file.locations.complete(own);
    }
    let is_own_object = names_own_object(document, &announced.file.locations)
        && !names_own_object(document, &entry.chunk.locations);
    if entry.claims == 0 && entry.state == ChunkState::Pending && is_own_object {
        announced.file.number = entry.chunk.file_number;
        let first = AnnouncedFile::of(&entry.chunk);
        announced.file.put_into(&mut entry.chunk);
        announced = FurtherFile::new(first, entry.recorded_at, entry.surely_gone_at);
    }
    announced.file.number = number;
    entry.begin_risk_period();
    // With another location known, what was accepted must be reviewed again.
    entry.accepted_place = None;
    entry.further.push(announced);
    Some(())
}

/// Notes a place for which there is no room, so that the document's source is not deleted before an operator has looked.
pub(super) fn note_place_without_room(entry: &mut LedgerEntry, newer: AnnouncedFile) {
    let is_noted = |known: &ChunkLocations| known.is_same_place(&newer.locations);
    if entry.place_without_room.as_ref().is_some_and(is_noted) {
        return;
    }
    entry.accepted_place = None;
    entry.place_without_room = Some(newer.locations);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::export::entry::tests::entry;
    use crate::export::receipt::tests::receipt;

    const OBJECTS: &str = "https://us-storage.asm.skype.com/v1/objects";

    fn at(object: &str) -> ChunkLocations {
        ChunkLocations {
            content: Some(format!("{OBJECTS}/{object}/content/video")),
            metadata: None,
            delete: Some(format!("{OBJECTS}/{object}")),
        }
    }

    fn file(locations: ChunkLocations) -> AnnouncedFile {
        AnnouncedFile {
            locations,
            ..AnnouncedFile::of(&entry().chunk)
        }
    }

    fn known_at(object: &str) -> LedgerEntry {
        let mut entry = entry();
        entry.chunk.locations = at(object);
        entry
    }

    fn announced(object: &str) -> FurtherFile {
        let entry = entry();
        FurtherFile::new(file(at(object)), entry.recorded_at, entry.surely_gone_at)
    }

    #[test]
    fn the_documents_own_object_comes_first_while_no_other_was_read() {
        let mut entry = known_at("other");
        let own = entry.chunk.document_id.to_string();
        add(&mut entry, announced(&own)).unwrap();
        assert_eq!(entry.chunk.locations, at(&own));
        assert_eq!(entry.chunk.file_number, FileNumber::FIRST);
        assert_eq!(entry.further[0].file.locations, at("other"));

        let mut claimed = known_at("other");
        claimed.claims = 1;
        add(&mut claimed, announced(&own)).unwrap();
        assert_eq!(
            claimed.chunk.locations,
            at("other"),
            "its bytes may be on their way"
        );
        assert_eq!(claimed.further[0].file.locations, at(&own));
    }

    #[test]
    fn a_document_has_no_more_than_four_files() {
        let mut entry = known_at("a");
        for object in ["b", "c", "d"] {
            assert_eq!(add(&mut entry, announced(object)), Some(()), "{object}");
        }
        let before = entry.clone();
        assert_eq!(add(&mut entry, announced("e")), None);
        assert_eq!(entry, before);
    }

    #[test]
    fn a_place_without_room_is_disputed_until_it_is_accepted_once() {
        let mut entry = known_at("a");
        note_place_without_room(&mut entry, file(at("e")));
        assert_eq!(entry.disputed_places(), Some(2));
        entry.accepted_place = Some(FileNumber::FIRST);
        note_place_without_room(&mut entry, file(at("e")));
        assert_eq!(entry.disputed_places(), None, "it was reported before");
        note_place_without_room(&mut entry, file(at("f")));
        assert_eq!(entry.disputed_places(), Some(2));
    }

    #[test]
    fn what_was_accepted_is_no_longer_when_another_place_is_announced() {
        let mut entry = known_at("a");
        add(&mut entry, announced("b")).unwrap();
        assert_eq!(entry.disputed_places(), Some(2));
        entry.accepted_place = Some(FileNumber::FIRST);
        assert_eq!(entry.disputed_places(), None);
        add(&mut entry, announced("c")).unwrap();
        assert_eq!(entry.disputed_places(), Some(3));
    }

    #[test]
    fn growth_uses_up_no_file_and_the_final_form_gets_one() {
        let mut copied = known_at("a");
        copied.chunk.end_reason = Some("ChunkIsBeingRecorded".to_owned());
        copied.chunk.duration_ms = Some(1000);
        copied.copied_unfinished = true;
        copied.state = ChunkState::Exported { receipt: receipt() };
        let announced = |object: &str, end: &str, duration_ms| AnnouncedFile {
            end_reason: Some(end.to_owned()),
            duration_ms: Some(duration_ms),
            ..file(at(object))
        };
        for duration_ms in [2000, 3000, 4000] {
            let growth = announced("a", "ChunkIsBeingRecorded", duration_ms);
            assert_eq!(classify(&copied, &growth), AnnouncedAs::OwnFile);
        }
        let finally = announced("a", "ScheduleEnded", 5000);
        let longer = AnnouncedAs::Another(OtherFile::Longer);
        assert_eq!(classify(&copied, &finally), longer);

        // The same at a place of a further file.
        let further = |file| FurtherFile::new(file, copied.recorded_at, copied.surely_gone_at);
        let mut elsewhere = copied.clone();
        let growing = announced("b", "ChunkIsBeingRecorded", 1000);
        add(&mut elsewhere, further(growing)).unwrap();
        let known = AnnouncedAs::Known(elsewhere.further[0].file.number);
        let growth = announced("b", "ChunkIsBeingRecorded", 2000);
        assert_eq!(classify(&elsewhere, &growth), known);
        let finally = announced("b", "ScheduleEnded", 5000);
        assert_eq!(classify(&elsewhere, &finally), longer);
        add(&mut elsewhere, further(finally.clone())).unwrap();
        let known = AnnouncedAs::Known(elsewhere.further[1].file.number);
        assert_eq!(classify(&elsewhere, &finally), known);
    }

    #[test]
    fn a_place_that_no_event_named_is_not_taken_from_one_that_names_another_object() {
        let unnamed = entry();
        let own = unnamed.chunk.document_id.to_string();
        let classified = |object: &str| classify(&unnamed, &file(at(object)));
        assert_eq!(classified(&own), AnnouncedAs::OwnFile);
        assert_eq!(
            classified("other"),
            AnnouncedAs::Another(OtherFile::Elsewhere)
        );
    }
}
