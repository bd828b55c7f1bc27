//! The list as text: a line for each chunk, with what identifies it for a person.

use std::fmt::{self, Write as _};

use recording_vault::catalogue::label::{RecordingLabel, short};
use recording_vault::catalogue::row::Row;
use recording_vault::export::receipt::VaultName;

use super::{ListedChunk, Listing};
use crate::cli::table::Table;
use crate::cli::unreadable;

impl fmt::Display for Listing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut parts = Vec::new();
        if !self.chunks.is_empty() {
            parts.push(chunks(&self.chunks).to_string());
        }
        if !self.recordings.is_empty() {
            parts.push(recordings(&self.recordings).to_string());
        }
        if !self.poison.is_empty() {
            let mut events = Table::new(&["event that could not be read"]);
            for poison in &self.poison {
                events
                    .row([format!("poison:{}", poison.sha256)])
                    .note(poison.reason.as_deref().unwrap_or_default());
            }
            parts.push(events.to_string());
        }
        if self.is_capped {
            parts.push(
                "More recordings are not settled than were looked at; this list may not have all."
                    .to_owned(),
            );
        }
        if let Some(not_searched) = self.not_searched.as_ref().filter(|it| !it.is_nothing()) {
            if parts.is_empty() {
                parts.push("Nothing matches.".to_owned());
            }
            parts.push(not_searched.to_string());
        }
        match (parts.is_empty(), self.unreadable.is_empty()) {
            (true, true) => return f.write_str("Nothing matches."),
            (true, false) => {}
            (false, is_all) => {
                let mut separator = "";
                for part in &parts {
                    f.write_str(separator)?;
                    f.write_str(part)?;
                    separator = "\n\n";
                }
                if !is_all {
                    f.write_str("\n\n")?;
                }
            }
        }
        unreadable::write(f, &self.unreadable)
    }
}

fn chunks(chunks: &[ListedChunk]) -> Table {
    let mut table = Table::new(&["chunk", "state", "index", "standing", "expires at ACS"]);
    for chunk in chunks {
        let expires = chunk.expires_at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
        table.row([
            chunk.document_id.as_str(),
            chunk.state,
            &chunk.index.to_string(),
            chunk.standing.name(),
            &expires,
        ]);
        let call = chunk.call_id.as_deref().or(chunk.server_call_id.as_deref());
        let label = RecordingLabel {
            started_at: chunk.started_at,
            call_id: call,
            participants: &chunk.participants,
            size_bytes: chunk.size_bytes,
        };
        table.note(label.to_string());
        let note = note(chunk);
        if !note.is_empty() {
            table.note(note);
        }
    }
    table
}

/// Where it is, or what went wrong.
fn note(chunk: &ListedChunk) -> String {
    let what = chunk.file.as_deref().or(chunk.reason.as_deref());
    let what = what.unwrap_or_default();
    let place = match chunk.vault {
        Some(VaultName::Backup) => " (in the backup vault)",
        Some(VaultName::Home) | None => "",
    };
    let mut text = format!("{what}{place}");
    if let Some(anomaly) = &chunk.anomaly {
        // Writing to a `String` cannot fail.
        let _ = write!(text, " (doubtful: {anomaly})");
    }
    for notice in &chunk.notices {
        let _ = write!(text, " (notice: {notice})");
    }
    if chunk.unsolicited {
        text.push_str(" (unsolicited)");
    }
    text.trim_start().to_owned()
}

fn recordings(rows: &[Row]) -> Table {
    let mut table = Table::new(&["recording", "standing"]);
    for row in rows {
        let label = RecordingLabel {
            started_at: row.started_at,
            call_id: row.call_id.as_deref().or(row.server_call_id.as_deref()),
            participants: &[],
            size_bytes: row.size_bytes,
        };
        table
            .row([short(&row.recording_id).as_str(), row.status.name()])
            .note(format!("{label}; {}", row.reasons.join("; ")))
            .note(row.advice.unwrap_or_default());
    }
    table
}
