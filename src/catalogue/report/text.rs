//! The completeness report as text for people.

use std::fmt;

use super::{CompletenessReport, ReportedRecording};
use crate::catalogue::label::RecordingLabel;
use crate::counted::counted;

impl fmt::Display for CompletenessReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            day,
            recordings,
            chunk_count,
            chunks_in_vault,
            incomplete,
            ..
        } = self;
        writeln!(
            f,
            "Recordings of {day}: {}, in {}, {chunks_in_vault} of them in the vault.",
            recordings.len(),
            chunks(*chunk_count)
        )?;
        match incomplete {
            0 => write!(f, "Nothing is missing.")?,
            count => {
                let recordings = counted(*count, "recording is", "recordings are");
                write!(f, "{recordings} not complete:")?;
            }
        }
        let open = recordings
            .iter()
            .filter(|recording| !recording.standing.is_settled());
        for recording in open {
            write!(f, "\n{recording}")?;
        }
        self.fmt_media(f)
    }
}

impl fmt::Display for ReportedRecording {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let call = self.call_id.as_deref().or(self.server_call_id.as_deref());
        let label = RecordingLabel {
            started_at: self.started_at,
            call_id: call,
            participants: &self.participants,
            size_bytes: self.size_bytes,
        };
        write!(
            f,
            "  {label}: {}\n    recording {}",
            self.standing, self.recording_id
        )?;
        for problem in &self.problems {
            write!(f, "\n    {problem}")?;
        }
        if let Some(deadline) = self.deadline {
            write!(f, "\n    deadline: {deadline:.0}")?;
        }
        match self.next_step.advice() {
            Some(advice) => write!(f, "\n    next: {advice}"),
            None => Ok(()),
        }
    }
}

impl CompletenessReport {
    /// What is notable about the media in the vault.
    fn fmt_media(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.doubtful > 0 {
            let count = chunks(self.doubtful);
            write!(
                f,
                "\nMedia that disagrees with its event or metadata: {count}."
            )?;
        }
        if self.media_unknown > 0 {
            let count = chunks(self.media_unknown);
            write!(f, "\nMedia that could not be checked: {count}.")?;
        }
        let unsolicited = self.recordings.iter();
        let unsolicited: Vec<&str> = unsolicited
            .filter(|recording| recording.unsolicited)
            .map(|recording| recording.recording_id.as_str())
            .collect();
        if !unsolicited.is_empty() {
            write!(
                f,
                "\nNot started through this app, and no event announced the call: {}.",
                unsolicited.join(", ")
            )?;
        }
        for recording in &self.recordings {
            for chunk in &recording.chunks {
                for notice in &chunk.notices {
                    let (id, index) = (&recording.recording_id, chunk.index);
                    write!(f, "\nNotice on {id}, chunk {index}: {notice}.")?;
                }
            }
        }
        Ok(())
    }
}

fn chunks(count: usize) -> String {
    counted(count, "chunk", "chunks")
}
