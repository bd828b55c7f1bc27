//! Compares what accounts say of erasures with the log: a recording that was found by an erasure may have been left by it.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use recording_vault::app::App;
use recording_vault::control::entry::RegisteredRecording;
use recording_vault::export::ChunkState;
use recording_vault::export::ledger::LedgerError;
use recording_vault::recording::{DocumentId, RecordingId};
use recording_vault::store::audit::{AuditRecord, SubjectKey};
use recording_vault::store::digest::Sha256Digest;

use super::{LoggedAccounts, names_in};
use crate::cli::audit::findings::Comparison;

/// What the log says of erasures, by the names of the accounts of recordings.
#[derive(Debug, Default)]
pub(super) struct LoggedErasures {
    /// When the last erasure of each person began that found a recording.
    begun: BTreeMap<Sha256Digest, BTreeMap<SubjectKey, Timestamp>>,
    /// When the last erasure of each person ended.
    ended: BTreeMap<SubjectKey, Timestamp>,
    /// Recordings that were erased when an erasure ended.
    done: BTreeSet<Sha256Digest>,
    /// Recordings whose accounts say that they are erased, because a later step is recorded.
    later: BTreeSet<Sha256Digest>,
}

/// What the log says of the erasure of one recording.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum SaidOfErasure {
    Nothing,
    /// An erasure found it, and did not end.
    Begun,
    /// Each erasure that found it ended, and did not erase it, or not to its end.
    Left,
    /// Its account says so. What came afterwards is not recorded.
    OfAccount,
    Done,
}

/// What became of the copies of one recording.
#[derive(Debug, Default)]
struct FoundCopies {
    has_removed: bool,
    kept: Option<DocumentId>,
}

impl LoggedErasures {
    pub fn add_begun(&mut self, record: &AuditRecord) {
        let person = SubjectKey::of(&record.subject);
        for name in names_in(&record.detail) {
            let begun = self.begun.entry(name).or_default();
            let last = begun.entry(person).or_insert(record.at);
            *last = record.at.max(*last);
        }
    }

    pub fn add_ended(&mut self, record: &AuditRecord) {
        let person = SubjectKey::of(&record.subject);
        let last = self.ended.entry(person).or_insert(record.at);
        *last = record.at.max(*last);
        self.done.extend(names_in(&record.detail));
    }

    /// Adds a chunk that is not exported because its recording is erased.
    pub fn add_chunk(&mut self, recording: Option<Sha256Digest>) {
        self.later.extend(recording);
    }

    fn said_of(&self, name: &Sha256Digest) -> SaidOfErasure {
        let has_ended =
            |(person, at): (&SubjectKey, &Timestamp)| self.ended.get(person) >= Some(at);
        if self.done.contains(name) {
            SaidOfErasure::Done
        } else if self.later.contains(name) {
            SaidOfErasure::OfAccount
        } else {
            match self.begun.get(name) {
                None => SaidOfErasure::Nothing,
                Some(begun) if begun.iter().all(has_ended) => SaidOfErasure::Left,
                Some(_) => SaidOfErasure::Begun,
            }
        }
    }
}

pub(super) async fn compare(
    app: &App,
    logged: &LoggedAccounts,
    (name, account): (&Sha256Digest, &RegisteredRecording),
    comparison: &mut Comparison,
) -> Result<(), LedgerError> {
    let id = &account.recording_id;
    let said = logged.erasures.said_of(name);
    let first = logged.announced.get(name).map(|chunk| &chunk.document_id);
    let Some(erased) = &account.erased else {
        return match said {
            SaidOfErasure::Nothing => Ok(()),
            SaidOfErasure::Done | SaidOfErasure::OfAccount => {
                comparison.problems.push(format!(
                    "the log says that recording {id} was erased, and its account does not: it was reset to an earlier state, \
                     and a later event would bring the recording back; run `recording-vault gdpr erase` again"
                ));
                Ok(())
            }
            SaidOfErasure::Begun | SaidOfErasure::Left => {
                if copies_of(app, id, first).await?.has_removed {
                    comparison.not_checked.push(format!(
                        "the log says that the erasure of recording {id} began, and its account is not erased: the erasure \
                         ended before that, or the account was changed back; run `recording-vault gdpr erase` again"
                    ));
                }
                Ok(())
            }
        };
    };
    let is_late = matches!(said, SaidOfErasure::Nothing | SaidOfErasure::Left);
    if is_late && logged.is_during_check(erased.at, app.clock.now()) {
        comparison.not_checked.push(format!(
            "the account of recording {id} says that it was erased during this check: run it again"
        ));
        return Ok(());
    }
    let listed = account.files.documents().map(|(_, document)| document);
    let found = copies_of(app, id, first.into_iter().chain(listed)).await?;
    compare_erased(id, said, &found, comparison);
    Ok(())
}

/// Compares an account that says that its recording is erased.
fn compare_erased(
    id: &RecordingId,
    said: SaidOfErasure,
    found: &FoundCopies,
    comparison: &mut Comparison,
) {
    let erased = format!("the account of recording {id} says that it was erased");
    let FoundCopies { has_removed, kept } = found;
    let of_copy = kept.as_ref().map(|chunk| {
        format!(
            "{erased}, and chunk {chunk} has a copy: the erasure did not remove it, or the account was changed; run `recording-vault \
             gdpr erase` again"
        )
    });
    match (said, of_copy) {
        (SaidOfErasure::Nothing, _) => {
            comparison.unrecorded(format!("{erased}, and no record says so"));
        }
        (SaidOfErasure::Left, _) if !has_removed => {
            comparison.unrecorded(format!("{erased}, and the log that an erasure left it"));
        }
        (SaidOfErasure::Done, Some(of_copy)) => comparison.problems.push(of_copy),
        (SaidOfErasure::OfAccount | SaidOfErasure::Begun | SaidOfErasure::Left, Some(of_copy)) => {
            comparison.not_checked.push(of_copy);
        }
        (SaidOfErasure::Begun, None) if !has_removed => comparison.not_checked.push(format!(
            "{erased}, and the log only that its erasure began: the erasure ended before its last record, or the account was \
             changed; run `recording-vault gdpr erase` again"
        )),
        (_, None) => {}
    }
}

/// What became of the copies of these chunks, as far as they belong to the recording. An entry that is not readable is
/// reported with the entries.
async fn copies_of<'a>(
    app: &App,
    id: &RecordingId,
    documents: impl IntoIterator<Item = &'a DocumentId>,
) -> Result<FoundCopies, LedgerError> {
    let mut copies = FoundCopies::default();
    for document in documents {
        let found = match app.ledger.find(document).await {
            Err(LedgerError::Corrupt { .. }) => continue,
            found => found?,
        };
        let Some(entry) = found.map(|found| found.entry) else {
            continue;
        };
        if !entry.chunk.is_of(id) {
            continue;
        }
        match entry.state {
            ChunkState::Exported { .. }
            | ChunkState::SourceDeleted { .. }
            | ChunkState::SourceLeft { .. } => {
                copies.kept.get_or_insert_with(|| document.clone());
            }
            ChunkState::Removed { .. } => copies.has_removed = true,
            ChunkState::Pending
            | ChunkState::InPlace { .. }
            | ChunkState::Removing { .. }
            | ChunkState::Expired { .. }
            | ChunkState::DeadLettered { .. } => {}
        }
    }
    Ok(copies)
}

#[cfg(test)]
mod tests {
    use recording_vault::store::audit::{Actor, AuditAction};
    use serde_json::json;

    use super::*;

    fn record(action: AuditAction, person: &str, second: i64, recordings: &[&str]) -> AuditRecord {
        AuditRecord {
            at: Timestamp::from_second(second).expect("it is a time"),
            actor: Actor::Operator,
            action,
            subject: person.to_owned(),
            detail: json!({"recordings": recordings}),
        }
    }

    #[test]
    fn a_recording_is_left_once_each_erasure_that_found_it_ended() {
        let [held, done] = ["rec-held", "rec-done"];
        let name = |id| super::super::name_of(id).expect("it is an id");
        let mut log = LoggedErasures::default();
        let begun =
            |person, second| record(AuditAction::PersonErasing, person, second, &[held, done]);
        let ended = |person, second| record(AuditAction::PersonErased, person, second, &[done]);
        assert_eq!(log.said_of(&name(held)), SaidOfErasure::Nothing);
        // The log is read process by process: the end may come first.
        log.add_ended(&ended("anna", 2));
        log.add_begun(&begun("anna", 1));
        assert_eq!(log.said_of(&name(held)), SaidOfErasure::Left);
        assert_eq!(log.said_of(&name(done)), SaidOfErasure::Done);
        log.add_begun(&begun("bert", 3));
        assert_eq!(log.said_of(&name(held)), SaidOfErasure::Begun);
        log.add_ended(&ended("bert", 4));
        log.add_begun(&begun("anna", 5));
        assert_eq!(log.said_of(&name(held)), SaidOfErasure::Begun);
        log.add_chunk(Some(name(held)));
        assert_eq!(log.said_of(&name(held)), SaidOfErasure::OfAccount);
    }
}
