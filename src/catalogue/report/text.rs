//! The completeness report as text for people.

use std::fmt;

use super::{CompletenessReport, DayOutcome, NotListed, ReportedRecording};
use crate::catalogue::label::RecordingLabel;
use crate::counted::counted;
use crate::visible;

impl fmt::Display for CompletenessReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let outcome = self.outcome();
        match outcome {
            DayOutcome::NoRecordings => write!(
                f,
                "No data of {}: no recording is known to have begun on it.",
                self.day
            )?,
            DayOutcome::Complete | DayOutcome::Incomplete | DayOutcome::NotKnown => {
                self.fmt_copies(f)?;
            }
        }
        match outcome {
            DayOutcome::NoRecordings => {}
            DayOutcome::Complete => write!(f, "\nNothing is missing.")?,
            DayOutcome::NotKnown => write!(f, "\nWhether anything is missing is not known.")?,
            DayOutcome::Incomplete => {
                let recordings = counted(self.incomplete, "recording is", "recordings are");
                write!(f, "\n{recordings} not complete:")?;
            }
        }
        let recordings = &self.recordings;
        let open = recordings
            .iter()
            .filter(|recording| !recording.standing.is_settled());
        for recording in open {
            write!(f, "\n{recording}")?;
        }
        self.fmt_not_listed(f)?;
        for finding in &self.findings {
            write!(f, "\nFound: {}", visible::one_line(finding))?;
        }
        for unchecked in &self.not_checked {
            write!(f, "\nNot checked: {}", visible::one_line(unchecked))?;
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
            write!(f, "\n    {}", visible::one_line(problem))?;
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
    /// Writes where its copies are, and on what that rests.
    fn fmt_copies(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "Recordings of {}: {}, in {}.",
            self.day,
            self.recording_count(),
            chunks(self.chunk_count)
        )?;
        if self.chunks_in_vault > 0 || self.chunks_in_backup + self.chunks_in_place == 0 {
            let count = chunks(self.chunks_in_vault);
            write!(
                f,
                "\nIn the vault: {count}, by their receipts in the ledger."
            )?;
        }
        if self.chunks_in_backup > 0 {
            let count = chunks(self.chunks_in_backup);
            write!(
                f,
                "\nIn the backup vault: {count}, by their receipts in the ledger."
            )?;
        }
        if self.chunks_in_place > 0 {
            let count = chunks(self.chunks_in_place);
            write!(
                f,
                "\nIn your own storage: {count}, checked when they were announced."
            )?;
        }
        match self.checked_at {
            Some(at) => write!(
                f,
                "\nThe complete check that began at {at:.0} was the last to look for the files in the vault."
            ),
            None => write!(
                f,
                "\nNo complete check has looked for the files in the vault."
            ),
        }
    }

    /// Writes how many recordings a stored report does not list.
    fn fmt_not_listed(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(not_listed) = self.not_listed else {
            return Ok(());
        };
        let NotListed {
            settled,
            incomplete,
        } = not_listed;
        if incomplete > 0 {
            let more = counted(incomplete, "more recording", "more recordings");
            write!(f, "\n  and {more} that this report does not list")?;
        }
        let all = counted(not_listed.count(), "recording", "recordings");
        write!(
            f,
            "\nThis report does not list {all} ({settled} settled, {incomplete} not complete) or the notices about them, because the list would be too long. `recording-vault report --day {}` lists all.",
            self.day
        )
    }

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
