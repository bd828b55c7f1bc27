//! Registers what Event Grid announces about recordings and calls.

use std::sync::Arc;
use std::time::Duration;

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp, civil};
use tracing::{info, warn};

use super::entry::RegisteredRecording;
use super::register::FoundAccount;
use super::{RecordingControl, address};
use crate::acs::wire::StateAtAcs;
use crate::error_chain::ErrorChain;
use crate::recording::{
    CallLocator, DocumentId, RecordedCall, RecordingChunk, RecordingFileStatusUpdated, RecordingId,
    ServerCallId,
};
use crate::store::documents::DocumentError;
use crate::store::people::PersonHash;
use crate::store::seen_calls::SeenCalls;

/// How long an event waits for ACS's answer.
const ASKED_WITHIN: Duration = Duration::from_secs(3);

/// What a recording's account says about the files that an event announces.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Announcement {
    Registered,
    /// The recording was not started through this app.
    StartedPastUs,
    /// The recording was erased on request: its chunks must not be exported.
    OfErasedRecording,
}

/// The recording of an event, and whether its files were known before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Announced {
    pub announcement: Announcement,
    pub order: EventOrder,
}

/// Whether earlier events announced files of a recording, according to its account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EventOrder {
    First,
    Later,
}

/// The account of the recording of an event, as it was before the event. Empty where the event names no recording.
pub struct BeforeEvent(Option<(RecordingId, FoundAccount)>);

impl BeforeEvent {
    /// Whether the account does not name this chunk: the chunk is probably new. Not for a recording that was erased.
    pub fn lacks(&self, document_id: &DocumentId) -> bool {
        let Some((_, found)) = &self.0 else {
            return false;
        };
        found.account().is_none_or(|account| {
            announcement_of(account) != Announcement::OfErasedRecording
                && !account.files.documents().any(|(_, id)| id == document_id)
        })
    }
}

impl RecordingControl {
    /// Registers what an event says about a recording's files. An event that says that no more files follow is only a
    /// reason to ask ACS whether the recording has ended.
    ///
    /// # Errors
    /// When the register fails.
    pub async fn announced(
        &self,
        update: &RecordingFileStatusUpdated,
    ) -> Result<Announced, DocumentError> {
        let before = self.before_event(update).await?;
        self.announced_after(update, before).await
    }

    /// Returns the account of the recording of an event, as it was before the event.
    ///
    /// # Errors
    /// When the register fails.
    pub async fn before_event(
        &self,
        update: &RecordingFileStatusUpdated,
    ) -> Result<BeforeEvent, DocumentError> {
        let Some(id) = account_of(update) else {
            return Ok(BeforeEvent(None));
        };
        let found = self.register.carried_or_read(&id).await?;
        Ok(BeforeEvent(Some((id, found))))
    }

    /// Like [`announced`](Self::announced), with the account as it was found before.
    ///
    /// # Errors
    /// When the register fails.
    pub async fn announced_after(
        &self,
        update: &RecordingFileStatusUpdated,
        before: BeforeEvent,
    ) -> Result<Announced, DocumentError> {
        let BeforeEvent(Some((id, found))) = before else {
            return Ok(Announced {
                announcement: Announcement::StartedPastUs,
                order: EventOrder::Later,
            });
        };
        let asked_at = self.clock.now();
        let known = found.account().cloned();
        let mut expected =
            known.unwrap_or_else(|| RegisteredRecording::unknown(id.clone(), asked_at));
        add_announced(&mut expected, update, asked_at);
        // Before the account is written, so that one write has both the files and the end.
        let answer = if update.is_last && expected.is_running() {
            let ended_at = update.event_time.unwrap_or(asked_at);
            self.ask_whether_it_ended(&expected, ended_at).await
        } else {
            None
        };
        let now = self.clock.now();
        let add = |account: &mut RegisteredRecording, _| {
            add_announced(account, update, now);
            if let Some(answer) = &answer {
                answer.apply_to(account);
            }
        };
        // On the heap: it holds several accounts.
        let changing = Box::pin(self.register.change_found(&id, found, now, add));
        let account = changing.await?;
        if let Some(answer) = &answer {
            answer.report(&id);
        }
        for problem in account.files.problems() {
            tracing::warn!(recording.id = %id, "Recording `{id}` is not complete: {problem}");
        }
        let is_first = account.files.announced_at == Some(now);
        Ok(Announced {
            announcement: announcement_of(&account),
            order: if is_first {
                EventOrder::First
            } else {
                EventOrder::Later
            },
        })
    }

    /// Whether the recording of an event was erased, where its account could not be changed.
    ///
    /// # Errors
    /// When the register fails. An unreadable account is no error: nothing says that the recording was erased.
    pub async fn look_up_announced(
        &self,
        update: &RecordingFileStatusUpdated,
    ) -> Result<Announcement, DocumentError> {
        let Some(id) = account_of(update) else {
            return Ok(Announcement::StartedPastUs);
        };
        match self.register.find(&id).await {
            Ok(account) => Ok(account
                .as_ref()
                .map_or(Announcement::StartedPastUs, announcement_of)),
            Err(DocumentError::Corrupt { .. }) => Ok(Announcement::Registered),
            Err(error) => Err(error),
        }
    }

    /// Whether the register has the recording of a chunk, and the chunk among its files. An unreadable account counts
    /// as existing: reports say what is wrong with it.
    ///
    /// # Errors
    /// When the register fails.
    pub async fn has_recording_of(&self, chunk: &RecordingChunk) -> Result<bool, DocumentError> {
        match self.register.find(&chunk.filed_under()).await {
            Ok(account) => {
                let files = account.map(|account| account.files);
                Ok(files.is_some_and(|files| {
                    files
                        .documents()
                        .any(|(_, document)| *document == chunk.document_id)
                }))
            }
            Err(DocumentError::Corrupt { .. }) => Ok(true),
            Err(error) => Err(error),
        }
    }

    /// Handles an event that says that the call has ended: a reason to ask ACS whether its recording has ended. Returns
    /// that recording.
    ///
    /// # Errors
    /// When the register fails. An unreachable ACS is no error: the recording counts as running, and the sweep asks.
    pub async fn call_ended(
        &self,
        server_call_id: &ServerCallId,
        at: Timestamp,
    ) -> Result<Option<RecordingId>, DocumentError> {
        let call = RecordedCall::Locator(CallLocator::ServerCall {
            server_call_id: server_call_id.clone(),
        });
        let Some(id) = self.calls.recording_of(&call).await? else {
            return Ok(None);
        };
        if let Some(account) = self.register.find(&id).await?
            && account.is_running()
            && let Some(answer) = self.ask_whether_it_ended(&account, at).await
        {
            let apply = |account: &mut RegisteredRecording| answer.apply_to(account);
            self.register.change(&id, self.clock.now(), apply).await?;
            answer.report(&id);
        }
        Ok(Some(id))
    }

    /// Notes people whom an event of a call names in the account of the call's recording, if there is one.
    ///
    /// # Errors
    /// When the register fails.
    pub async fn note_people(
        &self,
        server_call_id: &ServerCallId,
        people: &[PersonHash],
    ) -> Result<(), DocumentError> {
        if people.is_empty() {
            return Ok(());
        }
        let call = RecordedCall::Locator(CallLocator::ServerCall {
            server_call_id: server_call_id.clone(),
        });
        match self.calls.recording_of(&call).await? {
            Some(id) => self.add_people(&id, people).await,
            None => Ok(()),
        }
    }

    /// Notes people whom the start of a call named in the account of the recording whose files are announced.
    ///
    /// # Errors
    /// When the register fails.
    pub async fn announced_people(
        &self,
        update: &RecordingFileStatusUpdated,
        people: &[PersonHash],
    ) -> Result<(), DocumentError> {
        match account_of(update) {
            Some(id) if !people.is_empty() => self.add_people(&id, people).await,
            Some(_) | None => Ok(()),
        }
    }

    /// Adds the people whom the start of a call named to the account of its recording.
    pub(super) async fn add_people_of_call(
        &self,
        id: &RecordingId,
        call: &RecordedCall,
        began: Timestamp,
    ) -> Result<(), DocumentError> {
        let RecordedCall::Locator(CallLocator::ServerCall { server_call_id }) = call else {
            return Ok(());
        };
        let store = Arc::clone(&self.register.documents().store);
        let key = server_call_id.key();
        let names = std::iter::once(key.as_ref());
        match SeenCalls::new(store).find(names, began).await? {
            Some(seen) if !seen.people.is_empty() => self.add_people(id, &seen.people).await,
            Some(_) | None => Ok(()),
        }
    }

    async fn add_people(
        &self,
        id: &RecordingId,
        people: &[PersonHash],
    ) -> Result<(), DocumentError> {
        let add = |account: &mut RegisteredRecording| account.add_people(people);
        self.register
            .change(id, self.clock.now(), add)
            .await
            .map(drop)
    }

    /// Asks ACS about a recording that, by an event, ended at that time. `None` where ACS gave no answer: the sweep asks
    /// again.
    async fn ask_whether_it_ended(
        &self,
        account: &RegisteredRecording,
        ended_at: Timestamp,
    ) -> Option<Answer> {
        let id = &account.recording_id;
        if !self.acs_answers.may_ask() {
            return None;
        }
        let asked_at = self.clock.now();
        let answer = self.client.state(address(id, Some(account)));
        match tokio::time::timeout(ASKED_WITHIN, answer).await {
            Ok(Err(error)) if error.is_not_found() => {
                let heard_at = self.clock.now();
                let began = account.started_at.unwrap_or(Timestamp::MIN);
                let ended_at = ended_at.max(began).min(heard_at);
                Some(Answer::Ended { ended_at, heard_at })
            }
            Ok(Ok(answer)) => Some(Answer::State {
                at_acs: answer.recording_state,
                asked_at,
            }),
            Ok(Err(error)) => {
                warn!(recording.id = %id, error = %ErrorChain(&error), "Could not ask ACS whether recording `{id}` has ended; the sweep asks again");
                self.acs_answers.failed();
                None
            }
            Err(_) => {
                warn!(recording.id = %id, "ACS did not say in time whether recording `{id}` has ended; the sweep asks again");
                self.acs_answers.failed();
                None
            }
        }
    }
}

/// ACS's answer to the question whether a recording has ended.
enum Answer {
    /// ACS has no such recording any more.
    Ended {
        ended_at: Timestamp,
        heard_at: Timestamp,
    },
    State {
        at_acs: StateAtAcs,
        asked_at: Timestamp,
    },
}

impl Answer {
    fn apply_to(&self, account: &mut RegisteredRecording) {
        match *self {
            Self::Ended { ended_at, heard_at } => account.ended(ended_at, heard_at),
            Self::State { at_acs, asked_at } => account.observe(at_acs, asked_at),
        }
    }

    /// Logs an end, once the account has it.
    fn report(&self, id: &RecordingId) {
        match self {
            Self::Ended { .. } => info!(recording.id = %id, "Recording `{id}` has ended"),
            Self::State { .. } => {}
        }
    }
}

/// Adds what an event says to the account of its recording.
fn add_announced(
    account: &mut RegisteredRecording,
    update: &RecordingFileStatusUpdated,
    now: Timestamp,
) {
    let server_call_id = update.server_call_id.clone();
    let call = server_call_id.map(|server_call_id| CallLocator::ServerCall { server_call_id });
    account.call = account.call.take().or(call.map(RecordedCall::Locator));
    account.call_id = account
        .call_id
        .take()
        .or_else(|| update.chunks.iter().find_map(|chunk| chunk.call_id.clone()));
    let started_at = update.started_at.filter(|at| is_believable(*at, now));
    account.started_at = account.started_at.or(started_at);
    account.files.add(update, now);
}

/// Whether a recording can have begun then: not before 2020, when ACS could not record yet, and at most a day in the
/// future, because clocks differ.
fn is_believable(started_at: Timestamp, now: Timestamp) -> bool {
    let since = civil::date(2020, 1, 1).to_zoned(TimeZone::UTC);
    since.is_ok_and(|since| since.timestamp() <= started_at)
        && started_at.duration_since(now) <= SignedDuration::from_hours(24)
}

/// The recording whose account an event changes. Events of 2021 name none: then its chunks' substitute id.
fn account_of(update: &RecordingFileStatusUpdated) -> Option<RecordingId> {
    let filed_under = || update.chunks.first().map(RecordingChunk::filed_under);
    update.recording_id.clone().or_else(filed_under)
}

fn announcement_of(account: &RegisteredRecording) -> Announcement {
    if account.erased.is_some() {
        Announcement::OfErasedRecording
    } else if account.registered_at.is_some() || account.started_by.is_some() {
        Announcement::Registered
    } else {
        Announcement::StartedPastUs
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_recording_that_was_started_here_under_no_name_is_not_unsolicited() {
        let now: Timestamp = "2026-03-02T10:00:00Z".parse().unwrap();
        let mut account = RegisteredRecording::unknown("r".parse().unwrap(), now);
        assert_eq!(announcement_of(&account), Announcement::StartedPastUs);
        account.registered_at = Some(now);
        assert_eq!(announcement_of(&account), Announcement::Registered);
    }

    #[rstest::rstest]
    #[case("0001-01-01T00:00:00Z", false)]
    #[case("2026-03-02T10:00:00Z", true)]
    #[case("2026-03-03T09:00:00Z", true)]
    #[case("2027-01-01T00:00:00Z", false)]
    fn a_start_that_no_recording_can_have_is_not_believed(
        #[case] started_at: Timestamp,
        #[case] expected: bool,
    ) {
        let now = "2026-03-02T12:00:00Z".parse().unwrap();
        assert_eq!(is_believable(started_at, now), expected);
    }
}
