//! What is known of a start that returned no recording: whether it may have begun one. Pure.
//!
//! An answer is about one attempt. What an earlier attempt did stays unknown until ACS refuses the start itself: ACS gives a
//! repeated start its first answer. An answer about our credential, or of a front end, says nothing about earlier attempts.

use super::error::{AcsError, is_credential_refused};
use crate::recording::RecordedCall;

/// Codes with which ACS refuses a start itself: the call is not established (`8501`), not found (`8522`), terminated
/// (`8528`) or no group call (`8548`), or the options are invalid (`8523`, `8557`, `8562`).
/// <https://github.com/MicrosoftDocs/azure-docs/blob/main/articles/communication-services/resources/troubleshooting/voice-video-calling/includes/codes/call-automation-sdk.md>.
const REFUSES_START: [&str; 7] = ["8501", "8522", "8523", "8528", "8548", "8557", "8562"];

/// Whether an earlier request of our caller, or another process, may have sent the same start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SentBefore {
    No,
    Maybe,
}

/// Proof that a start began no recording.
#[derive(Debug)]
pub struct NotBegun(());

/// Why a start returned no recording.
#[derive(Debug)]
pub enum StartError {
    /// It began none.
    NotBegun { error: AcsError, proof: NotBegun },
    /// The call is being recorded. Without a proof, perhaps by this start.
    Duplicate {
        error: AcsError,
        proof: Option<NotBegun>,
    },
    /// It may have begun one.
    Unknown(AcsError),
}

impl NotBegun {
    /// Returns the proof if ACS answered the start of a call with the recording of another one.
    pub fn by_another_call(started: &RecordedCall, recorded: &RecordedCall) -> Option<Self> {
        recorded.is_another(started).then_some(Self(()))
    }
}

impl StartError {
    /// Classifies the error of the last attempt. `is_repeatable`: ACS gives a repeated start its first answer.
    pub(super) fn of(error: AcsError, sent_before: SentBefore, is_repeatable: bool) -> Self {
        let (last, was_sent_before) = if let AcsError::AfterLostAnswer(last) = &error {
            (&**last, true)
        } else {
            (&error, sent_before == SentBefore::Maybe)
        };
        let is_proved = !last.may_have_taken_effect()
            && (!was_sent_before || (is_repeatable && refuses_start(last)));
        let proof = is_proved.then_some(NotBegun(()));
        match proof {
            proof if last.is_duplicate_start() => Self::Duplicate { error, proof },
            Some(proof) => Self::NotBegun {
                error: error.of_last_attempt(),
                proof,
            },
            None => Self::Unknown(error),
        }
    }
}

fn refuses_start(error: &AcsError) -> bool {
    let is_of_credential = error
        .answer()
        .is_some_and(|(status, _)| is_credential_refused(status));
    !is_of_credential && error.has_code(&REFUSES_START)
}

#[cfg(test)]
mod tests {
    use super::super::error::{AcsErrorAnswer, ExchangeError};
    use super::super::operation::NoConversation;
    use super::*;
    use reqwest::StatusCode;

    fn answered(status: u16, code: Option<&str>) -> AcsError {
        let answer = AcsErrorAnswer {
            code: code.map(str::to_owned),
            ..AcsErrorAnswer::default()
        };
        AcsError::Answered {
            status: StatusCode::from_u16(status).unwrap(),
            answer: Box::new(answer),
        }
    }

    fn token() -> AcsError {
        let error = azure_core::Error::with_message(
            azure_core::error::ErrorKind::Credential,
            "no managed identity",
        );
        ExchangeError::Token(error).into()
    }

    fn meaning(error: AcsError, sent_before: SentBefore, is_repeatable: bool) -> &'static str {
        match StartError::of(error, sent_before, is_repeatable) {
            StartError::NotBegun { .. } => "not begun",
            StartError::Duplicate { proof: Some(_), .. } => "of another start",
            StartError::Duplicate { proof: None, .. } => "duplicate",
            StartError::Unknown(_) => "unknown",
        }
    }

    #[rstest::rstest]
    #[case::refused(answered(400, Some("8501")), "not begun", "not begun")]
    #[case::terminated(answered(400, Some("8528")), "not begun", "not begun")]
    #[case::other_code(answered(409, Some("8519")), "not begun", "unknown")]
    #[case::duplicate(answered(400, Some("8553")), "of another start", "duplicate")]
    #[case::signature(answered(401, Some("7509")), "not begun", "unknown")]
    #[case::role(answered(403, Some("7504")), "not begun", "unknown")]
    #[case::firewall(answered(403, None), "not begun", "unknown")]
    #[case::credential_first(answered(403, Some("8523")), "not begun", "unknown")]
    #[case::throttled(answered(429, None), "not begun", "unknown")]
    #[case::moved(answered(307, None), "not begun", "unknown")]
    #[case::page(answered(400, None), "unknown", "unknown")]
    #[case::missing_page(answered(404, None), "unknown", "unknown")]
    #[case::failing(answered(503, Some("8501")), "unknown", "unknown")]
    #[case::no_conversation(NoConversation.into(), "not begun", "unknown")]
    #[case::token(token(), "not begun", "unknown")]
    fn what_an_error_says_of_a_start(
        #[case] error: AcsError,
        #[case] first: &str,
        #[case] repeated: &str,
    ) {
        let again = match &error {
            AcsError::Answered { status, answer } => {
                answered(status.as_u16(), answer.code.as_deref())
            }
            AcsError::NoConversation(_) => NoConversation.into(),
            AcsError::Unreadable { .. }
            | AcsError::Exchange(_)
            | AcsError::Interrupted(_)
            | AcsError::TooLong
            | AcsError::AfterLostAnswer(_) => token(),
        };
        assert_eq!(meaning(error, SentBefore::No, true), first);
        assert_eq!(meaning(again, SentBefore::Maybe, true), repeated);
    }

    #[test]
    fn a_lost_answer_within_one_exchange_counts_as_sent_before() {
        let unauthorized = || answered(401, Some("7509")).after_lost_answer();
        assert_eq!(meaning(unauthorized(), SentBefore::No, true), "unknown");
        let refused = || answered(400, Some("8501")).after_lost_answer();
        assert_eq!(meaning(refused(), SentBefore::No, true), "not begun");
    }

    #[test]
    fn a_version_that_does_not_recognize_repetitions_proves_nothing_about_earlier_attempts() {
        let refused = || answered(400, Some("8501"));
        assert_eq!(meaning(refused(), SentBefore::Maybe, false), "unknown");
        assert_eq!(meaning(refused(), SentBefore::No, false), "not begun");
    }
}
