//! The report of `audit verify`, as text and as JSON. It checks nothing.

use std::fmt;

use jiff::Timestamp;
use recording_vault::counted::counted;
use recording_vault::store::audit::{AuditReport, CheckpointRef};
use recording_vault::visible;
use serde::Serialize;

use crate::cli::audit::stamps::{StampedCheckpoint, StampsReport};
use crate::cli::existing::Traces;

/// What the check found.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct VerifyReport {
    #[serde(flatten)]
    pub log: AuditReport,
    pub entries: u64,
    pub receipts: u64,
    /// The newest checkpoint that is named outside of the log, and still there. Up to it, nothing was rewritten.
    pub anchor: Option<FoundAnchor>,
    /// When the last loss of a checkpoint that receipts name was acknowledged. No receipt proves what was logged before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lost_until: Option<Timestamp>,
    /// When checkpoints existed, according to time-stamping authorities.
    pub stamps: StampsReport,
    /// What could not be checked, and why.
    pub not_checked: Vec<String>,
    /// What was found before, and acknowledged by an operator.
    pub known: Vec<String>,
    #[serde(skip)]
    pub traces: Traces,
}

/// A checkpoint that is named outside of the log.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct FoundAnchor {
    pub checkpoint: CheckpointRef,
    /// When it was written.
    pub at: Option<Timestamp>,
    pub named_by: String,
}

impl VerifyReport {
    fn verdict(&self) -> String {
        if !self.log.problems.is_empty() {
            return "The audit log is NOT whole, or something does not agree with it.".to_owned();
        }
        match (self.not_checked.len(), &self.anchor) {
            (0, Some(anchor)) => {
                let at = anchor.at.map(|at| format!("{at:.0}"));
                let until = at.unwrap_or_else(|| format!("checkpoint {}", anchor.checkpoint.number));
                format!("The audit log is whole up to {until}, and entries and receipts agree with it.")
            }
            (0, None) => "No break was found in the audit log, and entries and receipts agree with it. No receipt names a checkpoint yet.".to_owned(),
            (1, _) => "Not checked: 1 part of the audit log. No break was found in the others.".to_owned(),
            (parts, _) => format!("Not checked: {parts} parts of the audit log. No break was found in the others."),
        }
    }

    fn anchors(&self) -> String {
        match &self.anchor {
            Some(anchor) => format!(
                "Compared with {}, which names checkpoint {}{}. Not checked for a rewrite: what was logged later{}.",
                anchor.named_by,
                anchor.checkpoint.number,
                anchor.at.map(|at| format!(" of {at}")).unwrap_or_default(),
                self.lost_until
                    .map(|at| format!(", and before {at:.0}"))
                    .unwrap_or_default()
            ),
            None => "Not checked for a rewrite of the whole log: there is no checkpoint that a receipt or `--noted` names."
                .to_owned(),
        }
    }
}

impl fmt::Display for VerifyReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let log = &self.log;
        write_whole_line(f, format_args!("{}", self.verdict()))?;
        for problem in &log.problems {
            write_whole_line(f, format_args!("PROBLEM: {problem}"))?;
        }
        for reason in &self.not_checked {
            write_whole_line(f, format_args!("NOT CHECKED: {reason}"))?;
        }
        for known in &self.known {
            write_whole_line(f, format_args!("ACKNOWLEDGED: {known}"))?;
        }
        write_whole_line(
            f,
            format_args!(
                "Records: {}, in {} documents of {} logs. Entries: {}. Receipts: {}.",
                log.records, log.documents, log.logs, self.entries, self.receipts
            ),
        )?;
        write_whole_line(f, format_args!("{}", self.anchors()))?;
        if let Some(StampedCheckpoint { checkpoint, at }) = self.stamps.newest {
            write_whole_line(
                f,
                format_args!(
                    "A trusted authority says that checkpoint {} existed at {at}.",
                    checkpoint.number
                ),
            )?;
        }
        if self.stamps.hold == 0 && self.stamps.not_checked == 0 {
            f.write_str("There is no timestamp of a checkpoint.\n")?;
        }
        if log.records_after_newest > 0 {
            write_whole_line(
                f,
                format_args!(
                    "Not checked for a cut: {} that no checkpoint has.",
                    counted(log.records_after_newest, "record", "records")
                ),
            )?;
        }
        match log.newest {
            Some(newest) if log.problems.is_empty() => visible::write_part(
                f,
                format_args!(
                    "The newest checkpoint is {newest} (note it elsewhere; `--noted` compares)"
                ),
            ),
            Some(newest) => {
                visible::write_part(f, format_args!("The newest checkpoint is {newest}"))
            }
            None if log.problems.is_empty() => {
                f.write_str("There is no checkpoint yet; the next sweep writes one")
            }
            None => f.write_str("There is no checkpoint"),
        }
    }
}

fn write_whole_line(f: &mut fmt::Formatter<'_>, line: fmt::Arguments<'_>) -> fmt::Result {
    visible::write_part(f, line)?;
    f.write_str("\n")
}
