//! How an account changes: what was intended, what ACS did, what ACS says. Pure.
//!
//! ```text
//!          intend ─▶ ask ACS ─▶ paused / resumed / stopped      ACS did it
//!                       │  └──▶ withdraw                        ACS surely did not
//!                       └─────▶ (a kill, or no answer) ─▶ observe: what ACS says settles it
//! ```
//! A late write changes only what it was decided for: a resume ends *its* pause, and an intention that is no longer in the
//! account changes nothing. An end is final, unless ACS says, asked well after it, that the recording is active.

use jiff::{SignedDuration, Timestamp};

use super::entry::{Erased, RecordingStatus, RegisteredRecording};
use super::intention::{IntendedAction, Intention, Noted};
use super::pause::{Pause, PauseEnd};
use crate::acs::wire::StateAtAcs;

/// ACS reports a change of state some seconds late (12 s were recorded after a start); what it says before is the past.
pub const SETTLES: SignedDuration = SignedDuration::from_secs(60);
/// Intentions of one recording whose outcome is unknown; more are a caller's loop against an ACS that fails.
const MOST_INTENTIONS: usize = 16;

/// How ACS took a pause.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PauseAnswer {
    Paused,
    /// The recording was paused already.
    WasPaused,
}

impl RegisteredRecording {
    /// Notes what ACS is about to be asked for. An ended recording takes no intention.
    pub fn intend(&mut self, intention: &Intention) {
        let is_known = self.intentions.iter().any(|known| known.id == intention.id);
        if is_known || !self.is_running() {
            return;
        }
        if self.intentions.len() >= MOST_INTENTIONS {
            let oldest = self
                .intentions
                .iter()
                .position(|known| known.resume_at().is_none());
            self.intentions.remove(oldest.unwrap_or_default());
        }
        self.intentions.push(intention.clone());
    }

    /// ACS surely did not do what was intended.
    pub fn withdraw(&mut self, intention: &Intention) {
        self.take_out(intention);
        if intention.is_pause() {
            // A stop that came in between took it for a pause.
            self.pauses
                .retain(|pause| pause.started_at != intention.at || pause.is_open());
        }
    }

    /// ACS paused it. A pause within a pause is one pause, and may set when it ends.
    pub fn paused(&mut self, noted: &Noted, answer: PauseAnswer) {
        if !self.settles(noted) {
            return;
        }
        let intention = noted.intention();
        self.heard_at = self.heard_at.max(intention.at);
        let earlier = self.take_out_pauses_before(intention.at);
        let (mut began, mut resume_at) = (intention.at, intention.resume_at());
        if answer == PauseAnswer::WasPaused
            && let Some(first) = earlier.first()
        {
            began = first.at;
            resume_at = resume_at.or(earlier.iter().rev().find_map(Intention::resume_at));
        }
        self.begin_pause(began, resume_at);
    }

    /// ACS resumed it: the pause that the intention names ends, and no other.
    pub fn resumed(&mut self, noted: &Noted, at: Timestamp) {
        if !self.settles(noted) {
            return;
        }
        self.heard_at = self.heard_at.max(at);
        if let IntendedAction::Resume {
            pause: Some(began),
            by,
        } = noted.intention().action
        {
            self.end_pause(began, at, by);
        }
    }

    /// ACS did something with it that it does with running recordings only, asked at this time. That counts against an end
    /// that was registered well before.
    pub fn runs_at_acs(&mut self, asked_at: Timestamp) {
        match &self.status {
            RecordingStatus::Stopped { at } | RecordingStatus::Failed { at, .. }
                if asked_at.duration_since(*at) >= SETTLES && asked_at > self.heard_at =>
            {
                self.status = RecordingStatus::Running;
            }
            RecordingStatus::Stopped { .. }
            | RecordingStatus::Failed { .. }
            | RecordingStatus::Running => {}
        }
    }

    /// It is over. What ended first stays the end.
    pub fn stop(&mut self, at: Timestamp) {
        self.heard_at = self.heard_at.max(at);
        if !self.is_running() {
            return;
        }
        // Whether these took effect, ACS tells no more; what may have been left out is evidence.
        for intention in std::mem::take(&mut self.intentions) {
            match intention.action {
                IntendedAction::Pause { resume_at } => self.begin_pause(intention.at, resume_at),
                IntendedAction::Resume { .. } | IntendedAction::Stop => {}
            }
        }
        if let Some(pause) = self.pauses.last_mut() {
            pause.end(at, PauseEnd::Stop);
        }
        self.status = RecordingStatus::Stopped { at };
    }

    /// ACS said, heard at `heard_at`, that it is over, and an event said since when.
    pub fn ended(&mut self, at: Timestamp, heard_at: Timestamp) {
        self.stop(at);
        self.heard_at = self.heard_at.max(heard_at);
    }

    /// ACS reported that it never came to be.
    pub fn fail(&mut self, at: Timestamp, reason: String) {
        self.heard_at = self.heard_at.max(at);
        if self.is_running() {
            self.intentions.clear();
            self.status = RecordingStatus::Failed { at, reason };
        }
    }

    /// It starts paused. A start that is registered again changes nothing.
    pub fn start_paused(&mut self, at: Timestamp) {
        if self.is_running() && self.pauses.is_empty() {
            self.begin_pause(at, None);
        }
    }

    /// Removes personal data. What is left keeps the recording from coming back with its next event.
    pub fn erase(&mut self, erased: Erased) {
        self.started_by = None;
        self.conversation = None;
        self.consent = None;
        self.acknowledged = None;
        self.options.audio_channel_participant_ordering = None;
        self.options.channel_affinity = None;
        // A text of ACS may name somebody.
        if let RecordingStatus::Failed { reason, .. } = &mut self.status {
            "erased".clone_into(reason);
        }
        self.erased.get_or_insert(erased);
    }

    /// Takes over what ACS answered to a question that was sent at `asked_at`, unless it may still speak of what was before
    /// the last change.
    pub fn observe(&mut self, at_acs: StateAtAcs, asked_at: Timestamp) {
        if at_acs == StateAtAcs::Active {
            self.runs_at_acs(asked_at);
        }
        self.heard_at = self.heard_at.max(asked_at);
        if self.is_running() {
            self.settle_old_intentions(at_acs, asked_at);
            self.observe_state(at_acs, asked_at);
        }
    }

    /// The pause, or intended pause, that is over at this time; when it began.
    pub fn overdue_pause(&self, now: Timestamp) -> Option<Timestamp> {
        let is_over = |resume_at: Option<Timestamp>| resume_at.is_some_and(|at| at <= now);
        let open = self
            .open_pause()
            .filter(|pause| is_over(pause.resume_at))
            .map(|pause| pause.started_at);
        let intended = self.intentions.iter().filter(|intention| {
            is_over(intention.resume_at())
                && !self
                    .intentions
                    .iter()
                    .any(|other| other.ends(intention.at) && other.at > intention.at)
        });
        open.or(intended.map(|intention| intention.at).next())
            .filter(|_| self.is_running())
    }

    /// The pause that a resume decided now ends; when it began.
    pub fn pause_to_end(&self) -> Option<Timestamp> {
        let intended = self.intentions.iter().rev().find(|known| known.is_pause());
        self.open_pause()
            .map(|pause| pause.started_at)
            .or(intended.map(|intention| intention.at))
    }

    /// Whether somebody decided to pause it after this intention.
    pub fn is_paused_after(&self, intention: &Intention) -> bool {
        let pause_began = self.open_pause().map(|pause| pause.started_at);
        let intended = self.intentions.iter().filter(|known| known.is_pause());
        self.is_running()
            && intended
                .map(|known| known.at)
                .chain(pause_began)
                .any(|began| began > intention.at)
    }

    /// A resume whose outcome is unknown and that must not end the newer pause that the recording is in.
    pub fn late_resume(&self, now: Timestamp) -> Option<Intention> {
        let open = self.open_pause()?;
        let mut resumes = self.intentions.iter().filter(|known| {
            let is_resume = matches!(known.action, IntendedAction::Resume { .. });
            is_resume && is_old(known, now) && known.at < open.started_at
        });
        resumes.next().cloned()
    }

    /// Whether the outcome of something that was asked for long ago is still unknown.
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

    /// Whether an answer to this intention still counts. Takes the intention out.
    fn settles(&mut self, noted: &Noted) -> bool {
        if !self.is_running() {
            return false;
        }
        match noted {
            Noted::Written(intention) => self.take_out(intention),
            Noted::NotWritten(intention) => self
                .changed_at()
                .is_none_or(|changed_at| changed_at < intention.at),
        }
    }

    fn take_out(&mut self, intention: &Intention) -> bool {
        let before = self.intentions.len();
        self.intentions.retain(|known| known.id != intention.id);
        self.intentions.len() < before
    }

    fn take_out_pauses_before(&mut self, at: Timestamp) -> Vec<Intention> {
        self.intentions
            .extract_if(.., |known| known.is_pause() && known.at < at)
            .collect()
    }

    fn begin_pause(&mut self, began: Timestamp, resume_at: Option<Timestamp>) {
        if let Some(open) = self.pauses.last_mut().filter(|pause| pause.is_open()) {
            let ending = self
                .intentions
                .iter()
                .find(|known| known.ends(open.started_at));
            match ending.map(|ending| (ending.at, &ending.action)) {
                // Somebody is ending that pause: this is another one.
                Some((at, IntendedAction::Resume { by, .. })) => open.end(at, *by),
                Some(_) | None => {
                    open.resume_at = resume_at.or(open.resume_at);
                    return;
                }
            }
        }
        self.pauses.push(Pause {
            started_at: began,
            resume_at,
            ended_at: None,
            ended_by: None,
        });
    }

    fn end_pause(&mut self, began: Timestamp, at: Timestamp, by: PauseEnd) {
        let intended = self
            .intentions
            .iter()
            .position(|known| known.is_pause() && known.at == began);
        let intended = intended.map(|position| self.intentions.remove(position));
        let open = self.pauses.last_mut().filter(|pause| pause.is_open());
        match (open, intended) {
            (Some(open), None) if open.started_at == began => open.end(at, by),
            // A pause within that pause, whose own answer has not come.
            (Some(open), Some(_)) if open.started_at <= began => open.end(at, by),
            (None, Some(intention)) => self.pauses.push(Pause {
                started_at: began,
                resume_at: intention.resume_at(),
                ended_at: Some(at),
                ended_by: Some(by),
            }),
            (Some(_) | None, _) => {}
        }
    }

    /// When its state last changed, as far as the register knows.
    fn changed_at(&self) -> Option<Timestamp> {
        let pause = self.pauses.last();
        pause
            .map(|pause| pause.ended_at.unwrap_or(pause.started_at))
            .or(self.started_at)
    }

    /// Decides by ACS's answer what became of requests whose own answers never came.
    fn settle_old_intentions(&mut self, at_acs: StateAtAcs, asked_at: Timestamp) {
        if at_acs == StateAtAcs::Unknown {
            return;
        }
        let old: Vec<Intention> = self
            .intentions
            .extract_if(.., |intention| is_old(intention, asked_at))
            .collect();
        let resumes = || {
            old.iter().filter_map(|known| match known.action {
                IntendedAction::Resume { pause, by } => Some((known.at, pause, by)),
                IntendedAction::Pause { .. } | IntendedAction::Stop => None,
            })
        };
        if at_acs == StateAtAcs::Active {
            for (at, began, by) in resumes() {
                let intended = old
                    .iter()
                    .find(|known| known.is_pause() && Some(known.at) == began);
                self.intentions.extend(intended.cloned());
                if let Some(began) = began {
                    self.end_pause(began, at, by);
                }
            }
            return;
        }
        let last_resume = resumes().map(|(at, ..)| at).max();
        let pauses = || old.iter().filter(|known| known.is_pause());
        let began = pauses()
            .find(|known| last_resume.is_none_or(|resume| known.at > resume))
            .or(pauses().next());
        if let Some(began) = began {
            let resume_at = pauses().rev().find_map(Intention::resume_at);
            self.begin_pause(began.at, resume_at);
        }
    }

    fn observe_state(&mut self, at_acs: StateAtAcs, asked_at: Timestamp) {
        let has_settled = |at: Timestamp| asked_at.duration_since(at) >= SETTLES;
        if !self.changed_at().is_none_or(has_settled) || !self.intentions.is_empty() {
            return;
        }
        match (
            at_acs,
            self.pauses.last_mut().filter(|pause| pause.is_open()),
        ) {
            (StateAtAcs::Active, Some(open)) => open.end(asked_at, PauseEnd::Observed),
            // A recording that runs and is `inactive` for long is paused, by whomever.
            (StateAtAcs::Inactive, None) => self.begin_pause(asked_at, None),
            (StateAtAcs::Active | StateAtAcs::Inactive | StateAtAcs::Unknown, _) => {}
        }
    }
}

/// Whether its request can no longer be on its way, and ACS reports what it did.
fn is_old(intention: &Intention, now: Timestamp) -> bool {
    now.duration_since(intention.at) >= SETTLES
}

#[cfg(test)]
mod tests;
