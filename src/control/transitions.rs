//! How an account changes: by intentions, by what ACS did, and by what ACS reports. Pure.
//!
//! ```text
//!          intend ─▶ ask ACS ─▶ paused / resumed / stopped      ACS did it
//!                       │  └──▶ withdraw                        ACS surely did not
//!                       └─────▶ (a kill, or no answer) ─▶ observe: what ACS says settles it
//! ```
//! A late write changes only what it was decided for: a resume ends *its* pause, and only if ACS says that there was a pause
//! to end. A pause whose intention is no longer in the account opens no second one. An end is final, unless ACS says, asked
//! well after it, that the recording is active.

mod questions;
mod settling;
mod unrecorded;

use jiff::{SignedDuration, Timestamp};
use uuid::Uuid;

use super::entry::{EndWitness, Erased, RecordingStatus, RegisteredRecording};
use super::intention::{IntendedAction, Intention, Noted};
use super::pause::{Pause, PauseEnd};
use crate::clock::CLOCKS_DIFFER;

/// ACS reports a change of state some seconds late (12 s were recorded after a start); an earlier answer is outdated.
pub const SETTLES: SignedDuration = SignedDuration::from_secs(60);
/// The same between processes whose clocks differ: what ends a pause, begins one, or takes an end back cannot be undone by
/// asking ACS once more.
pub const SETTLES_BY_ANY_CLOCK: SignedDuration = SETTLES.saturating_add(CLOCKS_DIFFER);
/// Intentions of one recording whose outcome is unknown; more mean a caller's loop against a failing ACS.
const MOST_INTENTIONS: usize = 16;
/// Requests of one recording that are kept until they are recorded, for the same reason.
const MOST_UNRECORDED: usize = 64;

/// ACS's answer to a pause.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PauseAnswer {
    Paused,
    /// The recording was paused already.
    WasPaused,
}

/// ACS's answer to a resume.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ResumeAnswer {
    Resumed,
    /// The recording was not paused. A pause that is on its way to ACS may still arrive.
    WasActive,
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
        let mut intention = intention.clone();
        if let IntendedAction::Resume {
            pause,
            by: PauseEnd::Caller,
        } = &mut intention.action
        {
            // The pause in this version of the account: another may have begun since the caller read it.
            *pause = self.pause_to_end();
        }
        self.sent.note(&intention);
        self.intentions.push(intention);
    }

    /// Returns an intention as the account has it.
    pub fn intended(&self, id: Uuid) -> Option<&Intention> {
        self.intentions.iter().find(|known| known.id == id)
    }

    /// Removes an intention that ACS certainly did not carry out.
    pub fn withdraw(&mut self, intention: &Intention) {
        self.take_out(intention);
        if intention.is_pause() {
            // A stop that came in between counted it as a pause.
            self.pauses
                .retain(|pause| pause.started_at != intention.at || pause.is_open());
        }
    }

    /// Registers that ACS paused it. A pause within a pause is one pause, and may set when it ends.
    pub fn paused(&mut self, noted: &Noted, answer: PauseAnswer) {
        match self.answered(noted) {
            Answered::Intended => self.begin_intended_pause(noted.intention(), answer),
            Answered::NoLongerIntended => self.keep_late_pause(noted.intention(), answer),
            Answered::Outdated => {}
        }
    }

    /// Registers that ACS paused it, as ACS's state confirms, although the account says that it records.
    pub fn mark_paused(&mut self, intention: &Intention, now: Timestamp) {
        if self.is_running() && self.open_pause().is_none() {
            self.take_out(intention);
            self.begin_pause(now, intention.resume_at());
        }
    }

    /// Registers that ACS resumed it: ends the pause that the intention names, and no other.
    pub fn resumed(&mut self, noted: &Noted, answer: ResumeAnswer, at: Timestamp) {
        match self.answered(noted) {
            Answered::Intended => {}
            Answered::NoLongerIntended | Answered::Outdated => return,
        }
        self.heard_at = self.heard_at.max(at);
        let IntendedAction::Resume {
            pause: Some(began),
            by,
        } = noted.intention().action
        else {
            return;
        };
        match answer {
            ResumeAnswer::Resumed => self.end_pause(began, at, by),
            ResumeAnswer::WasActive => {
                // A pause that was just sent may reach ACS after this resume: then it holds.
                self.intentions
                    .retain(|known| !known.is_pause() || known.at != began || !is_old(known, at));
                if let Some(open) = self.pauses.last_mut()
                    && open.started_at <= began
                {
                    open.end(at, by);
                }
            }
        }
    }

    /// Registers that ACS, asked at this time, did something that it does with running recordings only. That counts
    /// against an end that was registered well before.
    pub fn runs_at_acs(&mut self, asked_at: Timestamp) {
        match &self.status {
            RecordingStatus::Stopped { at } | RecordingStatus::Failed { at, .. }
                if asked_at.duration_since(*at) >= SETTLES_BY_ANY_CLOCK
                    && asked_at > self.heard_at =>
            {
                self.status = RecordingStatus::Running;
                self.end_witness = None;
            }
            RecordingStatus::Stopped { .. }
            | RecordingStatus::Failed { .. }
            | RecordingStatus::Running => {}
        }
    }

    /// Ends it. The first end is kept.
    pub fn stop(&mut self, at: Timestamp) {
        self.heard_at = self.heard_at.max(at);
        if !self.is_running() {
            return;
        }
        // ACS no longer reports whether these took effect; what may have been left out is evidence.
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

    /// Ends it: ACS said so, heard at `heard_at`, and an event reported the time of the end.
    pub fn ended(&mut self, at: Timestamp, heard_at: Timestamp) {
        self.stop(at);
        self.end_witness = self.end_witness.or(Some(EndWitness::Event));
        self.heard_at = self.heard_at.max(heard_at);
    }

    /// Ends it: ACS, asked at this time, stopped it, or an earlier attempt of the same request did.
    pub fn stopped_by_us(&mut self, asked_at: Timestamp, at: Timestamp) {
        // ACS stops only what runs.
        self.runs_at_acs(asked_at);
        self.stop(at);
        self.end_witness = Some(EndWitness::Stop);
    }

    /// Registers ACS's report that the recording never began.
    pub fn fail(&mut self, at: Timestamp, reason: String) {
        self.heard_at = self.heard_at.max(at);
        if self.is_running() {
            // It never ran, so ACS did nothing that was asked for.
            self.answered
                .extend(self.intentions.drain(..).map(|known| known.id));
            self.status = RecordingStatus::Failed { at, reason };
        }
    }

    /// Registers that it starts paused. A start that is registered again, or after a resume, changes nothing.
    pub fn start_paused(&mut self, at: Timestamp) {
        let was_resumed = self.sent.last_resume.is_some_and(|resume| resume >= at);
        if self.is_running() && self.pauses.is_empty() && !was_resumed {
            self.begin_pause(at, None);
        }
    }

    /// Removes personal data. What is left prevents the next event from bringing the recording back.
    pub fn erase(&mut self, erased: Erased) {
        self.forget_people();
        self.acknowledged = None;
        self.erased.get_or_insert(erased);
    }

    /// Removes personal data: the caller who started it, the consent, the participants, and who acknowledged a loss.
    pub fn forget_people(&mut self) {
        self.started_by = None;
        self.conversation = None;
        self.consent = None;
        if let Some(acknowledged) = &mut self.acknowledged {
            acknowledged.said.by = None;
        }
        self.forget_requesters();
        self.options.audio_channel_participant_ordering = None;
        self.options.channel_affinity = None;
        // A message of ACS may name a person.
        if let RecordingStatus::Failed { reason, .. } = &mut self.status {
            "erased".clone_into(reason);
        }
    }

    fn forget_requesters(&mut self) {
        let requests = self.intentions.iter_mut().chain(&mut self.unrecorded);
        for asked_by in requests.filter_map(|request| request.asked_by.as_mut()) {
            asked_by.forget_names();
        }
    }

    /// Whether an answer to this intention still counts. Takes the intention out.
    fn answered(&mut self, noted: &Noted) -> Answered {
        if !self.is_running() {
            self.take_out(noted.intention());
            return Answered::Outdated;
        }
        match noted {
            Noted::Written(intention) if self.take_out(intention) => Answered::Intended,
            Noted::Written(_) => Answered::NoLongerIntended,
            Noted::NotWritten(intention) => {
                let changed_at = self.changed_at();
                if changed_at.is_some_and(|changed_at| changed_at >= intention.at) {
                    return Answered::Outdated;
                }
                self.sent.note(intention);
                Answered::Intended
            }
        }
    }

    fn begin_intended_pause(&mut self, intention: &Intention, answer: PauseAnswer) {
        self.heard_at = self.heard_at.max(intention.at);
        let (mut began, mut resume_at) = (intention.at, intention.resume_at());
        match answer {
            // Earlier intentions without an answer did not pause it: they may still arrive.
            PauseAnswer::Paused => {}
            PauseAnswer::WasPaused => {
                let earlier = self.take_out_pauses_before(intention.at);
                if let Some(first) = earlier.first() {
                    began = first.at;
                    resume_at = resume_at.or(earlier.iter().rev().find_map(Intention::resume_at));
                }
            }
        }
        self.begin_pause(began, resume_at);
    }

    /// Handles an answer to a pause whose intention was settled otherwise: by a resume, another pause, or ACS's state.
    fn keep_late_pause(&mut self, intention: &Intention, answer: PauseAnswer) {
        let is_known = |pause: &Pause| pause.started_at == intention.at;
        if self.pauses.iter().any(is_known) {
            return;
        }
        match self.pauses.last_mut().filter(|pause| pause.is_open()) {
            Some(open) if answer == PauseAnswer::WasPaused || open.started_at <= intention.at => {
                open.resume_at = intention.resume_at().or(open.resume_at);
            }
            // ACS paused it, it was resumed, and the open pause is another one.
            Some(_) => {}
            // ACS's state decides whether it is in effect.
            None => self.intentions.push(intention.clone()),
        }
    }

    /// Removes an intention whose outcome is unknown, and stays unknown.
    pub fn give_up(&mut self, intention: &Intention) {
        self.intentions.retain(|known| known.id != intention.id);
    }

    /// Removes an intention that ACS answered.
    fn take_out(&mut self, intention: &Intention) -> bool {
        let before = self.intentions.len();
        self.give_up(intention);
        self.answered.push(intention.id);
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
                // A resume is about to end that pause: this is another one.
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
}

/// Whether an answer of ACS still counts.
enum Answered {
    Intended,
    /// Its intention was settled otherwise.
    NoLongerIntended,
    /// The recording has ended, or something newer is known.
    Outdated,
}

fn is_resume(intention: &Intention) -> bool {
    matches!(intention.action, IntendedAction::Resume { .. })
}

/// Whether its request can no longer be on its way, and ACS reports its effect.
fn is_old(intention: &Intention, now: Timestamp) -> bool {
    now.duration_since(intention.at) >= SETTLES
}

#[cfg(test)]
mod tests;
