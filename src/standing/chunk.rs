//! The standing of one chunk, from its entry and the time. Pure.

use jiff::{SignedDuration, Timestamp};

use super::{Assessment, OperatorStep, Standing};
use crate::export::entry::LedgerEntry;
use crate::export::receipt::{ExportReceipt, VaultName};
use crate::export::state::ChunkState;

/// A copy that could not be moved home this often needs a person: after a short outage the sweep moves it.
const MOVES_TRIED: u32 = 3;

/// Attempts that fail in a row, and the time since the first of them, after which the chunk needs attention: a failure of a
/// moment ends before.
const FAILED_IN_A_ROW: u32 = 3;
const FAILS_FOR: SignedDuration = SignedDuration::from_mins(10);

/// Returns the standing of a chunk at a time.
pub fn of_chunk(entry: &LedgerEntry, now: Timestamp) -> Assessment {
    match &entry.state {
        ChunkState::Pending if entry.is_unfinished_import() => unfinished_import(entry, now),
        ChunkState::Pending => pending(entry, now),
        ChunkState::Exported { receipt }
        | ChunkState::SourceDeleted { receipt, .. }
        | ChunkState::SourceLeft { receipt, .. } => copied(entry, receipt, now),
        ChunkState::Removing { began_at, .. } => removing(entry, *began_at, now),
        ChunkState::Removed { .. } => Assessment::plain(Standing::Removed),
        ChunkState::InPlace { .. } => in_place(entry, now),
        ChunkState::Expired { reason, .. } => ended(entry, lost(reason), now),
        ChunkState::DeadLettered { reason, .. } if entry.is_doomed(now) => {
            let reason = format!("it was given up ({reason}), and ACS has dropped it since");
            ended(entry, lost(&reason), now)
        }
        ChunkState::DeadLettered { reason, .. } => ended(entry, failed(entry, reason), now),
    }
}

/// Classifies a file that ended without a copy, beside others that may still be copied.
fn ended(entry: &LedgerEntry, part: Assessment, now: Timestamp) -> Assessment {
    let parts = [Some(acknowledged_or(entry, part)), pending_file(entry, now)];
    Assessment::of_parts(parts.into_iter().flatten().collect())
}

/// Classifies another file of the document that is still to be copied.
fn pending_file(entry: &LedgerEntry, now: Timestamp) -> Option<Assessment> {
    let files = entry.further.iter().filter(|file| file.is_pending());
    let failed = files
        .map(|file| file.attempts.saturating_add(file.unproved))
        .max()?;
    let part = not_in_vault(entry, "has another file, which ", failed, now);
    Some(match entry.deadline() {
        Some(deadline) => part.until(deadline),
        None => part,
    })
}

fn pending(entry: &LedgerEntry, now: Timestamp) -> Assessment {
    if entry.is_external() {
        let reason = "waits for its check in your own storage";
        return Assessment::because(Standing::Waiting, reason, OperatorStep::Nothing);
    }
    let failed = entry.attempts.saturating_add(entry.vault_failures);
    not_in_vault(entry, "", failed, now).until(entry.deadline().unwrap_or(entry.expires_at))
}

/// Classifies a deletion from the vault. One that no process works on was interrupted, or a hold stopped it: how much of
/// the copy is left is unknown.
fn removing(entry: &LedgerEntry, began_at: Timestamp, now: Timestamp) -> Assessment {
    if entry.is_claimed(now) {
        let reason = "is being deleted from the vault";
        return Assessment::because(Standing::Removed, reason, OperatorStep::Nothing);
    }
    let reason = format!(
        "may be in the vault in part: its deletion was begun at {began_at:.0}, and is not finished"
    );
    let part = Assessment::because(Standing::Unknown, reason, OperatorStep::FinishDeletion);
    acknowledged_or(entry, part)
}

/// Classifies a file that is still to be copied. `which`: of several files, with a space after it. `failed`: attempts that
/// failed in a row.
fn not_in_vault(entry: &LedgerEntry, which: &str, failed: u32, now: Timestamp) -> Assessment {
    let fails_since = fails_since(entry, failed, now);
    if entry.is_at_risk(now) || entry.obstacle.is_some() || fails_since.is_some() {
        let failure = entry.failures.last();
        let last = failure.map(|failure| format!("; the last failure: {}", failure.reason));
        let because = match (entry.obstacle, fails_since) {
            (Some(obstacle), _) => format!(": {obstacle}"),
            (None, Some(since)) => {
                format!(": {failed} attempts in a row have failed since {since:.0}")
            }
            (None, None) => String::new(),
        };
        let is_over = if !entry.is_at_risk(now) {
            "is not in the vault yet"
        } else if entry.deadline().is_none_or(|deadline| now < deadline) {
            "is not in the vault yet, and much of its time at ACS has passed"
        } else {
            "is not in the vault, and its time at ACS has expired"
        };
        let last = last.unwrap_or_default();
        let reason = format!("{which}{is_over}{because}{last}");
        return Assessment::because(Standing::AtRisk, reason, OperatorStep::CheckExport);
    }
    let standing = if entry.is_claimed(now) {
        Standing::Exporting
    } else {
        Standing::Waiting
    };
    let reason = format!("{which}is not in the vault yet");
    Assessment::because(standing, reason, OperatorStep::Nothing)
}

/// When the first of so many attempts in a row failed, if that is long ago. Of more failures than are kept, the oldest kept
/// one counts.
fn fails_since(entry: &LedgerEntry, failed: u32, now: Timestamp) -> Option<Timestamp> {
    if failed < FAILED_IN_A_ROW {
        return None;
    }
    let failures = &entry.failures;
    let in_a_row = usize::try_from(failed).unwrap_or(usize::MAX);
    let first = failures.get(failures.len().saturating_sub(in_a_row))?;
    (now.duration_since(first.at) >= FAILS_FOR).then_some(first.at)
}

/// Classifies another form of the file that is still to be copied, beside a copy.
fn pending_form(entry: &LedgerEntry, now: Timestamp) -> Option<Assessment> {
    let failed = entry
        .pending_forms()
        .map(|form| form.attempts.saturating_add(form.unproved))
        .max()?;
    let part = not_in_vault(entry, "has another form, which ", failed, now);
    Some(part.until(entry.deadline()?))
}

/// Classifies a chunk that only an import recorded. Whether ACS ever had its file is unknown, so it is no loss.
fn unfinished_import(entry: &LedgerEntry, now: Timestamp) -> Assessment {
    if entry.is_claimed(now) {
        let reason = "is being imported by hand";
        return Assessment::because(Standing::Exporting, reason, OperatorStep::Nothing);
    }
    let reason = "has no copy: an import was begun and not finished";
    let part = Assessment::because(Standing::Failed, reason, OperatorStep::ImportAgain);
    acknowledged_or(entry, part)
}

/// Classifies metadata that is still to be copied, beside a copy of the media.
fn pending_metadata(entry: &LedgerEntry, now: Timestamp) -> Option<Assessment> {
    if !entry.awaits_metadata() {
        return None;
    }
    let failed = entry.attempts.saturating_add(entry.vault_failures);
    let part = not_in_vault(entry, "has metadata that ", failed, now);
    Some(part.until(entry.expires_at))
}

/// Classifies a proved copy: which vault has it, and is it what it should be?
fn copied(entry: &LedgerEntry, receipt: &ExportReceipt, now: Timestamp) -> Assessment {
    let place = match receipt.vault() {
        VaultName::Home => match import_note(receipt) {
            None => Assessment::plain(Standing::Verified),
            Some(note) => Assessment::because(Standing::Verified, note, OperatorStep::Nothing),
        },
        VaultName::Backup => in_backup_only(entry, now),
    };
    let parts = [
        Some(place),
        pending_metadata(entry, now),
        pending_form(entry, now),
        cut_short(entry, now),
        doubtful(entry),
        damaged(entry),
        disputed(entry),
    ];
    Assessment::of_parts(parts.into_iter().flatten().collect())
}

/// Says that a copy was imported by hand: a note on it, and no defect.
pub(super) fn import_note(receipt: &ExportReceipt) -> Option<String> {
    let import = receipt.imported()?;
    Some(format!("was imported by hand from {}", import.from))
}

/// Classifies a copy that an operator must accept.
fn doubtful(entry: &LedgerEntry) -> Option<Assessment> {
    let reason = format!("is doubtful: {}", entry.open_anomaly()?);
    let part = Assessment::because(Standing::Doubtful, reason, OperatorStep::Accept);
    Some(if matches!(entry.state, ChunkState::Exported { .. }) {
        part.until(entry.expires_at)
    } else {
        part
    })
}

/// Classifies a copy that a verification found to be damaged.
fn damaged(entry: &LedgerEntry) -> Option<Assessment> {
    let damage = entry.open_damage()?;
    let (at, problem) = (damage.found_at, &damage.problem);
    let reason = format!("has a damaged copy, by the verification at {at:.0}: {problem}");
    Some(Assessment::because(
        Standing::Doubtful,
        reason,
        OperatorStep::RestoreCopy,
    ))
}

/// Classifies a copy that the sweep moves home, unless a person has to act first.
fn in_backup_only(entry: &LedgerEntry, now: Timestamp) -> Assessment {
    if let Some(obstacle) = entry.obstacle {
        let reason = format!(
            "has its only copy in the backup vault, and the sweep cannot move it home: {obstacle}"
        );
        return Assessment::because(Standing::AtRisk, reason, OperatorStep::CheckExport);
    }
    // No other copy is left, and the one that is could not be moved.
    if entry.is_doomed(now) && entry.vault_failures >= MOVES_TRIED {
        let last = entry.failures.last();
        let last = last.map(|failure| format!(": {}", failure.reason));
        let reason = format!(
            "has its only copy in the backup vault, ACS has dropped its source, and the sweep could not move the copy home{}",
            last.unwrap_or_default()
        );
        return Assessment::because(Standing::AtRisk, reason, OperatorStep::CheckExport);
    }
    let reason = "has its only copy in the backup vault; the sweep moves it home";
    Assessment::because(Standing::BackupOnly, reason, OperatorStep::Nothing)
}

/// Classifies a file in the customer's own storage: is it whole, and the only one that events announce?
fn in_place(entry: &LedgerEntry, now: Timestamp) -> Assessment {
    let parts = [
        Some(Assessment::plain(Standing::InPlace)),
        pending_form(entry, now),
        cut_short(entry, now),
        doubtful(entry),
        disputed(entry),
    ];
    Assessment::of_parts(parts.into_iter().flatten().collect())
}

/// Classifies a file that may be incomplete.
fn cut_short(entry: &LedgerEntry, now: Timestamp) -> Option<Assessment> {
    let why = entry.cut_short()?;
    let next_step = if entry.is_worth_a_retry(now) {
        OperatorStep::Retry
    } else {
        OperatorStep::Acknowledge
    };
    let reason = format!("is not whole: {why}");
    let part = Assessment::because(Standing::Incomplete, reason, next_step);
    Some(acknowledged_or(entry, part))
}

/// Handles several places for one document: an operator decides which file is right.
fn disputed(entry: &LedgerEntry) -> Option<Assessment> {
    let places = entry.disputed_places()?;
    let reason = format!("has {places} places by its events; `accept --place` says which is right");
    Some(Assessment::because(
        Standing::Doubtful,
        reason,
        OperatorStep::Accept,
    ))
}

fn failed(entry: &LedgerEntry, reason: &str) -> Assessment {
    let reason = format!("was given up: {reason}");
    let part = Assessment::because(Standing::Failed, reason, OperatorStep::Retry);
    if entry.is_external() {
        return part;
    }
    part.until(entry.expires_at)
}

fn lost(reason: &str) -> Assessment {
    let reason = format!("is lost: {reason}");
    Assessment::because(Standing::Lost, reason, OperatorStep::Acknowledge)
}

/// Applies an acknowledgement: the standing keeps its reason, and no longer asks for anything.
fn acknowledged_or(entry: &LedgerEntry, part: Assessment) -> Assessment {
    let Some(acknowledgement) = &entry.acknowledged else {
        return part;
    };
    let why = &acknowledgement.reason;
    let reasons = part.reasons.into_iter();
    Assessment {
        standing: Standing::Acknowledged,
        reasons: reasons
            .map(|reason| format!("{reason} (acknowledged: {why})"))
            .collect(),
        deadline: None,
        next_step: OperatorStep::Nothing,
    }
}

#[cfg(test)]
pub(super) mod tests;
