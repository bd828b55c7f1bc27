//! What the audit log says about a recording, in words: about its chunks, the recording itself, its call, and the standing
//! holds that cover it.

mod sentence;
mod subjects;

use std::collections::{BTreeMap, BTreeSet};

use futures::{StreamExt as _, TryStreamExt as _};
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;
use utoipa::ToSchema;

use self::sentence::sentence;
use self::subjects::{Subject, Subjects};
use super::known::KnownRecording;
use super::{AT_ONCE, Catalogue, CatalogueError};
use crate::control::entry::{Pause, PauseEnd, RecordingStatus};
use crate::counted::counted;
use crate::store::audit::{AuditAction, AuditPosition, AuditRecord, FoundDocument, MarkedDocument};
use crate::store::holds::Case;

/// Documents of the log that are read for one recording; if there are more, the newest.
const READ_AT_MOST: usize = 1000;
/// A marker whose document is missing after this time lacks it: a sweep has closed the log of a writer that ended.
const WRITTEN_WITHIN: SignedDuration = SignedDuration::from_hours(1);
/// The audit log and the recording's account note the same thing within this time.
const SAME_MOMENT_MS: i64 = 5000;

/// An event in a recording's history.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct TimelineEvent {
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
    /// As the audit log calls it.
    #[schema(example = "exported")]
    pub what: String,
    #[schema(example = "Chunk 0 was exported and proved")]
    pub text: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub document_id: Option<String>,
    /// Somebody looked at the recording; nothing was done to it.
    #[serde(skip)]
    pub is_access: bool,
}

/// The records about a recording.
pub(super) struct FoundRecords {
    /// Oldest first.
    pub records: Vec<FoundRecord>,
    /// No document was left out, however many there are.
    pub are_all: bool,
    /// Documents that are missing or not readable, or lack the record that an entry lists.
    pub not_read: usize,
}

/// What a document should have.
enum Sought {
    /// A record of a chunk, as the chunk's entry says.
    Listed,
    /// A record of a subject, unless its writer ended before it wrote the document.
    Marked { is_new: bool },
}

impl Sought {
    /// Whether this document is not what was sought. `has_record`: of the recording.
    fn is_absent(&self, document: &FoundDocument, has_record: bool) -> bool {
        match (document, self) {
            (FoundDocument::Records(_), Self::Listed) => !has_record,
            (FoundDocument::Records(_), Self::Marked { .. }) => false,
            (FoundDocument::Missing, Self::Marked { is_new }) => !is_new,
            (FoundDocument::Missing, Self::Listed) | (FoundDocument::Unreadable, _) => true,
        }
    }
}

/// A record, the document that has it, and what it is about.
#[derive(Clone)]
pub(super) struct FoundRecord {
    pub position: AuditPosition,
    pub record: AuditRecord,
    subject: Subject,
}

impl TimelineEvent {
    /// What no record of the audit log says.
    fn of_account(at: Timestamp, action: &AuditAction, text: impl Into<String>) -> Self {
        Self {
            at,
            what: action.to_string(),
            text: text.into(),
            document_id: None,
            is_access: false,
        }
    }
}

/// A record in words.
pub(super) struct DescribedRecord {
    /// With its names and texts.
    pub record: AuditRecord,
    pub sentence: String,
}

impl FoundRecord {
    /// A record of a chunk.
    pub fn of_chunk(position: AuditPosition, record: AuditRecord, index: u32) -> Self {
        Self {
            position,
            record,
            subject: Subject::Chunk { index },
        }
    }

    /// Whether it says what became of a chunk, and not who looked at it.
    pub fn is_of_chunk(&self) -> bool {
        matches!(self.subject, Subject::Chunk { .. }) && !self.record.action.is_access()
    }
}

impl Catalogue {
    /// Returns everything that happened to a recording, oldest first.
    pub(super) async fn timeline(
        &self,
        recorded: &KnownRecording,
    ) -> Result<Vec<TimelineEvent>, CatalogueError> {
        let FoundRecords {
            records: found,
            are_all,
            not_read,
        } = self.records_found(recorded).await?;
        let revealing = futures::stream::iter(found).map(|found| async move {
            let record = self.ledger.audit().reveal(found.record).await?;
            Ok::<_, CatalogueError>((found.subject, record))
        });
        let records: Vec<(Subject, AuditRecord)> =
            revealing.buffered(AT_ONCE).try_collect().await?;
        let of_account = of_account(recorded, &records);
        let mut happened: Vec<TimelineEvent> = records.iter().map(happening).collect();
        happened.extend(of_account);
        let began_at = recorded.started_at();
        if !are_all {
            happened.push(left_out(began_at));
        }
        happened.extend(not_read_of(not_read).map(|text| said_of_log(began_at, "notRead", text)));
        happened.sort_by_key(|happening| happening.at);
        Ok(happened)
    }

    /// Returns records with the names and texts that they refer to.
    pub(super) async fn revealed(
        &self,
        records: Vec<AuditRecord>,
    ) -> Result<Vec<AuditRecord>, CatalogueError> {
        let revealing = futures::stream::iter(records)
            .map(|record| async move { Ok(self.ledger.audit().reveal(record).await?) });
        revealing.buffered(AT_ONCE).try_collect().await
    }

    /// Describes records, with the names and texts that they refer to.
    pub(super) async fn described(
        &self,
        found: Vec<FoundRecord>,
    ) -> Result<Vec<DescribedRecord>, CatalogueError> {
        let describing = futures::stream::iter(found).map(|found| async move {
            let record = self.ledger.audit().reveal(found.record).await?;
            let sentence = sentence(&record, found.subject);
            Ok::<_, CatalogueError>(DescribedRecord { record, sentence })
        });
        describing.buffered(AT_ONCE).try_collect().await
    }

    /// Returns the records of the audit log about a recording as they are stored, oldest first, each with the position
    /// of the document that has it.
    pub(super) async fn records_found(
        &self,
        recorded: &KnownRecording,
    ) -> Result<FoundRecords, CatalogueError> {
        let subjects = Subjects::of(recorded, &self.ledger.holds().rules().await?);
        let audit = self.ledger.audit();
        let listing = futures::stream::iter(subjects.keys())
            .map(|subject| async move { audit.newest_of(subject, READ_AT_MOST + 1).await });
        let marked: Vec<Vec<MarkedDocument>> = listing.buffered(AT_ONCE).try_collect().await?;
        // Newest first.
        let marked: BTreeSet<MarkedDocument> = marked.into_iter().flatten().collect();
        let marked_count = marked.len();
        let written_by = self.clock.now().checked_sub(WRITTEN_WITHIN);
        let marked = marked.into_iter().take(READ_AT_MOST).map(|of| {
            let is_new = written_by.as_ref().is_ok_and(|at| of.is_after(*at));
            (of.position, Sought::Marked { is_new })
        });
        let noted = recorded.entries().flat_map(|entry| &entry.audited);
        // Of the entries first: who played it most often must not hide what became of it.
        let noted: BTreeSet<AuditPosition> = noted.cloned().collect();
        let are_all = noted.len().max(marked_count) <= READ_AT_MOST;
        let noted = noted.into_iter().rev().take(READ_AT_MOST);
        let noted = noted.map(|position| (position, Sought::Listed));
        let positions: BTreeMap<AuditPosition, Sought> = marked.chain(noted).collect();
        let reading = futures::stream::iter(positions).map(|(position, sought)| async move {
            let document = audit.read(&position).await?;
            Ok::<_, CatalogueError>((position, sought, document))
        });
        let mut reading = reading.buffered(AT_ONCE);
        let (mut found, mut not_read) = (Vec::new(), 0);
        while let Some((position, sought, document)) = reading.try_next().await? {
            let of_recording = subjects.records_in(&position, &document);
            not_read += usize::from(sought.is_absent(&document, !of_recording.is_empty()));
            found.extend(of_recording);
        }
        // Each process has its own log.
        found.sort_by_key(|found| found.record.at);
        subjects::drop_earlier_holds(&mut found, recorded.started_at());
        Ok(FoundRecords {
            records: found,
            are_all,
            not_read,
        })
    }
}

/// Says that documents of the log could not be read, if there are any.
pub(super) fn not_read_of(count: usize) -> Option<String> {
    if count == 0 {
        return None;
    }
    let documents = counted(
        count,
        "document of the audit log about this recording is",
        "documents of the audit log about this recording are",
    );
    Some(format!(
        "{documents} missing or not readable; run `recording-vault audit verify`"
    ))
}

/// Says that records are not shown.
fn left_out(began_at: Option<Timestamp>) -> TimelineEvent {
    let text = format!(
        "The audit log has more than {READ_AT_MOST} documents about this recording, and not all are shown here; `recording-vault audit show` prints them"
    );
    said_of_log(began_at, "leftOut", text)
}

fn said_of_log(began_at: Option<Timestamp>, what: &str, text: String) -> TimelineEvent {
    TimelineEvent {
        at: began_at.unwrap_or(Timestamp::UNIX_EPOCH),
        what: what.to_owned(),
        text,
        document_id: None,
        is_access: false,
    }
}

fn happening((subject, record): &(Subject, AuditRecord)) -> TimelineEvent {
    TimelineEvent {
        at: record.at,
        what: record.action.to_string(),
        text: sentence(record, *subject),
        document_id: match subject {
            Subject::Chunk { .. } => Some(record.subject.clone()),
            Subject::Recording | Subject::Call | Subject::Rule => None,
        },
        is_access: record.action.is_access(),
    }
}

/// What only the recording's account or its holds say: events of ACS, and what was done before there was a log.
fn of_account(recorded: &KnownRecording, records: &[(Subject, AuditRecord)]) -> Vec<TimelineEvent> {
    let account = &recorded.account;
    let is_recorded = |action: &AuditAction, at: Timestamp| {
        let mut same = records
            .iter()
            .filter(|(_, record)| record.action == *action);
        same.any(|(_, record)| {
            let apart = record.at.as_millisecond() - at.as_millisecond();
            apart.abs() < SAME_MOMENT_MS
        })
    };
    let mut happened = Vec::new();
    let started = account.started_at;
    happened.extend(started.map(|at| (at, AuditAction::Started, "The recording began")));
    if let RecordingStatus::Stopped { at } = account.status {
        // Where the log has no request to stop it, it ended when its length says.
        let is_stop_recorded = is_recorded(&AuditAction::Stopped, at);
        let ended_at = recorded.ended_at().filter(|_| !is_stop_recorded);
        happened.push((
            ended_at.unwrap_or(at),
            AuditAction::Stopped,
            "The recording ended",
        ));
    }
    for pause in &account.pauses {
        happened.push((
            pause.started_at,
            AuditAction::Paused,
            "The recording was paused",
        ));
        let ended = pause.ended_at;
        happened.extend(ended.map(|at| (at, AuditAction::Resumed, end_of(pause))));
    }
    happened.retain(|(at, action, _)| !is_recorded(action, *at));
    let happened = happened
        .into_iter()
        .map(|(at, action, text)| TimelineEvent::of_account(at, &action, text));
    let has_record = |case: &Case| {
        records.iter().any(|(_, record)| {
            record.action == AuditAction::Held && record.detail["case"] == case.tag.to_string()
        })
    };
    let cases = recorded.cases.iter().map(|held| &held.case);
    let held = cases.filter(|case| !has_record(case));
    let held = held.map(|case| {
        let by = case.by.as_ref().map(|by| format!(" by {by}"));
        let requested = case.requested_by.as_ref();
        let requested = requested.map(|name| format!(" (requested by {name})"));
        let text = format!(
            "The recording was held for the case {}{}{}",
            case.tag,
            requested.unwrap_or_default(),
            by.unwrap_or_default()
        );
        TimelineEvent::of_account(case.since, &AuditAction::Held, text)
    });
    happened.chain(held).collect()
}

fn end_of(pause: &Pause) -> &'static str {
    match pause.ended_by {
        Some(PauseEnd::Guard) => "The recording resumed by itself at the end of its pause",
        Some(PauseEnd::Observed) => "ACS reported that the recording resumed",
        Some(PauseEnd::Stop) => "The pause ended with the recording",
        Some(PauseEnd::Caller) | None => "The recording was resumed",
    }
}
