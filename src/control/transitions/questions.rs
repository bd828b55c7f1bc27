//! What an account says about its pauses and unknown outcomes. Changes nothing.

use jiff::Timestamp;

use super::{SETTLES, is_old, is_resume};
use crate::control::entry::RegisteredRecording;
use crate::control::intention::Intention;

impl RegisteredRecording {
    /// Returns when the pause, or intended pause, began that is due to end.
    pub fn overdue_pause(&self, now: Timestamp) -> Option<Timestamp> {
        let is_over = |resume_at: Option<Timestamp>| resume_at.is_some_and(|at| at <= now);
        let open = self
            .open_pause()
            .filter(|pause| is_over(pause.resume_at))
            .map(|pause| pause.started_at);
        let intended = self.intentions.iter().filter(|intention| {
            is_over(intention.resume_at())
                && self.is_newest_pause(intention)
                && !self
                    .intentions
                    .iter()
                    .any(|other| other.ends(intention.at) && other.at > intention.at)
        });
        open.or(intended.map(|intention| intention.at).next())
            .filter(|_| self.is_running())
    }

    /// Whether no pause that began after this intended one is open.
    pub(super) fn is_newest_pause(&self, intention: &Intention) -> bool {
        self.open_pause()
            .is_none_or(|open| open.started_at <= intention.at)
    }

    /// Returns when the pause began that a resume decided now would end.
    pub fn pause_to_end(&self) -> Option<Timestamp> {
        let intended = self.intentions.iter().rev().find(|known| known.is_pause());
        self.open_pause()
            .map(|pause| pause.started_at)
            .or(intended.map(|intention| intention.at))
    }

    /// Whether a pause was decided after this intention.
    pub fn is_paused_after(&self, intention: &Intention) -> bool {
        let pause_began = self.open_pause().map(|pause| pause.started_at);
        let intended = self.intentions.iter().filter(|known| known.is_pause());
        self.is_running()
            && intended
                .map(|known| known.at)
                .chain(pause_began)
                .any(|began| began > intention.at)
    }

    /// Returns a resume whose outcome is unknown and that must not end the newer pause of the recording.
    pub fn late_resume(&self, now: Timestamp) -> Option<Intention> {
        let open = self.open_pause()?;
        let mut resumes = self
            .intentions
            .iter()
            .filter(|known| is_resume(known) && is_old(known, now) && known.at < open.started_at);
        resumes.next().cloned()
    }

    /// Whether the outcome of a request of long ago is still unknown.
    pub fn has_unsettled(&self, now: Timestamp) -> bool {
        self.intentions
            .iter()
            .any(|intention| is_old(intention, now))
    }

    /// Whether it began so long ago that `inactive` can only mean paused.
    pub fn has_begun(&self, now: Timestamp) -> bool {
        self.started_at
            .is_some_and(|started_at| now.duration_since(started_at) >= SETTLES)
    }

    /// Returns when its state last changed, as far as the register knows.
    pub(in crate::control) fn changed_at(&self) -> Option<Timestamp> {
        let pause = self.pauses.last();
        pause
            .map(|pause| pause.ended_at.unwrap_or(pause.started_at))
            .or(self.started_at)
    }
}
