//! Compares events that could not be read with the audit log: one that was kept is there until it is dismissed, and one that
//! is dismissed was dismissed by somebody.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use recording_vault::app::App;
use recording_vault::error_chain::ErrorChain;
use recording_vault::export::ledger::LedgerError;
use recording_vault::store::audit::{AuditAction, AuditRecord};

use super::findings::Comparison;

/// What happened within this time may be newer than the log as it was read, or still be repeated.
const RECENT: SignedDuration = SignedDuration::from_hours(1);

/// What the log says of events that could not be read, by their SHA-256.
#[derive(Debug, Default)]
pub struct LoggedEvents(BTreeMap<String, LoggedEvent>);

/// What became of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum LoggedEvent {
    Kept {
        at: Timestamp,
    },
    /// It was dismissed, erased with a person, or processed after all.
    Resolved,
}

impl LoggedEvents {
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "other actions say nothing of where the event is"
    )]
    pub fn add(&mut self, record: &AuditRecord) {
        let Some(sha256) = record.subject.strip_prefix("poison:") else {
            return;
        };
        match record.action {
            AuditAction::EventKept => {
                let event = self.0.entry(sha256.to_owned());
                event.or_insert(LoggedEvent::Kept { at: record.at });
            }
            AuditAction::Dismissed | AuditAction::EventErased | AuditAction::EventProcessed => {
                self.0.insert(sha256.to_owned(), LoggedEvent::Resolved);
            }
            _ => {}
        }
    }

    fn is_resolved(&self, sha256: &str) -> bool {
        self.0.get(sha256) == Some(&LoggedEvent::Resolved)
    }
}

/// One event that cannot be read is not checked, and the others are.
///
/// # Errors
/// When the events that were dismissed cannot be listed.
pub async fn compare(
    app: &App,
    logged: &LoggedEvents,
    comparison: &mut Comparison,
) -> Result<(), LedgerError> {
    let dismissed = app.ledger.dismissed().await?;
    compare_dismissed(app, logged, &dismissed, comparison).await;
    compare_kept(app, logged, &dismissed, comparison).await;
    Ok(())
}

async fn compare_dismissed(
    app: &App,
    logged: &LoggedEvents,
    dismissed: &[String],
    comparison: &mut Comparison,
) {
    for sha256 in dismissed
        .iter()
        .filter(|sha256| !logged.is_resolved(sha256))
    {
        let at = match app.ledger.dismissed_at(sha256).await {
            Ok(at) => at,
            Err(error) => {
                let reason = ErrorChain(&error);
                comparison.not_checked.push(format!(
                    "the event {sha256}, which the ledger has under `dismissed/`: {reason}"
                ));
                continue;
            }
        };
        let now = app.clock.now();
        let says = format!(
            "the ledger has the event {sha256} under `dismissed/`, and no record says that it was dismissed"
        );
        if at.is_some_and(|at| now.duration_since(at).abs() < RECENT) {
            comparison.not_checked.push(says);
        } else {
            comparison.unrecorded(says);
        }
    }
}

async fn compare_kept(
    app: &App,
    logged: &LoggedEvents,
    dismissed: &[String],
    comparison: &mut Comparison,
) {
    for (sha256, event) in &logged.0 {
        let LoggedEvent::Kept { at } = event else {
            continue;
        };
        if dismissed.contains(sha256) {
            continue;
        }
        match app.ledger.poison_or_note(sha256).await {
            Ok(Some(_)) => continue,
            Ok(None) => {}
            Err(error) => {
                let reason = ErrorChain(&error);
                comparison.not_checked.push(format!(
                    "the event {sha256}, which was kept at {at:.0}: {reason}"
                ));
                continue;
            }
        }
        let says = format!(
            "the event {sha256} could not be read and was kept at {at:.0}, and it is gone: no record says that it was dismissed or processed; find out who removed it, then `recording-vault dismiss poison:{sha256}`"
        );
        // A process may have ended before it kept it. Event Grid delivers it again.
        if app.clock.now().duration_since(*at).abs() < RECENT {
            comparison.not_checked.push(says);
        } else {
            comparison.problems.push(says);
        }
    }
}

#[cfg(test)]
mod tests {
    use recording_vault::store::audit::Actor;
    use serde_json::Value;

    use super::*;

    #[test]
    fn an_event_that_was_processed_after_all_is_not_missing() {
        let record = |action| AuditRecord {
            at: Timestamp::UNIX_EPOCH,
            actor: Actor::Handler,
            action,
            subject: "poison:ab".to_owned(),
            detail: Value::Null,
        };
        for last in [
            AuditAction::EventProcessed,
            AuditAction::Dismissed,
            AuditAction::EventErased,
        ] {
            let mut logged = LoggedEvents::default();
            logged.add(&record(AuditAction::EventKept));
            assert!(!logged.is_resolved("ab"));
            logged.add(&record(last));
            assert!(logged.is_resolved("ab"));
        }
    }
}
