//! What `hold` takes for its subject. A new hold is parsed strictly: a mistyped id would hold nothing. A release takes every
//! id under which a hold may have been made, through whichever door. It knows no storage.

use std::fmt;

use clap::Args;
use recording_vault::app::App;
use recording_vault::catalogue::person::{LacksCountry, Person};
use recording_vault::operator_actions::hold::PeriodEdge;
use recording_vault::recording::{CallId, RecordingId};
use recording_vault::store::holds::{CaseTag, Held, HeldPerson, HoldRule, InvalidRule};
use recording_vault::store::index::Period;
use recording_vault::visible;

use crate::cli::argument;
use crate::cli::quoting::quoted;

/// One recording, one call, or all recordings of a person or of a period.
#[derive(Args)]
#[group(multiple = true)]
pub struct HoldSubject {
    /// The recording's `recordingId`
    #[arg(
        long,
        value_parser = argument::recording,
        conflicts_with_all = ["call", "person", "from", "to"]
    )]
    recording: Option<RecordingId>,
    /// The call's `callId` or `serverCallId`, as events give them
    #[arg(
        long,
        value_parser = argument::call,
        conflicts_with_all = ["person", "from", "to"]
    )]
    call: Option<CallId>,
    /// All recordings of this participant, also later ones: a participant's id such as 8:acs:…, or a phone number
    #[arg(long, value_parser = argument::person)]
    person: Option<Person>,
    /// Start of the period, inclusive: a day, a month (both UTC) or a time
    #[arg(long, value_name = "DAY")]
    from: Option<PeriodEdge>,
    /// End of the period: a day or a month (both UTC and inclusive), or a time (exclusive)
    #[arg(long, value_name = "DAY")]
    to: Option<PeriodEdge>,
}

/// The same of a hold that exists, as `hold list` prints it.
#[derive(Args)]
#[group(multiple = true)]
pub struct ReleasedSubject {
    /// The id of the recording that is held
    #[arg(long, conflicts_with_all = ["call", "person", "from", "to"])]
    recording: Option<RecordingId>,
    /// The id of the call that is held
    #[arg(long, conflicts_with_all = ["person", "from", "to"])]
    call: Option<CallId>,
    /// The person whose recordings are held
    #[arg(long)]
    person: Option<Person>,
    /// Start of the period that is held
    #[arg(long, value_name = "DAY")]
    from: Option<PeriodEdge>,
    /// End of the period that is held
    #[arg(long, value_name = "DAY")]
    to: Option<PeriodEdge>,
}

/// Why no hold can have this subject.
#[derive(Debug, thiserror::Error)]
pub enum InvalidSubject {
    #[error(
        "name what is held: --recording, --call, or any of --person, --from and --to, which combine"
    )]
    Nothing,
    #[error(transparent)]
    Rule(InvalidRule),
}

impl From<ReleasedSubject> for HoldSubject {
    fn from(released: ReleasedSubject) -> Self {
        let ReleasedSubject {
            recording,
            call,
            person,
            from,
            to,
        } = released;
        Self {
            recording,
            call,
            person,
            from,
            to,
        }
    }
}

impl HoldSubject {
    /// Returns what is wrong with the subject.
    pub fn problem(&self) -> Option<InvalidSubject> {
        let is_one = self.recording.is_some() || self.call.is_some() || self.person.is_some();
        if !is_one && self.from.is_none() && self.to.is_none() {
            return Some(InvalidSubject::Nothing);
        }
        let Period { from, to } = PeriodEdge::period(self.from, self.to);
        let is_empty = from.zip(to).is_some_and(|(from, to)| to <= from);
        is_empty.then_some(InvalidSubject::Rule(InvalidRule::EndsBeforeItBegins))
    }

    /// Returns why the person names nobody, where there is one.
    pub fn without_country(&self, app: &App) -> Option<LacksCountry> {
        let person = self.person.as_ref()?;
        app.catalogue.check_country(person).err()
    }

    /// # Errors
    /// When the name of a person cannot be read.
    pub async fn held(self, app: &App) -> anyhow::Result<Held> {
        if let Some(id) = self.recording {
            return Ok(Held::RecordingId(id));
        }
        if let Some(id) = self.call {
            return Ok(Held::CallId(id));
        }
        let person = match &self.person {
            Some(person) => Some(app.actions.held_person(person).await?),
            None => None,
        };
        let period = PeriodEdge::period(self.from, self.to);
        Ok(Held::Matching(HoldRule::new(person, period)?))
    }
}

/// The command that releases a hold, for a POSIX shell.
pub struct ReleaseCommand<'a> {
    pub held: &'a Held,
    pub case: &'a CaseTag,
}

impl ReleaseCommand<'_> {
    /// The options that name the subject; empty if the id of its person was removed.
    fn options(&self) -> Vec<(&'static str, String)> {
        match self.held {
            Held::RecordingId(id) => vec![("recording", id.to_string())],
            Held::CallId(id) => vec![("call", id.to_string())],
            Held::Matching(rule) => {
                let id = rule.person().map(HeldPerson::id);
                let person = match id {
                    Some(None) => return Vec::new(),
                    Some(Some(id)) => Some(("person", id.to_owned())),
                    None => None,
                };
                let Period { from, to } = rule.period();
                let from = from.map(|from| ("from", from.to_string()));
                let to = to.map(|to| ("to", to.to_string()));
                [person, from, to].into_iter().flatten().collect()
            }
        }
    }
}

impl fmt::Display for ReleaseCommand<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let case = self.case.to_string();
        visible::write_part(
            f,
            format_args!("recording-vault hold release --case={}", quoted(&case)),
        )?;
        self.options().iter().try_for_each(|(option, value)| {
            visible::write_part(f, format_args!(" --{option}={}", quoted(value)))
        })
    }
}

impl ReleaseCommand<'_> {
    /// Whether the hold can be named.
    pub fn is_complete(&self) -> bool {
        !self.options().is_empty()
    }
}
