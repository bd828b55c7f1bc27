//! What a comparison with the audit log found.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use recording_vault::export::layout::BlobName;
use recording_vault::export::receipt::VaultName;
use recording_vault::store::audit::CheckpointRef;
use recording_vault::store::digest::Sha256Digest;

/// What the comparison found.
#[derive(Debug, Default)]
pub struct Comparison {
    pub entries: u64,
    pub receipts: u64,
    pub problems: Vec<String>,
    /// What could not be checked, and why.
    pub not_checked: Vec<String>,
    /// When an operator acknowledged the loss of a checkpoint, by the subjects of the records.
    pub acknowledged: BTreeMap<String, Timestamp>,
    /// What was found before, and acknowledged by an operator.
    pub known: Vec<String>,
    /// The checkpoints that receipts name, each with one of the receipts.
    pub anchors: BTreeMap<CheckpointRef, Anchor>,
    /// The same, of checkpoints whose loss was acknowledged.
    pub lost_anchors: BTreeMap<CheckpointRef, LostAnchor>,
    /// Documents of the log could not be read: a record that was not found may be there.
    pub is_log_partial: bool,
    /// What was recorded first, of entries and accounts.
    pub earliest: Option<FirstRecorded>,
    /// The receipts that entries claim.
    pub claimed: BTreeSet<ClaimedReceipt>,
}

/// Something that the ledger has, and when it was recorded.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct FirstRecorded {
    pub at: Timestamp,
    pub what: String,
}

/// A checkpoint that is named outside of the log.
#[derive(Debug, Clone)]
pub struct Anchor {
    pub checkpoint: CheckpointRef,
    pub named_by: String,
}

/// A checkpoint that is named outside of the log, and that an operator acknowledged as lost. What was logged before is
/// proved by no receipt, whatever the log says: an acknowledgement is in the log that the anchor is to prove.
#[derive(Debug, Clone)]
pub struct LostAnchor {
    pub anchor: Anchor,
    pub acknowledged_at: Timestamp,
}

/// A short hash of a receipt's name and vault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct ClaimedReceipt(u64);

impl ClaimedReceipt {
    pub fn of(vault: VaultName, name: &BlobName) -> Self {
        let digest = Sha256Digest::of(format!("{vault:?}/{name}").as_bytes()).to_bytes();
        let (first, _) = digest.split_at(8);
        Self(u64::from_be_bytes(
            first.try_into().expect("it has eight bytes"),
        ))
    }
}

impl Comparison {
    /// Notes when something was recorded.
    pub fn recorded(&mut self, first: FirstRecorded) {
        if self.earliest.as_ref().is_none_or(|before| first < *before) {
            self.earliest = Some(first);
        }
    }

    /// Reports what no record says.
    pub fn unrecorded(&mut self, what: String) {
        if self.is_log_partial {
            self.maybe_unread(&what);
        } else {
            self.problems.push(what);
        }
    }

    /// Reports what a record may say that could not be read.
    pub fn maybe_unread(&mut self, what: &str) {
        self.not_checked.push(format!(
            "{what}; a record of it may be in a document of the log that could not be read"
        ));
    }

    /// Two receipts that name different checkpoints of one number cannot both be right, unless one of these is acknowledged
    /// as lost. Each is compared with the log.
    pub fn name(&mut self, anchor: Anchor) {
        let checkpoint = anchor.checkpoint;
        if let Some(at) = self.acknowledged.get(&checkpoint.subject()) {
            let acknowledged_at = *at;
            let lost = self.lost_anchors.entry(checkpoint);
            lost.or_insert(LostAnchor {
                anchor,
                acknowledged_at,
            });
            return;
        }
        if self.anchors.contains_key(&checkpoint) {
            return;
        }
        let number = checkpoint.number;
        let first = CheckpointRef {
            number,
            sha256: Sha256Digest::ZERO,
        };
        if let Some((other, there)) = self.anchors.range(first..).next()
            && other.number == number
        {
            self.problems.push(format!(
                "{} and {} name different checkpoints {number}",
                there.named_by, anchor.named_by
            ));
        }
        self.anchors.insert(checkpoint, anchor);
    }
}

/// Findings of one entry.
#[derive(Debug, Default)]
pub struct EntryCheck {
    pub problems: Vec<String>,
    /// What no record says.
    pub unrecorded: Vec<String>,
    /// Documents of the log that may have records of it could not be read.
    pub is_log_partial: bool,
    pub not_checked: Vec<String>,
    pub anchors: Vec<Anchor>,
    pub claimed: Vec<ClaimedReceipt>,
    pub receipts: u64,
    pub recorded: Option<FirstRecorded>,
}
