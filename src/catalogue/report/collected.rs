//! Collects the recordings of a report: it counts each of them, and lists as many as the report may hold. Knows neither
//! register nor ledger.

use serde::{Deserialize, Serialize};

use super::{ReportedChunk, ReportedRecording};
use crate::export::receipt::VaultName;
use crate::media::MediaVerdict;
use crate::standing::Counts;

/// Which recordings a report lists.
#[derive(Debug, Clone, Copy)]
pub(super) enum Listing {
    All,
    /// As many as fit, without persons. If not all fit, no settled one is listed.
    Stored {
        /// The size of the list in JSON.
        most_bytes: usize,
    },
}

/// How many recordings a stored report does not list, because its list would be too long. Its numbers include them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct NotListed {
    /// Recordings that are settled.
    pub settled: usize,
    /// Recordings that are not settled.
    pub incomplete: usize,
}

/// The recordings of a day, and the numbers of all of them.
#[derive(Debug)]
pub(super) struct Collected {
    pub recordings: Vec<ReportedRecording>,
    pub standings: Counts,
    pub chunks: ChunkCounts,
    listing: Listing,
    not_listed: NotListed,
    /// The size in JSON of the settled recordings that are listed.
    settled_bytes: usize,
    /// The size in JSON of the others.
    incomplete_bytes: usize,
}

/// Numbers of chunks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct ChunkCounts {
    pub all: usize,
    pub in_vault: usize,
    pub in_backup: usize,
    pub in_place: usize,
    pub doubtful: usize,
    pub media_unknown: usize,
}

impl NotListed {
    /// Returns the number of recordings that are not listed.
    pub fn count(self) -> usize {
        self.settled.saturating_add(self.incomplete)
    }
}

impl Collected {
    pub fn new(listing: Listing) -> Self {
        Self {
            recordings: Vec::new(),
            standings: Counts::new(),
            chunks: ChunkCounts::default(),
            listing,
            not_listed: NotListed::default(),
            settled_bytes: 0,
            incomplete_bytes: 0,
        }
    }

    /// Counts a recording, and lists it if there is room.
    pub fn add(&mut self, recording: ReportedRecording) {
        *self.standings.entry(recording.standing).or_default() += 1;
        for chunk in &recording.chunks {
            self.chunks.add(chunk);
        }
        match self.listing {
            Listing::All => self.recordings.push(recording),
            Listing::Stored { most_bytes } => self.list_within(most_bytes, recording),
        }
    }

    /// Returns how many recordings it does not list, if it does not list all.
    pub fn not_listed(&self) -> Option<NotListed> {
        Some(self.not_listed).filter(|not_listed| *not_listed != NotListed::default())
    }

    /// Sorts the list by the start of the recordings.
    pub fn sort(&mut self) {
        self.recordings.sort_by(|one, other| {
            let by_start = one.started_at.cmp(&other.started_at);
            by_start.then_with(|| one.recording_id.cmp(&other.recording_id))
        });
    }

    fn list_within(&mut self, most_bytes: usize, mut recording: ReportedRecording) {
        // The report is kept for years, and an erasure does not find it.
        recording.participants.clear();
        let is_settled = recording.standing.is_settled();
        if is_settled && self.not_listed().is_some() {
            self.not_listed.settled += 1;
            return;
        }
        let size = size_in_json(&recording);
        if !self.has_room(size, most_bytes) {
            self.leave_out_settled();
            if is_settled {
                self.not_listed.settled += 1;
                return;
            }
            if !self.has_room(size, most_bytes) {
                self.not_listed.incomplete += 1;
                return;
            }
        }
        if is_settled {
            self.settled_bytes += size;
        } else {
            self.incomplete_bytes += size;
        }
        self.recordings.push(recording);
    }

    fn has_room(&self, size: usize, most_bytes: usize) -> bool {
        self.settled_bytes + self.incomplete_bytes + size <= most_bytes
    }

    fn leave_out_settled(&mut self) {
        if self.settled_bytes == 0 {
            return;
        }
        let before = self.recordings.len();
        self.recordings
            .retain(|recording| !recording.standing.is_settled());
        self.not_listed.settled += before - self.recordings.len();
        self.settled_bytes = 0;
    }
}

impl ChunkCounts {
    fn add(&mut self, chunk: &ReportedChunk) {
        self.all += 1;
        match chunk.vault {
            Some(VaultName::Home) => self.in_vault += 1,
            Some(VaultName::Backup) => self.in_backup += 1,
            None => self.in_place += usize::from(chunk.file.is_some()),
        }
        match chunk.media {
            Some(MediaVerdict::Disagrees) => self.doubtful += 1,
            Some(MediaVerdict::Unknown) => self.media_unknown += 1,
            Some(MediaVerdict::Agrees) | None => {}
        }
    }
}

/// The size of its JSON, with the comma after it.
fn size_in_json(recording: &ReportedRecording) -> usize {
    let json = serde_json::to_vec(recording).expect("a report has string keys only");
    json.len() + 1
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::state::RecordingState;
    use crate::standing::{OperatorStep, Standing};

    fn recording(number: usize, standing: Standing) -> ReportedRecording {
        ReportedRecording {
            recording_id: format!("r-{number:03}"),
            call: None,
            call_id: None,
            server_call_id: None,
            participants: vec!["8:acs:anna".to_owned()],
            size_bytes: None,
            state: RecordingState::Stopped,
            standing,
            next_step: OperatorStep::Nothing,
            deadline: None,
            started_at: None,
            ended_at: None,
            duration_ms: None,
            chunks: Vec::new(),
            unsolicited: false,
            unregistered: false,
            problems: Vec::new(),
        }
    }

    /// A list with room for this many recordings, to which recordings of these standings were added.
    fn collected(room: usize, standings: &[Standing]) -> Collected {
        let mut one = recording(0, Standing::Verified);
        one.participants.clear();
        let most_bytes = room * size_in_json(&one);
        let mut collected = Collected::new(Listing::Stored { most_bytes });
        for (number, standing) in standings.iter().enumerate() {
            collected.add(recording(number, *standing));
        }
        collected.sort();
        collected
    }

    fn ids(collected: &Collected) -> Vec<&str> {
        let recordings = collected.recordings.iter();
        recordings
            .map(|recording| recording.recording_id.as_str())
            .collect()
    }

    #[test]
    fn a_list_that_has_room_lists_all_and_names_no_person() {
        let collected = collected(3, &[Standing::Verified; 3]);
        assert_eq!(ids(&collected), ["r-000", "r-001", "r-002"]);
        assert_eq!(collected.not_listed(), None);
        let mut recordings = collected.recordings.iter();
        assert!(recordings.all(|recording| recording.participants.is_empty()));
    }

    #[test]
    fn a_list_without_room_lists_what_is_not_settled_and_counts_all() {
        let (settled, failed) = (Standing::Verified, Standing::Failed);
        let standings = [settled, failed, settled, settled, failed, settled];
        let collected = collected(3, &standings);
        assert_eq!(ids(&collected), ["r-001", "r-004"]);
        let not_listed = NotListed {
            settled: 4,
            incomplete: 0,
        };
        assert_eq!(collected.not_listed(), Some(not_listed));
        assert_eq!(
            collected.standings,
            Counts::from([(settled, 4), (failed, 2)])
        );
    }

    #[test]
    fn a_list_without_room_for_what_is_not_settled_lists_no_settled_one_and_counts_the_rest() {
        let (settled, failed) = (Standing::Verified, Standing::Failed);
        let standings = [settled, failed, failed, failed, failed, settled];
        let collected = collected(3, &standings);
        assert_eq!(ids(&collected), ["r-001", "r-002", "r-003"]);
        let not_listed = NotListed {
            settled: 2,
            incomplete: 1,
        };
        assert_eq!(collected.not_listed(), Some(not_listed));
        assert_eq!(
            collected.standings,
            Counts::from([(settled, 2), (failed, 4)])
        );
    }
}
