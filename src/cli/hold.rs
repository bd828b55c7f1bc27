//! `recording-vault hold`: what must not be deleted, and for which case.

use std::fmt;

use clap::{Args, Subcommand};
use recording_vault::app::App;
use recording_vault::compose;
use recording_vault::config::Config;
use recording_vault::export::ledger::LedgerError;
use recording_vault::export::{ChunkState, LedgerEntry};
use recording_vault::recording::{CallId, DocumentId, RecordingId};
use recording_vault::store::holds::{self, Added, Case, CaseTag, Held, Released, tags};
use serde::Serialize;

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

/// For which case something is to be held.
struct HeldFor {
    tag: CaseTag,
    by: Option<String>,
    note: Option<String>,
}

impl Hold {
    /// # Errors
    /// When the ledger fails.
    pub async fn run(self, config: Config, output: Output) -> anyhow::Result<Exit> {
        let app = compose::app(config)?;
        match self {
            Self::Add {
                tag,
                by,
                note,
                subject,
            } => {
                let report = add(&app, subject.held()?, HeldFor { tag, by, note }).await?;
                output.report(&report)?;
                // What is gone cannot be held: somebody has to know.
                Ok(Exit::fine_if(report.gone.is_empty()))
            }
            Self::Release { tag, subject } => {
                let report = release(&app, subject.held()?, tag).await?;
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

/// What a hold found.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct HoldReport {
    pub held: Held,
    pub case: CaseTag,
    /// `false`: the case held it already.
    pub is_new: bool,
    /// Chunks that are known and held by it; others will be when their events come.
    pub chunks: Vec<DocumentId>,
    /// Chunks whose copies were deleted before, or at this moment: they cannot be held any more.
    pub gone: Vec<DocumentId>,
}

impl fmt::Display for HoldReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { held, case, .. } = self;
        let since = if self.is_new {
            "from now on"
        } else {
            "as before"
        };
        write!(
            f,
            "{held} is held for `{case}`, {since}; it has {} chunks that are known",
            self.chunks.len()
        )?;
        self.gone.iter().try_for_each(|id| {
            write!(
                f,
                "\n{id} is of it, and was, or is being, deleted from the vault by policy"
            )
        })
    }
}

/// Holds something. Everything that an operator's `hold add` does is done here.
///
/// # Errors
/// When the ledger fails. The hold may be there then; repeating is harmless.
async fn add(app: &App, held: Held, wanted: HeldFor) -> Result<HoldReport, LedgerError> {
    let ledger = &app.ledger;
    let HeldFor { tag, by, note } = wanted;
    let case = Case {
        tag,
        by,
        note,
        since: app.clock.now(),
    };
    ledger
        .audit_operator(
            "held",
            &held.to_string(),
            serde_json::json!({"case": case.tag, "by": case.by}),
        )
        .await?;
    let added = ledger.holds().add(&held, &case).await?;
    // Only now: a removal that did not find the hold is found here.
    let covered = ledger.entries(|entry| held.covers(&entry.chunk)).await?;
    let (gone, there): (Vec<_>, Vec<_>) = covered.into_iter().partition(|entry| {
        matches!(
            entry.state,
            ChunkState::Removing { .. } | ChunkState::Removed { .. }
        )
    });
    let ids = |entries: Vec<LedgerEntry>| {
        entries
            .into_iter()
            .map(|entry| entry.chunk.document_id)
            .collect()
    };
    Ok(HoldReport {
        held,
        case: case.tag,
        is_new: added == Added::Added,
        chunks: ids(there),
        gone: ids(gone),
    })
}

/// What a release found.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ReleaseReport {
    pub held: Held,
    pub case: CaseTag,
    pub was_held: bool,
    /// Cases that go on holding it.
    pub still: Vec<CaseTag>,
}

impl fmt::Display for ReleaseReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { held, case, .. } = self;
        if !self.was_held {
            return write!(f, "{held} is not held for `{case}`");
        }
        write!(f, "{held} is no longer held for `{case}`")?;
        self.still
            .iter()
            .try_for_each(|tag| write!(f, "\nit is still held for `{tag}`"))
    }
}

/// Releases one case. Everything that an operator's `hold release` does is done here.
///
/// # Errors
/// When the ledger fails.
async fn release(app: &App, held: Held, case: CaseTag) -> Result<ReleaseReport, LedgerError> {
    app.ledger
        .audit_operator(
            "released",
            &held.to_string(),
            serde_json::json!({"case": case}),
        )
        .await?;
    let (was_held, still) = match app.ledger.holds().release(&held, &case).await? {
        Released::Released { still } => (true, still),
        Released::NotHeld => (false, Vec::new()),
    };
    Ok(ReleaseReport {
        held,
        case,
        was_held,
        still,
    })
}

/// Everything that is held.
#[derive(Debug, Serialize)]
pub struct HoldListing {
    pub holds: Vec<holds::Hold>,
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
