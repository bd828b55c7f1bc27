//! `recording-vault hold`: what must not be deleted, and for which case.

use std::collections::BTreeSet;
use std::fmt;

use clap::{Args, Subcommand};
use recording_vault::compose;
use recording_vault::config::Config;
use recording_vault::operator_actions::Operator;
use recording_vault::operator_actions::hold::{
    DoubtfulHold, HoldRequest, Holding, ReleaseOutcome, Releasing,
};
use recording_vault::recording::{CallId, DocumentId, RecordingId};
use recording_vault::store::holds::{self, Added, CaseTag, Held, tags};
use serde::Serialize;

use super::existing;
use super::exit::Exit;
use super::output::Output;

/// The verbs of `hold`.
#[derive(Subcommand)]
pub enum Hold {
    /// Hold a recording, or all recordings of a call, for a case
    Add {
        /// The case
        #[arg(long = "case")]
        tag: CaseTag,
        /// Who wants the hold
        #[arg(long)]
        by: Option<String>,
        /// Why
        #[arg(long)]
        note: Option<String>,
        #[command(flatten)]
        subject: HoldSubject,
    },
    /// Release the hold of a case; holds of other cases remain
    Release {
        /// The case
        #[arg(long = "case")]
        tag: CaseTag,
        #[command(flatten)]
        subject: HoldSubject,
    },
    /// List holds and their cases
    List,
}

/// One recording, or one call.
#[derive(Args)]
#[group(required = true, multiple = false)]
pub struct HoldSubject {
    /// The recording's `recordingId`
    #[arg(long)]
    recording: Option<RecordingId>,
    /// The call's `callId` or `serverCallId`, as events give them
    #[arg(long)]
    call: Option<CallId>,
}

impl HoldSubject {
    fn held(self) -> anyhow::Result<Held> {
        let recording = self.recording.map(Held::RecordingId);
        let held = recording.or(self.call.map(Held::CallId));
        held.ok_or_else(|| anyhow::anyhow!("neither --recording nor --call is given"))
    }
}

impl Hold {
    /// # Errors
    /// When the ledger fails.
    pub async fn run(self, config: Config, output: Output) -> anyhow::Result<Exit> {
        let app = match &self {
            // What is recorded later may be held before.
            Self::Add { .. } => compose::app(config)?,
            Self::Release { .. } | Self::List => existing::open_to_audit(config).await?,
        };
        match self {
            Self::Add {
                tag,
                by,
                note,
                subject,
            } => {
                let held = subject.held()?;
                let request = HoldRequest {
                    held,
                    tag,
                    by,
                    note,
                };
                let holding = app.actions.hold(request, &Operator::Shell).await?;
                let is_complete = holding.is_complete();
                output.report(&HoldReport::from(holding))?;
                Ok(Exit::fine_if(is_complete))
            }
            Self::Release { tag, subject } => {
                let held = subject.held()?;
                let releasing = app.actions.release(held, tag, &Operator::Shell).await?;
                let report = ReleaseReport::from(releasing);
                output.report(&report)?;
                Ok(Exit::fine_if(report.was_held))
            }
            Self::List => {
                let holds = app.ledger.holds().all().await?;
                output.report(&HoldListing { holds })?;
                Ok(Exit::Fine)
            }
        }
    }
}

/// A hold that is in force.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct HoldReport {
    held: Held,
    case: CaseTag,
    /// `false`: the case held it already.
    is_new: bool,
    /// Chunks that are known and held; others will be held when they are announced.
    chunks: Vec<DocumentId>,
    /// Chunks whose copies were deleted before, or are being deleted now: they cannot be held any more.
    gone: Vec<DocumentId>,
    /// Chunks whose deletion at ACS began before the hold: whether ACS has them, and keeps them, is unknown.
    in_doubt: Vec<DoubtfulHold>,
    /// Accounts and entries that may belong to it, and are not readable.
    unreadable: Vec<String>,
    #[serde(skip)]
    problems: Vec<String>,
}

impl From<Holding> for HoldReport {
    fn from(holding: Holding) -> Self {
        let problems = holding.problems();
        let Holding {
            held,
            tag,
            added,
            chunks,
            gone,
            in_doubt,
            unreadable,
            cases: _,
        } = holding;
        Self {
            held,
            case: tag,
            is_new: added == Added::Added,
            chunks,
            gone,
            in_doubt,
            unreadable,
            problems,
        }
    }
}

impl fmt::Display for HoldReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { held, case, .. } = self;
        write!(f, "{held} is held for `{case}`")?;
        match (self.chunks.len(), self.problems.len()) {
            (0, 0) => f.write_str(
                "; no chunk of it is known yet, and the hold applies as soon as one is announced",
            )?,
            (1, _) => f.write_str("; 1 known chunk of it is held")?,
            (count, _) => write!(f, "; {count} known chunks of it are held")?,
        }
        self.problems
            .iter()
            .try_for_each(|problem| write!(f, "\n{problem}"))
    }
}

/// A case that does not hold something any more.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct ReleaseReport {
    held: Held,
    case: CaseTag,
    /// By this case, before this or an earlier release.
    was_held: bool,
    /// Cases that still hold it.
    still: Vec<CaseTag>,
}

impl From<Releasing> for ReleaseReport {
    fn from(releasing: Releasing) -> Self {
        let was_held = match releasing.outcome {
            // A release that is repeated because its response was lost gets the same response.
            ReleaseOutcome::Released | ReleaseOutcome::ReleasedBefore => true,
            ReleaseOutcome::NeverHeld => false,
        };
        let still: BTreeSet<CaseTag> = releasing.still.into_iter().map(|case| case.tag).collect();
        Self {
            held: releasing.held,
            case: releasing.tag,
            was_held,
            still: still.into_iter().collect(),
        }
    }
}

impl fmt::Display for ReleaseReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { held, case, .. } = self;
        if self.was_held {
            write!(f, "{held} is no longer held for `{case}`")?;
        } else {
            write!(f, "{held} was never held for `{case}`")?;
        }
        self.still
            .iter()
            .try_for_each(|tag| write!(f, "\nit is still held for `{tag}`"))
    }
}

/// Everything that is held.
#[derive(Debug, Serialize)]
struct HoldListing {
    holds: Vec<holds::Hold>,
}

impl fmt::Display for HoldListing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.holds.is_empty() {
            return f.write_str("Nothing is held.");
        }
        let lines = self.holds.iter().map(|hold| {
            let cases = hold.cases.iter().map(|case| {
                let by = case
                    .by
                    .as_ref()
                    .map(|by| format!(" by {by}"))
                    .unwrap_or_default();
                let note = case
                    .note
                    .as_ref()
                    .map(|note| format!(": {note}"))
                    .unwrap_or_default();
                let since = case.since.strftime("%Y-%m-%dT%H:%M:%SZ");
                format!(
                    "\n  {} since {since}{by}{note}",
                    tags(std::slice::from_ref(case))
                )
            });
            format!("{}{}", hold.held, cases.collect::<String>())
        });
        f.write_str(&lines.collect::<Vec<_>>().join("\n"))
    }
}
