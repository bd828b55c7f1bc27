//! `recording-vault audit verify`: checks the chains, compares entries and receipts with them, and says up to when the result
//! holds.

use std::fmt;

use jiff::Timestamp;
use recording_vault::app::App;
use recording_vault::store::audit::{AuditReport, CheckpointRef};
use serde::Serialize;
use timestamp_token::TrustAnchors;

use super::comparison::compare;
use super::findings::{Anchor, Comparison};
use super::logged::Logged;
use super::stamps::{self, StampedCheckpoint, StampsReport};
use crate::cli::exit::Exit;
use crate::cli::output::{Output, complain};

/// What the check found.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct VerifyReport {
    #[serde(flatten)]
    log: AuditReport,
    entries: u64,
    receipts: u64,
    /// The newest checkpoint that is named outside of the log, and still there. Up to it, nothing was rewritten.
    anchor: Option<FoundAnchor>,
    /// When checkpoints existed, according to time-stamping authorities.
    stamps: StampsReport,
    /// What could not be checked, and why.
    not_checked: Vec<String>,
}

/// A checkpoint that is named outside of the log.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct FoundAnchor {
    checkpoint: CheckpointRef,
    /// When it was written.
    at: Option<Timestamp>,
    named_by: String,
}

/// # Errors
/// When the ledger fails.
pub async fn run(
    app: &App,
    noted: Option<CheckpointRef>,
    trusted: Option<&TrustAnchors>,
    output: Output,
) -> anyhow::Result<Exit> {
    let report = verify(app, noted, trusted).await?;
    let is_empty = report.entries == 0 && report.receipts == 0 && report.log.is_empty();
    if is_empty && report.not_checked.is_empty() {
        complain("there is no audit log here, and the ledger has nothing that one would cover\n");
        return Ok(Exit::NotDone);
    }
    output.report(&report)?;
    Ok(if !report.log.problems.is_empty() {
        Exit::NeedsAttention
    } else if report.not_checked.is_empty() {
        Exit::Fine
    } else {
        Exit::NotDone
    })
}

async fn verify(
    app: &App,
    noted: Option<CheckpointRef>,
    trusted: Option<&TrustAnchors>,
) -> anyhow::Result<VerifyReport> {
    let mut logged = Logged::default();
    let mut log = app
        .ledger
        .audit()
        .verify_each(|position, record| logged.add(position, &record))
        .await?;
    let is_empty = log.is_empty();
    let Comparison {
        entries,
        receipts,
        problems,
        not_checked,
        anchors,
        ..
    } = compare(app, logged).await?;
    if is_empty && (entries > 0 || receipts > 0) {
        log.problems.push(format!(
            "there is no audit log beside {entries} entries and {receipts} receipts"
        ));
    }
    log.problems.extend(problems);
    let mut stamps = stamps::check(app, trusted).await?;
    log.problems.append(&mut stamps.problems);
    let noted = noted.map(|checkpoint| Anchor {
        checkpoint,
        named_by: "--noted".to_owned(),
    });
    let of_sweep = app.ledger.last_sweep().await?;
    let of_sweep = of_sweep.and_then(|sweep| sweep.audit_checkpoint);
    let of_sweep = of_sweep.map(|checkpoint| Anchor {
        checkpoint,
        named_by: "the last sweep".to_owned(),
    });
    let mut anchor: Option<FoundAnchor> = None;
    for named in anchors.into_values().chain(noted) {
        match check_anchor(app, named).await? {
            AnchorCheck::Holds(found) => {
                let number = |found: &FoundAnchor| found.checkpoint.number;
                if anchor.as_ref().map(number) <= Some(number(&found)) {
                    anchor = Some(found);
                }
            }
            AnchorCheck::Broken { problem } => log.problems.push(problem),
        }
    }
    // It is stored in the ledger itself: it must be right, but proves nothing.
    if let Some(named) = of_sweep
        && let AnchorCheck::Broken { problem } = check_anchor(app, named).await?
    {
        log.problems.push(problem);
    }
    Ok(VerifyReport {
        log,
        entries,
        receipts,
        anchor,
        stamps,
        not_checked,
    })
}

/// The check of a checkpoint that is named elsewhere.
enum AnchorCheck {
    Holds(FoundAnchor),
    /// It is missing, or another one has its number.
    Broken {
        problem: String,
    },
}

async fn check_anchor(app: &App, named: Anchor) -> anyhow::Result<AnchorCheck> {
    let Anchor {
        checkpoint,
        named_by,
    } = named;
    let found = app
        .ledger
        .audit()
        .find_checkpoint(checkpoint.number)
        .await?;
    Ok(match found {
        Some((there, at)) if there == checkpoint => AnchorCheck::Holds(FoundAnchor {
            checkpoint,
            at,
            named_by,
        }),
        Some(_) | None => AnchorCheck::Broken {
            problem: format!(
                "checkpoint {} is not the one that {named_by} names",
                checkpoint.number
            ),
        },
    })
}

impl fmt::Display for VerifyReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let log = &self.log;
        for problem in &log.problems {
            writeln!(f, "PROBLEM: {problem}")?;
        }
        for reason in &self.not_checked {
            writeln!(f, "NOT CHECKED: {reason}")?;
        }
        let verdict = match (log.problems.is_empty(), self.not_checked.is_empty()) {
            (true, true) => "The audit log is whole, and entries and receipts agree with it.",
            (true, false) => "The audit log is whole as far as it could be checked.",
            (false, _) => "The audit log is NOT whole, or something does not agree with it.",
        };
        writeln!(f, "{verdict}")?;
        writeln!(
            f,
            "Records: {}, in {} documents of {} logs. Entries: {}. Receipts: {}.",
            log.records, log.documents, log.logs, self.entries, self.receipts
        )?;
        match &self.anchor {
            Some(anchor) => writeln!(
                f,
                "Compared with {}, which names checkpoint {}{}. Not checked for a rewrite: what was logged later.",
                anchor.named_by,
                anchor.checkpoint.number,
                anchor.at.map(|at| format!(" of {at}")).unwrap_or_default()
            )?,
            None => writeln!(
                f,
                "Not checked for a rewrite of the whole log: no receipt and no `--noted` names a checkpoint."
            )?,
        }
        if let Some(StampedCheckpoint { checkpoint, at }) = self.stamps.newest {
            writeln!(
                f,
                "A trusted authority says that checkpoint {} existed at {at}.",
                checkpoint.number
            )?;
        }
        if self.stamps.not_checked > 0 {
            writeln!(
                f,
                "Not checked: {} timestamps, because neither TIMESTAMP_CA nor --timestamp-ca is set.",
                self.stamps.not_checked
            )?;
        }
        if log.records_after_newest > 0 {
            writeln!(
                f,
                "Not checked for a cut: {} records after the newest checkpoint.",
                log.records_after_newest
            )?;
        }
        match log.newest {
            Some(newest) => write!(
                f,
                "The newest checkpoint is {newest} (note it elsewhere; `--noted` compares)"
            ),
            None => write!(f, "There is no checkpoint yet; the next sweep writes one"),
        }
    }
}
