//! Rebuilds the index from accounts and entries: for a vault from before there was an index, or after a marker was
//! removed by hand. Reads everything. May be repeated, and interrupted.

use std::collections::HashMap;

use futures::{StreamExt as _, TryStreamExt as _};
use serde::Serialize;

use super::{AT_ONCE, Catalogue, CatalogueError};
use crate::export::LedgerEntry;
use crate::export::transfer::chunk;
use crate::recording::{DocumentId, MetadataSummary};
use crate::store::audit::{
    AuditAction, AuditPosition, AuditRecord, FoundDocument, LogGaps, Operator,
};

/// What was read.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct IndexReport {
    pub recordings: u64,
    pub chunks: u64,
    /// Chunks whose metadata was read from the vault, because the ledger did not have what it says.
    pub metadata_read: u64,
    /// What could not be indexed, with the reason.
    pub problems: Vec<String>,
}

/// What the audit log has of chunks.
#[derive(Debug, Default)]
struct LoggedPositions {
    of_chunks: HashMap<DocumentId, Vec<AuditPosition>>,
    gaps: LogGaps,
}

impl LoggedPositions {
    fn add(&mut self, position: &AuditPosition, records: Vec<AuditRecord>) {
        for record in records {
            if let Ok(id) = record.subject.parse::<DocumentId>() {
                self.of_chunks.entry(id).or_default().push(position.clone());
            }
        }
    }

    /// The positions for an entry that lists none. A list that lacks some would never be completed.
    fn of(&self, id: &DocumentId) -> Option<&Vec<AuditPosition>> {
        self.of_chunks.get(id).filter(|_| self.gaps.count() == 0)
    }

    fn problem(&self) -> Option<String> {
        let what = self.gaps.what()?;
        let are = if self.gaps.count() == 1 { "is" } else { "are" };
        Some(format!(
            "{what} {are} missing or not readable: markers of their records may be missing, and entries without a list of \
             records got none; run `recording-vault audit verify`"
        ))
    }
}

impl Catalogue {
    /// Writes every marker that should exist.
    ///
    /// # Errors
    /// When the storage fails.
    pub async fn index_everything(
        &self,
        operator: &Operator,
    ) -> Result<IndexReport, CatalogueError> {
        let mut report = IndexReport::default();
        self.ledger
            .audit_operator(
                AuditAction::Indexed,
                "vault",
                operator,
                serde_json::Value::Null,
            )
            .await?;
        let audited = self.positions().await?;
        report.problems.extend(audited.problem());
        let mut after = None;
        loop {
            let (ids, next) = self.ledger.documents(after.as_deref()).await?;
            let indexed = futures::stream::iter(ids).map(|id| {
                let audited = &audited;
                async move { (Box::pin(self.index_chunk(&id, audited.of(&id))).await, id) }
            });
            let mut indexed = indexed.buffer_unordered(AT_ONCE);
            while let Some((outcome, id)) = indexed.next().await {
                report.chunks += 1;
                match outcome? {
                    Ok(was_read) => report.metadata_read += u64::from(was_read),
                    Err(problem) => report.problems.push(format!("chunk {id}: {problem}")),
                }
            }
            after = next;
            if after.is_none() {
                break;
            }
        }
        let mut after = None;
        loop {
            let (names, next) = self.register.names(after.as_deref()).await?;
            let indexed = futures::stream::iter(names)
                .map(|name| async move { self.index_recording(&name).await });
            let indexed: Vec<Option<String>> =
                indexed.buffer_unordered(AT_ONCE).try_collect().await?;
            report.recordings += indexed.len() as u64;
            report.problems.extend(indexed.into_iter().flatten());
            after = next;
            if after.is_none() {
                return Ok(report);
            }
        }
    }

    /// Where the audit log has the records of each chunk. Writes the markers of its documents again. A document that is not
    /// readable stops nothing else.
    async fn positions(&self) -> Result<LoggedPositions, CatalogueError> {
        let audit = self.ledger.audit();
        let mut positions = LoggedPositions::default();
        // Before the log: what a checkpoint has must be there.
        let expected = audit.checkpointed_documents().await?;
        let mut documents = audit.read_all().boxed();
        while let Some((position, document)) = documents.try_next().await? {
            match document {
                FoundDocument::Records(records) => {
                    positions.gaps.read(&position);
                    audit.mark_again(&position, &records).await?;
                    positions.add(&position, records);
                }
                FoundDocument::Missing | FoundDocument::Unreadable => {
                    positions.gaps.unread(&position);
                }
            }
        }
        expected.add_to(&mut positions.gaps);
        Ok(positions)
    }

    /// Whether its metadata had to be read; or what was wrong.
    async fn index_chunk(
        &self,
        id: &DocumentId,
        audited: Option<&Vec<AuditPosition>>,
    ) -> Result<Result<bool, String>, CatalogueError> {
        let Some(entry) = self.entry(id).await? else {
            return Ok(Err("its entry is not readable".to_owned()));
        };
        let metadata = match self.unread_metadata(&entry).await {
            Ok(metadata) => metadata,
            Err(problem) => return Ok(Err(problem)),
        };
        let was_read = metadata.is_some();
        self.ledger
            .complete(
                id,
                metadata.as_ref(),
                audited.map(Vec::as_slice).unwrap_or_default(),
            )
            .await?;
        Ok(Ok(was_read))
    }

    async fn unread_metadata(
        &self,
        entry: &LedgerEntry,
    ) -> Result<Option<MetadataSummary>, String> {
        let (None, Some(receipt)) = (&entry.metadata, entry.state.receipt()) else {
            return Ok(None);
        };
        let Some(file) = receipt.metadata() else {
            return Ok(None);
        };
        let read =
            async { chunk::summary_of(self.vaults.get(receipt.vault(), file.name())?, file).await };
        read.await
            .map(Some)
            .map_err(|error| crate::error_chain::ErrorChain(&error).to_string())
    }

    async fn index_recording(&self, name: &str) -> Result<Option<String>, CatalogueError> {
        let Ok(digest) = name.to_owned().try_into() else {
            return Ok(None);
        };
        let recorded = match self.recorded(&digest).await {
            Ok(Some(recorded)) => recorded,
            Err(CatalogueError::Unreadable { key }) => {
                return Ok(Some(format!(
                    "recording {name}: its account `{key}` is not readable"
                )));
            }
            Ok(None) => {
                return Ok(Some(format!(
                    "recording {name}: its account was removed while the index was rebuilt"
                )));
            }
            Err(error) => return Err(error),
        };
        let call_id = recorded
            .entries()
            .find_map(|entry| entry.chunk.call_id.clone());
        let opened_at = recorded.account.heard_at;
        let complete = |account: &mut crate::control::entry::RegisteredRecording| {
            account.call_id = account.call_id.take().or_else(|| call_id.clone());
            account.opened_at = account.opened_at.or(account.started_at).or(Some(opened_at));
        };
        let account = self
            .register
            .change(&recorded.account.recording_id, self.clock.now(), complete)
            .await?;
        let now = self.clock.now();
        self.register.index_again(&account, now).await?;
        Ok(None)
    }
}
