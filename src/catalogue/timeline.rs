//! What the audit log says about a recording, in words.

use std::collections::{BTreeMap, BTreeSet};

use futures::{StreamExt as _, TryStreamExt as _};
use jiff::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

use super::known::KnownRecording;
use super::{AT_ONCE, Catalogue, CatalogueError};
use crate::store::audit::{AuditAction, AuditPosition, AuditRecord};

/// Documents of the log that are read for one recording; if there are more, the newest.
const READ_AT_MOST: usize = 1000;

/// Something that happened.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Happening {
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
    /// As the audit log calls it.
    #[schema(example = "exported")]
    pub what: String,
    #[schema(example = "Chunk 0 was exported and proved")]
    pub text: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub document_id: Option<String>,
}

impl Catalogue {
    /// Returns what happened to the chunks of a recording, and the cases that hold it, oldest first.
    pub(super) async fn timeline(
        &self,
        recorded: &KnownRecording,
    ) -> Result<Vec<Happening>, CatalogueError> {
        let chunks: BTreeMap<&str, u32> = recorded
            .chunks
            .iter()
            .map(|chunk| (chunk.document_id.as_str(), chunk.index))
            .collect();
        let mut happened: Vec<Happening> = self
            .audit_records(recorded)
            .await?
            .into_iter()
            .filter_map(|record| Some(happening(&record, *chunks.get(record.subject.as_str())?)))
            .collect();
        let account = &recorded.account;
        let plain = |at, what: &str, text: String| Happening {
            at,
            what: what.to_owned(),
            text,
            document_id: None,
        };
        happened.extend(
            account
                .started_at
                .map(|at| plain(at, "started", "The recording began".to_owned())),
        );
        if let crate::control::entry::RecordingStatus::Stopped { at } = &account.status {
            happened.push(plain(*at, "stopped", "The recording ended".to_owned()));
        }
        for case in &recorded.cases {
            let by = case
                .by
                .as_ref()
                .map(|by| format!(" by {by}"))
                .unwrap_or_default();
            happened.push(plain(
                case.since,
                "held",
                format!("It was held for the case {}{by}", case.tag),
            ));
        }
        happened.sort_by_key(|happening| happening.at);
        Ok(happened)
    }

    /// Returns the records of the audit log about a recording's chunks.
    pub(super) async fn audit_records(
        &self,
        recorded: &KnownRecording,
    ) -> Result<Vec<AuditRecord>, CatalogueError> {
        let records = self.audited_records(recorded).await?.into_iter();
        self.revealed(records.map(|(_, record)| record).collect())
            .await
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

    /// Returns the records of the audit log about a recording's chunks as they are stored, each with the position of
    /// the document that has it.
    pub(super) async fn audited_records(
        &self,
        recorded: &KnownRecording,
    ) -> Result<Vec<(AuditPosition, AuditRecord)>, CatalogueError> {
        let places: BTreeSet<&AuditPosition> = recorded
            .entries()
            .flat_map(|entry| &entry.audited)
            .collect();
        let places = places
            .into_iter()
            .rev()
            .take(READ_AT_MOST)
            .cloned()
            .collect::<Vec<AuditPosition>>();
        let documents = futures::stream::iter(places.into_iter().rev()).map(|place| async move {
            let records = self.ledger.audit().records(&place).await?;
            Ok::<_, CatalogueError>((place, records))
        });
        let documents: Vec<(AuditPosition, Vec<AuditRecord>)> =
            documents.buffered(AT_ONCE).try_collect().await?;
        let ids: BTreeSet<&str> = recorded
            .chunks
            .iter()
            .map(|chunk| chunk.document_id.as_str())
            .collect();
        let mut records: Vec<(AuditPosition, AuditRecord)> = documents
            .into_iter()
            .flat_map(|(place, records)| {
                records
                    .into_iter()
                    .map(move |record| (place.clone(), record))
            })
            .filter(|(_, record)| ids.contains(record.subject.as_str()))
            .collect();
        // Each process has its own log.
        records.sort_by_key(|(_, record)| record.at);
        Ok(records)
    }
}

fn happening(record: &AuditRecord, index: u32) -> Happening {
    Happening {
        at: record.at,
        what: record.action.to_string(),
        text: sentence(record, index),
        document_id: Some(record.subject.clone()),
    }
}

/// Describes in one sentence what was done to a chunk.
#[expect(clippy::too_many_lines, reason = "one arm for each action")]
fn sentence(record: &AuditRecord, index: u32) -> String {
    let reason = record.detail["reason"]
        .as_str()
        .map(|reason| format!(": {reason}"))
        .unwrap_or_default();
    match &record.action {
        AuditAction::Recorded => format!("Chunk {index} was announced"),
        AuditAction::AnnouncedAgain => {
            format!("Chunk {index} was announced again, with something new")
        }
        AuditAction::Pending => format!("Chunk {index} is to be exported (again)"),
        AuditAction::Exported => format!("Chunk {index} was exported and proved"),
        AuditAction::OtherFileExported => {
            format!("Another file of chunk {index} was exported beside the first")
        }
        AuditAction::DeletingSource => format!("Chunk {index} is being deleted at ACS"),
        AuditAction::SourceDeleted => format!("Chunk {index} was deleted at ACS"),
        AuditAction::SourceLeft => {
            format!("Chunk {index} was left at ACS, which drops it by itself{reason}")
        }
        AuditAction::InPlace => format!("Chunk {index} was looked at in your own storage"),
        AuditAction::Expired => format!("Chunk {index} is lost{reason}"),
        AuditAction::DeadLettered => format!("Chunk {index} was given up{reason}"),
        AuditAction::Removing => {
            format!("The copy of chunk {index} is being deleted from the vault")
        }
        AuditAction::RemovingLate => {
            format!("Files of chunk {index} that arrived late are being deleted from the vault")
        }
        AuditAction::ClearingBackup => {
            format!("The second copy of chunk {index} is being deleted from the backup vault")
        }
        AuditAction::RecordedErased => {
            format!("Chunk {index} was announced and not exported: its recording was erased")
        }
        AuditAction::Removed => {
            format!("The copy of chunk {index} was deleted from the vault{reason}")
        }
        AuditAction::Retried => format!("An operator opened chunk {index} again"),
        AuditAction::Accepted => {
            format!("An operator accepted the doubtful media of chunk {index}")
        }
        AuditAction::Acknowledged => {
            format!("An operator acknowledged that chunk {index} has no whole copy")
        }
        AuditAction::Imported => {
            format!("An operator imported a file as the copy of chunk {index}")
        }
        AuditAction::Rebuilt => format!("The entry of chunk {index} was rebuilt from its receipt"),
        AuditAction::SourceWasGone => format!("Chunk {index} was already gone at ACS"),
        other @ (AuditAction::Verified
        | AuditAction::Replayed
        | AuditAction::Dismissed
        | AuditAction::Started
        | AuditAction::StartUnknown
        | AuditAction::Paused
        | AuditAction::Resumed
        | AuditAction::Stopped
        | AuditAction::Held
        | AuditAction::Released
        | AuditAction::RetentionApplied
        | AuditAction::DeletesSources
        | AuditAction::Indexed
        | AuditAction::PersonSearched
        | AuditAction::PersonExported
        | AuditAction::EvidenceExported
        | AuditAction::PersonErasing
        | AuditAction::PersonErased
        | AuditAction::Forgotten
        | AuditAction::Played
        | AuditAction::Downloaded
        | AuditAction::TicketIssued
        | AuditAction::AccessesDropped
        | AuditAction::Other(_)) => format!("Chunk {index}: {other}"),
    }
}
