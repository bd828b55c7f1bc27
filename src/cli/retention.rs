//! `recording-vault retention`: lists copies that are older than the policy, and deletes them from the vault.

use std::fmt;

use clap::Subcommand;
use jiff::Timestamp;
use recording_vault::app::App;
use recording_vault::catalogue::CatalogueError;
use recording_vault::config::Config;
use recording_vault::counted::counted;
use recording_vault::export::ledger::LedgerError;
use recording_vault::export::receipt::VerifiedFile;
use recording_vault::export::retention::{LaterCount, PastPolicy, Removal, Retention};
use recording_vault::export::{ChunkState, ExportReceipt, StateKind};
use recording_vault::recording::DocumentId;
use recording_vault::store::holds::{Case, tags};
use recording_vault::visible;
use serde::Serialize;

use super::deletion::{DeletionArgs, DeletionMode, MissingArgs, is_confirmed};
use super::existing;
use super::exit::Exit;
use super::output::{NoReport, Output, complain};
use super::shell_user;
use super::table::Table;
use super::unreadable;

const SECONDS_A_DAY: i64 = 24 * 60 * 60;

/// The verbs of `retention`.
#[derive(Subcommand)]
pub enum RetentionVerb {
    /// List copies in the vault that are older than `VAULT_RETENTION`, and their holds
    Plan,
    /// Delete these copies from the vault, except those that are held; may be repeated
    Apply {
        #[command(flatten)]
        deletion: DeletionArgs,
        #[command(flatten)]
        missing: MissingArgs,
    },
}

impl RetentionVerb {
    /// # Errors
    /// When the ledger fails.
    pub async fn run(self, config: Config, output: Output) -> anyhow::Result<Exit> {
        let without_limit = || {
            complain(
                "VAULT_RETENTION is not set, so copies are kept without a limit. To delete old copies, set it, such as to 8760h.\n",
            );
            Ok(Exit::InvalidSettings)
        };
        if config.retention.is_none() {
            return without_limit();
        }
        let app = existing::open(config).await?;
        let Some(retention) = &app.retention else {
            return without_limit();
        };
        match self {
            Self::Plan => {
                let report = plan(retention, app.clock.now()).await?;
                output.report(&report)?;
                Ok(unreadable::exit(Exit::Fine, &report.unreadable))
            }
            Self::Apply { deletion, missing } => {
                let mode = deletion.mode();
                if mode != DeletionMode::Delete {
                    let plan = plan(retention, app.clock.now()).await?;
                    if mode == DeletionMode::DryRun {
                        output.report(&plan)?;
                        return Ok(unreadable::exit(Exit::Fine, &plan.unreadable));
                    }
                    let about_to =
                        format!("{plan}\nThis is deleted permanently, except what is held.");
                    let is_empty = plan.copies.is_empty() && plan.with_people.is_empty();
                    if !is_empty && !is_confirmed(&about_to, "delete")? {
                        let none = "nothing was deleted";
                        return Ok(output.decline(NoReport::NotConfirmed, none)?);
                    }
                }
                let retention = retention.clone().with_missing(missing.handling());
                let report = apply(&app, &retention).await?;
                output.report(&report)?;
                let exit = Exit::fine_if(report.is_done());
                Ok(unreadable::exit(exit, &report.unreadable))
            }
        }
    }
}

/// What a retention policy would delete.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct RetentionPlan {
    pub copies: Vec<PlannedCopy>,
    /// Copies that are not past the policy because their given start is not believed.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub counted_later: Vec<LaterCount>,
    /// Chunks that were deleted before, whose recordings still have personal data.
    pub with_people: Vec<DocumentId>,
    /// Their entries are not readable: whether they are past the policy is unknown.
    pub unreadable: Vec<DocumentId>,
}

/// A copy that is past its policy.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PlannedCopy {
    pub document_id: DocumentId,
    pub state: StateKind,
    pub recording_id: Option<String>,
    pub call_id: Option<String>,
    pub past_at: Timestamp,
    pub age_days: i64,
    /// Media and metadata.
    pub size_bytes: u64,
    /// What holds it: it is not deleted then.
    pub cases: Vec<Case>,
    /// A deletion was begun, and is not finished.
    pub has_begun: bool,
}

impl fmt::Display for RetentionPlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let people = self.with_people.len();
        if people > 0 {
            let chunks = counted(people, "deleted chunk", "deleted chunks");
            visible::write_part(
                f,
                format_args!("Personal data in the recordings of {chunks} is to be deleted."),
            )?;
            f.write_str("\n")?;
        }
        if self.copies.is_empty() {
            if !self.unreadable.is_empty() {
                unreadable::write(f, &self.unreadable)?;
                return self.write_counted_later(f);
            }
            f.write_str("No copy in the vault is past its policy.")?;
            return self.write_counted_later(f);
        }
        let mut table = Table::new(&["chunk", "age", "bytes", "outcome"]);
        for copy in &self.copies {
            let what = match (copy.cases.is_empty(), copy.has_begun) {
                (true, false) => "is deleted".to_owned(),
                (true, true) => "is deleted; its deletion began earlier".to_owned(),
                (false, false) => format!("is held for {}", tags(&copy.cases)),
                (false, true) => format!(
                    "is held for {}, after its deletion was begun",
                    tags(&copy.cases)
                ),
            };
            let (id, age) = (copy.document_id.to_string(), format!("{} d", copy.age_days));
            table.row([id, age, copy.size_bytes.to_string(), what]);
            table.note(format!(
                "recording {}",
                copy.recording_id.as_deref().unwrap_or("unknown")
            ));
        }
        table.fmt(f)?;
        let held = self.copies.iter().filter(|copy| !copy.cases.is_empty());
        visible::write_line(
            f,
            format_args!(
                "{} past their policy, {} of them held",
                self.copies.len(),
                held.count()
            ),
        )?;
        if !self.unreadable.is_empty() {
            f.write_str("\n")?;
            unreadable::write(f, &self.unreadable)?;
        }
        self.write_counted_later(f)
    }
}

impl RetentionPlan {
    fn write_counted_later(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.counted_later.iter().try_for_each(|copy| {
            let LaterCount {
                document_id,
                started_at,
                counted_from,
                past_at,
            } = copy;
            visible::write_line(f, format_args!("chunk {document_id} is kept until {past_at}: its start {started_at} is not believed, because it is more than 7 days before the chunk was first known at {counted_from}"))
        })
    }
}

async fn plan(retention: &Retention, now: Timestamp) -> Result<RetentionPlan, LedgerError> {
    let past = retention.plan().await?;
    Ok(RetentionPlan {
        copies: past
            .copies
            .into_iter()
            .map(|copy| planned(copy, now))
            .collect(),
        counted_later: past.counted_later,
        with_people: past.with_people,
        unreadable: past.unreadable,
    })
}

fn planned(
    PastPolicy {
        entry,
        counted_from,
        past_at,
        cases,
    }: PastPolicy,
    now: Timestamp,
) -> PlannedCopy {
    let removable = entry.state.removable();
    let receipt = removable
        .as_ref()
        .and_then(|before| before.receipt.as_ref());
    let files = receipt.into_iter().flat_map(ExportReceipt::files);
    PlannedCopy {
        state: entry.state.kind(),
        recording_id: entry.chunk.recording_id.as_ref().map(ToString::to_string),
        call_id: entry.chunk.call_id.as_ref().map(ToString::to_string),
        past_at,
        age_days: now.duration_since(counted_from).as_secs() / SECONDS_A_DAY,
        size_bytes: files.map(VerifiedFile::size_bytes).sum(),
        cases,
        has_begun: matches!(entry.state, ChunkState::Removing { .. }),
        document_id: entry.chunk.document_id,
    }
}

/// What was deleted, and what was not.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ApplyReport {
    pub removed: Vec<DocumentId>,
    pub held: Vec<HeldCopy>,
    pub failed: Vec<FailedRemoval>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub not_begun: Vec<NotBegunRemoval>,
    /// Chunks whose recordings no longer have personal data.
    pub people_dropped: Vec<DocumentId>,
    /// Chunks whose recordings still have personal data.
    pub people_left: Vec<PeopleLeft>,
    /// Their entries are not readable: whether they are past the policy is unknown.
    pub unreadable: Vec<DocumentId>,
}

/// A deleted copy whose recording still has personal data.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PeopleLeft {
    pub document_id: DocumentId,
    pub reason: String,
}

/// A copy that is past its policy, and held.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct HeldCopy {
    pub document_id: DocumentId,
    pub cases: Vec<Case>,
    /// It is in the vault as it was; otherwise a removal that began before the hold may have deleted parts of it.
    pub is_whole: bool,
}

/// A copy that could not be deleted.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct FailedRemoval {
    pub document_id: DocumentId,
    pub reason: String,
    /// It is in the vault as it was; otherwise parts of it may be deleted, and the next `retention apply` continues.
    pub is_whole: bool,
}

/// A copy that nothing was done to: the vault lacks a proved file of it, or could not be asked.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct NotBegunRemoval {
    pub document_id: DocumentId,
    pub reason: String,
}

impl ApplyReport {
    /// Whether nothing was left half done. A copy that is held as a whole is as it should be.
    fn is_done(&self) -> bool {
        self.failed.is_empty()
            && self.not_begun.is_empty()
            && self.people_left.is_empty()
            && self.held.iter().all(|copy| copy.is_whole)
    }
}

impl ApplyReport {
    fn write_people(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.people_dropped.is_empty() {
            let chunks = counted(self.people_dropped.len(), "deleted chunk", "deleted chunks");
            visible::write_line(
                f,
                format_args!("Personal data in the recordings of {chunks} was deleted."),
            )?;
        }
        self.people_left.iter().try_for_each(|left| {
            visible::write_line(
                f,
                format_args!(
                    "Personal data in the recording of {} was not deleted: {}",
                    left.document_id, left.reason
                ),
            )
        })
    }
}

impl fmt::Display for ApplyReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            removed,
            held,
            failed,
            not_begun,
            unreadable,
            people_dropped: _,
            people_left: _,
        } = self;
        visible::write_part(
            f,
            format_args!(
                "{} deleted from the vault, {} held, {} not deleted",
                removed.len(),
                held.len(),
                failed.len() + not_begun.len()
            ),
        )?;
        removed.iter().try_for_each(|id| {
            visible::write_line(f, format_args!("{id} is deleted from the vault"))
        })?;
        held.iter().try_for_each(|copy| {
            visible::write_line(
                f,
                format_args!(
                    "{} is held for {}{}",
                    copy.document_id,
                    tags(&copy.cases),
                    if copy.is_whole {
                        ""
                    } else {
                        ", but may be deleted in part"
                    }
                ),
            )
        })?;
        failed.iter().try_for_each(|copy| {
            let what = if copy.is_whole {
                "stays in the vault"
            } else {
                "may be deleted in part; apply again"
            };
            visible::write_line(
                f,
                format_args!("{} {what}: {}", copy.document_id, copy.reason),
            )
        })?;
        not_begun.iter().try_for_each(|copy| {
            visible::write_line(
                f,
                format_args!("{} is not deleted: {}", copy.document_id, copy.reason),
            )
        })?;
        self.write_people(f)?;
        if unreadable.is_empty() {
            return Ok(());
        }
        f.write_str("\n")?;
        unreadable::write(f, unreadable)
    }
}

/// Deletes what is past its policy and not held.
async fn apply(app: &App, retention: &Retention) -> Result<ApplyReport, CatalogueError> {
    let mut report = ApplyReport::default();
    let operator = shell_user::operator();
    let applying = app.actions.apply_retention(retention, &operator);
    let outcome = applying.await?;
    report.people_dropped = outcome.people_dropped;
    let left = outcome.people_left.into_iter();
    report.people_left = left
        .map(|(document_id, reason)| PeopleLeft {
            document_id,
            reason,
        })
        .collect();
    let applied = outcome.applied;
    report.unreadable = applied.unreadable;
    for (document_id, removal) in applied.removals {
        match removal {
            Removal::Removed | Removal::FinishedByAnother => report.removed.push(document_id),
            Removal::Held { cases, is_whole } => report.held.push(HeldCopy {
                document_id,
                cases,
                is_whole,
            }),
            Removal::NotDue => {}
            Removal::Busy => {
                let reason = "another process works on it".to_owned();
                report.failed.push(FailedRemoval {
                    document_id,
                    reason,
                    is_whole: false,
                });
            }
            Removal::NotBegun { reason } => report.not_begun.push(NotBegunRemoval {
                document_id,
                reason,
            }),
            Removal::Failed { reason, is_whole } => report.failed.push(FailedRemoval {
                document_id,
                reason,
                is_whole,
            }),
        }
    }
    Ok(report)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn held(is_whole: bool) -> ApplyReport {
        let copy = HeldCopy {
            document_id: "0-eus-d1-a".parse().unwrap(),
            cases: Vec::new(),
            is_whole,
        };
        ApplyReport {
            held: vec![copy],
            ..ApplyReport::default()
        }
    }

    #[test]
    fn a_held_copy_that_may_be_deleted_in_part_is_not_done() {
        assert!(ApplyReport::default().is_done() && held(true).is_done());
        assert!(!held(false).is_done());
    }
}
