//! What an acknowledgement of a chunk covers: the losses that were known when it was given.

use super::{CutShort, LedgerEntry};
use crate::recording::FileNumber;

/// What is not copied of a chunk, or not whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Lack {
    /// It ended without a copy.
    Copy,
    /// Its copy may be incomplete.
    Part(CutShort),
    /// One form had no room.
    FormWithoutRoom,
    /// A further file: to be copied, or ended without a copy.
    File {
        number: FileNumber,
        is_pending: bool,
    },
}

impl LedgerEntry {
    /// Drops an acknowledgement where something is lacking that was not `before`: it does not cover that.
    pub(in crate::export) fn keep_acknowledged_what_was_known(&mut self, before: &Self) {
        if self.acknowledged.is_none() || self.acknowledged != before.acknowledged {
            return;
        }
        let known = before.lacks();
        if self.lacks().iter().any(|lack| !known.contains(lack)) {
            self.acknowledged = None;
        }
    }

    fn lacks(&self) -> Vec<Lack> {
        let files = self.further.iter().filter(|file| file.receipt().is_none());
        let files = files.map(|file| Lack::File {
            number: file.file.number,
            is_pending: file.is_pending(),
        });
        let copy = self.state.is_loss().then_some(Lack::Copy);
        let part = self.cut_short().map(Lack::Part);
        let form = self.longer_without_room.then_some(Lack::FormWithoutRoom);
        copy.into_iter()
            .chain(part)
            .chain(form)
            .chain(files)
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::export::entry::tests::entry;
    use crate::export::entry::{FurtherFile, FurtherState};
    use crate::export::state::ChunkState;
    use crate::recording::{Acknowledgement, AnnouncedFile};

    fn acknowledged() -> LedgerEntry {
        let mut entry = entry();
        entry.state = ChunkState::DeadLettered {
            at: Timestamp::UNIX_EPOCH,
            reason: "refused".to_owned(),
        };
        entry.acknowledged = Some(Acknowledgement {
            at: Timestamp::UNIX_EPOCH,
            by: None,
            reason: "known".to_owned(),
        });
        entry
    }

    /// Whether a change to this leaves the acknowledgement.
    fn is_kept(change: impl FnOnce(&mut LedgerEntry)) -> bool {
        let before = acknowledged();
        let mut after = before.clone();
        change(&mut after);
        after.keep_acknowledged_what_was_known(&before);
        after.acknowledged.is_some()
    }

    #[test]
    fn an_acknowledgement_ends_with_each_loss_that_it_does_not_know() {
        assert!(is_kept(|_| {}));
        assert!(is_kept(|entry| entry.state = ChunkState::Expired {
            seen_at: Timestamp::UNIX_EPOCH,
            reason: "404".to_owned(),
        }));
        assert!(!is_kept(|entry| entry.copied_unfinished = true));
        assert!(!is_kept(|entry| entry.longer_without_room = true));
        for state in [
            FurtherState::Pending,
            FurtherState::Refused {
                at: Timestamp::UNIX_EPOCH,
                reason: "refused".to_owned(),
            },
        ] {
            assert!(!is_kept(|entry| {
                let file = AnnouncedFile::of(&entry.chunk);
                let (now, gone) = (Timestamp::UNIX_EPOCH, Timestamp::MAX);
                entry.further.push(FurtherFile {
                    state,
                    ..FurtherFile::new(file, now, gone)
                });
            }));
        }
    }
}
