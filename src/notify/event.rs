//! Builds the CloudEvent of a notice when it is sent, from the current state: only true facts are sent.

use std::error::Error;

use jiff::Timestamp;
use serde::Serialize;
use serde_json::{Value, json};

use crate::control::day_summary::DaySummary;
use crate::control::register::RecordingRegister;
use crate::export::entry::{LedgerEntry, Risk};
use crate::export::{ChunkLedger, ChunkState};
use crate::recording::{DocumentId, RecordingId};
use crate::store::outbox::Notice;

/// <https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/formats/json-format.md>
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct CloudEvent {
    specversion: &'static str,
    pub id: String,
    source: String,
    #[serde(rename = "type")]
    pub kind: &'static str,
    subject: String,
    time: Timestamp,
    datacontenttype: &'static str,
    data: Value,
}

/// Whether what a notice reports is a fact.
pub(super) enum NoticeCheck {
    Current {
        kind: &'static str,
        subject: String,
        data: Value,
    },
    Pending,
    /// It is not true: its fact has changed, its subject is gone, or its fact is still being written.
    Obsolete,
}

impl CloudEvent {
    pub(super) fn new(
        id: &str,
        source: &str,
        (kind, subject): (&'static str, String),
        time: Timestamp,
        data: Value,
    ) -> Self {
        Self {
            specversion: "1.0",
            id: id.to_owned(),
            source: source.to_owned(),
            kind,
            subject,
            time,
            datacontenttype: "application/json",
            data,
        }
    }
}

type Failure = Box<dyn Error + Send + Sync>;

/// Looks up the fact of a notice.
pub(super) async fn check(
    ledger: &ChunkLedger,
    register: &RecordingRegister,
    notice: &Notice,
) -> Result<NoticeCheck, Failure> {
    match notice {
        Notice::Exported { document_id, .. }
        | Notice::Doubtful { document_id, .. }
        | Notice::AtRisk { document_id, .. }
        | Notice::Lost { document_id, .. } => {
            let Some(found) = ledger.find(document_id).await? else {
                return Ok(NoticeCheck::Pending);
            };
            Ok(of_chunk(notice, document_id, &found.entry))
        }
        Notice::Missing { recording_id } => missing(register, recording_id).await,
        Notice::DayCompleted { day, replaced } => {
            let day = day.to_string();
            let summary = register.day_summary(&day).await?;
            // Until then the numbers are still those of the replaced report.
            let summary = summary.filter(|summary| Some(summary.made_at) > *replaced);
            Ok(summary.map_or(NoticeCheck::Pending, |summary| completed(&day, &summary)))
        }
    }
}

/// Whether so much of the time of the files that are now to be copied has passed, and not of earlier ones.
fn is_at_risk(entry: &LedgerEntry, period: u32, percent: u32) -> bool {
    let reported = entry.reported_risk.map(Risk::percent);
    entry.risk_period == period && reported.is_some_and(|reported| reported >= percent)
}

fn of_chunk(notice: &Notice, document_id: &DocumentId, entry: &LedgerEntry) -> NoticeCheck {
    let receipt = entry.state.receipt();
    let in_place = matches!(entry.state, ChunkState::InPlace { .. });
    let is_pending = matches!(entry.state, ChunkState::Pending);
    let otherwise = if is_pending {
        NoticeCheck::Pending
    } else {
        NoticeCheck::Obsolete
    };
    let mut data = chunk_data(entry);
    let kind = match notice {
        Notice::Exported { .. } if receipt.is_some() || in_place => {
            "com.recording-vault.recording.exported"
        }
        Notice::Doubtful { .. } => match entry.doubts_of_files().next() {
            Some(doubt) => {
                data["reason"] = doubt.into();
                "com.recording-vault.recording.doubtful"
            }
            None => return otherwise,
        },
        Notice::AtRisk {
            percent_elapsed,
            period,
            ..
        } => match entry.deadline() {
            Some(expires_at) if is_at_risk(entry, *period, *percent_elapsed) => {
                data["percentElapsed"] = (*percent_elapsed).into();
                data["expiresAt"] = expires_at.to_string().into();
                "com.recording-vault.recording.atRisk"
            }
            Some(_) | None => return otherwise,
        },
        Notice::Lost { .. } => match &entry.state {
            ChunkState::Expired { reason, .. } => {
                data["reason"] = reason.clone().into();
                "com.recording-vault.recording.lost"
            }
            ChunkState::Pending
            | ChunkState::Exported { .. }
            | ChunkState::SourceDeleted { .. }
            | ChunkState::SourceLeft { .. }
            | ChunkState::Removing { .. }
            | ChunkState::Removed { .. }
            | ChunkState::InPlace { .. }
            | ChunkState::DeadLettered { .. } => return otherwise,
        },
        Notice::Exported { .. } | Notice::Missing { .. } | Notice::DayCompleted { .. } => {
            return otherwise;
        }
    };
    let recording = entry.chunk.filed_under();
    NoticeCheck::Current {
        kind,
        subject: format!("recordings/{recording}/chunks/{document_id}"),
        data,
    }
}

/// The known facts of a chunk, without its participants.
fn chunk_data(entry: &LedgerEntry) -> Value {
    let chunk = &entry.chunk;
    let mut data = json!({
        "documentId": chunk.document_id,
        "index": chunk.index,
        "recordingId": chunk.recording_id,
        "callId": chunk.call_id,
        "serverCallId": chunk.server_call_id,
        "startedAt": chunk.started_at,
        "durationMs": chunk.duration_ms,
        "format": chunk.format,
    });
    if let Some(receipt) = entry.state.receipt() {
        let media = receipt.media();
        data["file"] = media.name().to_string().into();
        data["sizeBytes"] = media.size_bytes().into();
        data["sha256"] = media.sha256().to_string().into();
        data["vault"] = json!(receipt.vault());
    }
    data
}

async fn missing(register: &RecordingRegister, id: &RecordingId) -> Result<NoticeCheck, Failure> {
    let Some(account) = register.find(id).await? else {
        return Ok(NoticeCheck::Obsolete);
    };
    if account.files.announced_at.is_some() {
        return Ok(NoticeCheck::Obsolete);
    }
    let Some(since) = account.files.missing_since else {
        return Ok(NoticeCheck::Pending);
    };
    let data = json!({
        "recordingId": account.recording_id,
        "callId": account.call_id,
        "serverCallId": account.conversation_id(),
        "startedAt": account.started_at,
        "endedAt": account.ended_at(),
        "missingSince": since,
    });
    Ok(NoticeCheck::Current {
        kind: "com.recording-vault.recording.missing",
        subject: format!("recordings/{id}"),
        data,
    })
}

fn completed(day: &str, summary: &DaySummary) -> NoticeCheck {
    NoticeCheck::Current {
        kind: "com.recording-vault.day.completed",
        subject: format!("days/{day}"),
        data: json!({
            "day": day,
            "recordings": summary.recordings,
            "incomplete": summary.incomplete,
            "findings": summary.findings,
            "notChecked": summary.not_checked,
            // A sum of nothing is -0.0.
            "minutes": summary.minutes + 0.0,
            "madeAt": summary.made_at,
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::export::entry::tests::entry;

    #[test]
    fn a_notice_of_the_time_of_earlier_files_is_not_one_of_later_files() {
        let mut entry = entry();
        entry.reported_risk = Some(Risk::ThreeQuarters);
        assert!(is_at_risk(&entry, 0, 50) && is_at_risk(&entry, 0, 75));
        assert!(!is_at_risk(&entry, 0, 90), "it is not written yet");
        entry.risk_period = 1;
        assert!(!is_at_risk(&entry, 0, 50) && is_at_risk(&entry, 1, 50));
        entry.reported_risk = None;
        assert!(!is_at_risk(&entry, 1, 50));
    }
}
