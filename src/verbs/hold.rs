//! `recording-vault hold`: what must not be deleted, and for which case.

use std::fmt;

use serde::Serialize;

use crate::app::App;
use crate::export::ledger::LedgerError;
use crate::export::{ChunkState, LedgerEntry};
use crate::recording::DocumentId;
use crate::store::holds::{Added, Case, CaseTag, Held, Hold, Released, tags};

/// For which case something is to be held.
#[derive(Debug, Clone)]
pub struct HeldFor {
    pub tag: CaseTag,
    pub by: Option<String>,
    pub note: Option<String>,
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
pub async fn add(app: &App, held: Held, wanted: HeldFor) -> Result<HoldReport, LedgerError> {
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
pub async fn release(app: &App, held: Held, case: CaseTag) -> Result<ReleaseReport, LedgerError> {
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
    pub holds: Vec<Hold>,
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

/// Lists what is held.
///
/// # Errors
/// When the ledger fails.
pub async fn list(app: &App) -> Result<HoldListing, LedgerError> {
    Ok(HoldListing {
        holds: app.ledger.holds().all().await?,
    })
}
