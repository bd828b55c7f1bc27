//! Changes by an operator to an entry, such as another attempt or an accepted anomaly.

use futures::FutureExt as _;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::auditing::records_of;
use super::writing::{Change, MarkerCheck};
use super::{ChunkLedger, LedgerError};
use crate::export::entry::LedgerEntry;
use crate::export::receipt::{ExportReceipt, VaultName};
use crate::export::state::ChunkState;
use crate::media::MediaVerdict;
use crate::recording::{Acknowledgement, DocumentId, FileNumber};
use crate::store::audit::{Actor, AuditAction, Operator};

/// Outcome of an operator's retry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Retried {
    /// The next sweep drives it.
    Opened,
    /// It is open and due already: the next sweep drives it.
    AlreadyOpen,
    /// It is in the vault and proved; there is nothing to try.
    Safe,
    /// It is in the vault and proved, and its copy or its place is in doubt: it is not exported again, and an operator may
    /// accept it.
    Doubtful,
    /// Its proved copy is not whole, or another form of its file was lost: a retry cannot help.
    NotWhole,
    /// It was deleted from the vault by policy, for good.
    Removed,
    /// An import recorded it and did not finish. ACS has no file of it: only the import can be repeated.
    UnfinishedImport,
    Unknown,
}

/// Outcome of an operator's acceptance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Accepted {
    Accepted(AcceptedSource),
    /// It was already accepted.
    AlreadyAccepted(AcceptedSource),
    /// Events name several locations for it: nothing of it is deleted at ACS until one of them is chosen.
    SeveralPlaces,
    /// It has no doubtful copy.
    NotDoubtful,
    Unknown,
}

/// The source of a copy that is accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AcceptedSource {
    /// A sweep deletes it.
    MayBeDeleted,
    /// It stays at ACS until ACS drops it.
    Left,
    /// ACS no longer has it.
    Gone,
    /// No event announced it: whether ACS has it is not known.
    NotKnown,
}

/// Outcome of an operator's acknowledgement of a loss.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AcknowledgedChunk {
    Acknowledged,
    /// It was already acknowledged.
    AlreadyAcknowledged,
    /// It has a whole copy, or may still get one.
    NothingToAcknowledge,
    Unknown,
}

/// Outcome of an operator's choice of a location.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PlaceAccepted {
    /// The file of that location is the document's, and its source may be deleted.
    Accepted,
    /// It was already chosen.
    AlreadyAccepted,
    /// Events name only one location: there is nothing to choose.
    OnePlace,
    /// The document has no file of this number.
    NoSuchPlace,
    /// The file of that location is neither in the vault nor, as the document's own, in the customer's storage.
    NotInVault,
    /// A drive works on one of its files, or its copy is still to be moved home from the backup vault: the choice is
    /// possible when that has ended.
    BeingExported,
    Unknown,
}

impl ChunkLedger {
    /// Opens a chunk again that was given up: an operator has fixed the cause. An open one is due at once, and gets its
    /// marker back if that is missing.
    ///
    /// # Errors
    /// When the storage fails or the entry is unreadable.
    pub async fn retry(
        &self,
        document_id: &DocumentId,
        operator: &Operator,
    ) -> Result<Retried, LedgerError> {
        let changed = self
            .change(document_id, None, |found| {
                self.decide_retried(found, operator).boxed()
            })
            .await?;
        Ok(changed.outcome)
    }

    /// Makes a proved chunk due at once that waited because of a hold that has ended.
    ///
    /// # Errors
    /// When the storage fails or the entry is unreadable.
    pub async fn wake(&self, document_id: &DocumentId) -> Result<(), LedgerError> {
        self.change(document_id, None, |found| {
            let is_waiting = |entry: &LedgerEntry| {
                matches!(entry.state, ChunkState::Exported { .. }) && entry.not_before.is_some()
            };
            let decided = match found.filter(is_waiting) {
                None => Change::Leave(()),
                Some(mut entry) => {
                    entry.not_before = None;
                    Change::Write {
                        entry: Box::new(entry),
                        outcome: (),
                        marker: MarkerCheck::Ensure,
                    }
                }
            };
            async move { Ok(decided) }.boxed()
        })
        .await?;
        Ok(())
    }

    async fn decide_retried(
        &self,
        found: Option<LedgerEntry>,
        operator: &Operator,
    ) -> Result<Change<Retried>, LedgerError> {
        let Some(before) = found else {
            return Ok(Change::Leave(Retried::Unknown));
        };
        let mut entry = before.clone();
        if entry.is_unfinished_import() {
            return Ok(Change::Leave(Retried::UnfinishedImport));
        }
        let has_further = entry.retry_further(self.clock.now());
        match entry.state {
            ChunkState::DeadLettered { .. } | ChunkState::Expired { .. } => entry.try_again(),
            ChunkState::Exported { .. } | ChunkState::SourceLeft { .. }
                if entry.may_request_metadata_again(self.clock.now()) =>
            {
                entry.try_again();
                entry.anomaly_accepted_at = None;
            }
            ChunkState::Exported { .. } if !has_further && entry.awaits_acceptance() => {
                self.put_marker(&entry).await?;
                return Ok(Change::Leave(Retried::Doubtful));
            }
            // ACS may have what its copy lost.
            ChunkState::SourceLeft { ref receipt, .. }
                if entry.open_damage().is_some()
                    && !entry.is_surely_gone(self.clock.now())
                    && receipt.imported().is_none() =>
            {
                let receipt = receipt.clone();
                entry.state = ChunkState::Exported { receipt };
                entry.begin_attempts_anew();
            }
            // Its source was left because of them. With their copies the drive decides again.
            ChunkState::SourceLeft { ref receipt, .. }
                if has_further && receipt.imported().is_none() =>
            {
                let receipt = receipt.clone();
                entry.state = ChunkState::Exported { receipt };
                entry.begin_attempts_anew();
            }
            ChunkState::SourceDeleted { .. }
            | ChunkState::SourceLeft { .. }
            | ChunkState::InPlace { .. }
                if has_further => {}
            // The file in the customer's own storage may be whole by now.
            ChunkState::InPlace { .. } if entry.cut_short().is_some() => entry.try_again(),
            ChunkState::Pending | ChunkState::Exported { .. }
                if has_further || entry.not_before.is_some() =>
            {
                entry.not_before = None;
            }
            ChunkState::Pending
            | ChunkState::Exported { .. }
            | ChunkState::SourceDeleted { .. }
            | ChunkState::SourceLeft { .. }
            | ChunkState::InPlace { .. } => return self.decide_without_retry(&entry).await,
            ChunkState::Removing { .. } | ChunkState::Removed { .. } => {
                return Ok(Change::Leave(Retried::Removed));
            }
        }
        let signed = (AuditAction::Retried, operator.sign(Value::Null));
        self.by_operator(signed, &before, entry, Retried::Opened)
            .await
    }

    /// Answers a retry of a chunk for which there is nothing to open.
    async fn decide_without_retry(
        &self,
        entry: &LedgerEntry,
    ) -> Result<Change<Retried>, LedgerError> {
        if entry.is_open() {
            self.put_marker(entry).await?;
            return Ok(Change::Leave(Retried::AlreadyOpen));
        }
        Ok(Change::Leave(match entry.cut_short() {
            Some(_) => Retried::NotWhole,
            None if entry.awaits_acceptance() || entry.open_damage().is_some() => Retried::Doubtful,
            None => Retried::Safe,
        }))
    }

    /// Allows the deletion of a doubtful chunk's source: an operator has checked the copy.
    ///
    /// # Errors
    /// When the storage fails or the entry is unreadable.
    pub async fn accept(
        &self,
        document_id: &DocumentId,
        operator: &Operator,
    ) -> Result<Accepted, LedgerError> {
        let changed = self
            .change(document_id, None, |found| {
                self.decide_accepted(found, operator).boxed()
            })
            .await?;
        Ok(changed.outcome)
    }

    async fn decide_accepted(
        &self,
        found: Option<LedgerEntry>,
        operator: &Operator,
    ) -> Result<Change<Accepted>, LedgerError> {
        let Some(before) = found else {
            return Ok(Change::Leave(Accepted::Unknown));
        };
        let mut entry = before.clone();
        let has_copy = matches!(
            entry.state,
            ChunkState::Exported { .. }
                | ChunkState::SourceLeft { .. }
                | ChunkState::SourceDeleted { .. }
                | ChunkState::InPlace { .. }
        );
        if has_copy && entry.disputed_places().is_some() {
            return Ok(Change::Leave(Accepted::SeveralPlaces));
        }
        let now = self.clock.now();
        let Some(source) = source_of(&entry, now) else {
            return Ok(Change::Leave(Accepted::NotDoubtful));
        };
        if entry.anomaly_accepted_at.is_some() {
            return Ok(Change::Leave(Accepted::AlreadyAccepted(source)));
        }
        if !is_doubtful(&entry) {
            return Ok(Change::Leave(Accepted::NotDoubtful));
        }
        entry.anomaly_accepted_at = Some(now);
        let signed = (AuditAction::Accepted, operator.sign(Value::Null));
        let accepted = Accepted::Accepted(source);
        self.by_operator(signed, &before, entry, accepted).await
    }

    /// Records that an operator knows of a loss, and why the search for it has ended.
    ///
    /// # Errors
    /// When the storage fails or the entry is unreadable.
    pub async fn acknowledge(
        &self,
        document_id: &DocumentId,
        why: &Acknowledgement,
        operator: &Operator,
    ) -> Result<AcknowledgedChunk, LedgerError> {
        let changed = self
            .change(document_id, None, |found| {
                self.decide_acknowledged(found, why, operator).boxed()
            })
            .await?;
        Ok(changed.outcome)
    }

    async fn decide_acknowledged(
        &self,
        found: Option<LedgerEntry>,
        why: &Acknowledgement,
        operator: &Operator,
    ) -> Result<Change<AcknowledgedChunk>, LedgerError> {
        let Some(before) = found else {
            return Ok(Change::Leave(AcknowledgedChunk::Unknown));
        };
        let mut entry = before.clone();
        if !entry.lacks_whole_copy() {
            return Ok(Change::Leave(AcknowledgedChunk::NothingToAcknowledge));
        }
        if entry.acknowledged.is_some() {
            return Ok(Change::Leave(AcknowledgedChunk::AlreadyAcknowledged));
        }
        entry.acknowledged = Some(why.clone());
        let detail = operator.sign(json!({"reason": why.reason}));
        let signed = (AuditAction::Acknowledged, detail);
        self.by_operator(signed, &before, entry, AcknowledgedChunk::Acknowledged)
            .await
    }

    /// Chooses which of the locations that events name is the document's. Its file becomes the document's, and its
    /// source may be deleted; the files of the other locations stay in the vault beside it.
    ///
    /// # Errors
    /// When the storage fails or the entry is unreadable.
    pub async fn accept_place(
        &self,
        document_id: &DocumentId,
        place: FileNumber,
        operator: &Operator,
    ) -> Result<PlaceAccepted, LedgerError> {
        let changed = self
            .change(document_id, None, |found| {
                self.decide_place(found, place, operator).boxed()
            })
            .await?;
        Ok(changed.outcome)
    }

    async fn decide_place(
        &self,
        found: Option<LedgerEntry>,
        place: FileNumber,
        operator: &Operator,
    ) -> Result<Change<PlaceAccepted>, LedgerError> {
        let Some(before) = found else {
            return Ok(Change::Leave(PlaceAccepted::Unknown));
        };
        let mut entry = before.clone();
        if entry.accepted_place == Some(place) {
            return Ok(Change::Leave(PlaceAccepted::AlreadyAccepted));
        }
        let is_own = entry.chunk.file_number == place;
        if !is_own && entry.further(place).is_none() {
            return Ok(Change::Leave(PlaceAccepted::NoSuchPlace));
        }
        if entry.accepted_place.is_none() && entry.disputed_places().is_none() {
            return Ok(Change::Leave(PlaceAccepted::OnePlace));
        }
        let is_in_backup = |receipt: &ExportReceipt| receipt.vault() == VaultName::Backup;
        let comes_home = !is_own && entry.state.receipt().is_some_and(is_in_backup);
        // What a drive proves or deletes is of the file that it began with.
        if comes_home || entry.is_claimed(self.clock.now()) {
            return Ok(Change::Leave(PlaceAccepted::BeingExported));
        }
        let is_in_vault = if is_own {
            entry.state.receipt().is_some() || matches!(entry.state, ChunkState::InPlace { .. })
        } else {
            entry.exchange(place, self.clock.now())
        };
        if !is_in_vault {
            return Ok(Change::Leave(PlaceAccepted::NotInVault));
        }
        // Its source was left, perhaps for lack of this choice. The drive decides again.
        if let ChunkState::SourceLeft { receipt, .. } = &entry.state {
            entry.state = ChunkState::Exported {
                receipt: receipt.clone(),
            };
        }
        // A holder that outlived its claim writes no more.
        entry.give_up_claim();
        entry.begin_attempts_anew();
        entry.accepted_place = Some(place);
        let detail = operator.sign(json!({"place": place}));
        let signed = (AuditAction::Accepted, detail);
        self.by_operator(signed, &before, entry, PlaceAccepted::Accepted)
            .await
    }

    /// Records an operator's action, and the state that it brings an entry into, before the entry is written.
    pub(super) async fn by_operator<O>(
        &self,
        signed: (AuditAction, Value),
        before: &LedgerEntry,
        mut entry: LedgerEntry,
        outcome: O,
    ) -> Result<Change<O>, LedgerError> {
        let mut records = vec![signed];
        records.extend(records_of(before, &entry));
        let subject = entry.chunk.document_id.as_str();
        let appending = self
            .audit
            .append_together(Actor::Operator, subject, records);
        let position = appending.await?;
        entry.note_audited(position);
        Ok(Change::Write {
            entry: Box::new(entry),
            outcome,
            marker: MarkerCheck::Ensure,
        })
    }
}

/// Whether a copy has a doubt that an operator may accept.
fn is_doubtful(entry: &LedgerEntry) -> bool {
    match &entry.state {
        ChunkState::Exported { receipt } => {
            entry.unsolicited
                || receipt.media_verdict() != MediaVerdict::Agrees
                || entry.doubts().next().is_some()
        }
        ChunkState::SourceLeft { .. }
        | ChunkState::SourceDeleted { .. }
        | ChunkState::InPlace { .. } => entry.open_anomaly().is_some(),
        ChunkState::Pending
        | ChunkState::Removing { .. }
        | ChunkState::Removed { .. }
        | ChunkState::Expired { .. }
        | ChunkState::DeadLettered { .. } => false,
    }
}

/// What happens to the source of a copy that is accepted. `None`: there is no such copy.
fn source_of(entry: &LedgerEntry, now: Timestamp) -> Option<AcceptedSource> {
    let is_gone = entry.is_surely_gone(now);
    Some(match &entry.state {
        // What is in the customer's own storage has no source at ACS.
        ChunkState::SourceDeleted { .. } | ChunkState::InPlace { .. } => AcceptedSource::Gone,
        ChunkState::Exported { .. } | ChunkState::SourceLeft { .. } if is_gone => {
            AcceptedSource::Gone
        }
        ChunkState::Exported { .. } | ChunkState::SourceLeft { .. }
            if entry.recorded_for_import =>
        {
            AcceptedSource::NotKnown
        }
        ChunkState::Exported { .. } if !entry.keeps_source() => AcceptedSource::MayBeDeleted,
        ChunkState::Exported { .. } | ChunkState::SourceLeft { .. } => AcceptedSource::Left,
        ChunkState::Pending
        | ChunkState::Removing { .. }
        | ChunkState::Removed { .. }
        | ChunkState::Expired { .. }
        | ChunkState::DeadLettered { .. } => return None,
    })
}
