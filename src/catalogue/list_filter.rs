//! Which recordings a list has. Pure.

use jiff::Timestamp;

use super::known::KnownRecording;
use super::person::Person;
use super::row::Row;
use crate::recording::FormatKind;
use crate::recording::id::canonical;
use crate::standing::Standing;
use crate::store::index::{Period, Place};

/// The conditions of a list; `None` matches everything.
#[derive(Debug, Clone, Default)]
pub struct ListFilter {
    /// Range of its start.
    pub period: Period,
    /// Any of its call's names.
    pub call: Option<String>,
    /// Only recordings of this person.
    pub person: Option<Person>,
    pub status: Option<Standing>,
    pub format: Option<FormatKind>,
    /// The id of a recording or call, or its beginning.
    pub id: Option<String>,
    pub top: usize,
    pub after: Option<Place>,
}

impl ListFilter {
    /// Whether a recording of that time matches.
    pub(super) fn has_time(&self, at: Timestamp) -> bool {
        self.period.from.is_none_or(|from| from <= at) && self.period.to.is_none_or(|to| at < to)
    }

    /// Whether a recording without a name may match.
    pub(super) fn is_for_any_name(&self) -> bool {
        self.call.is_none() && self.person.is_none() && self.id.is_none()
    }

    /// Whether the ids of a recording and of its call match.
    pub(super) fn has_ids_of(&self, recorded: &KnownRecording) -> bool {
        let is_call = |wanted: &String| {
            let wanted = comparable(wanted);
            recorded
                .account
                .call_names()
                .any(|name| comparable(name) == wanted)
        };
        let begins = |wanted: &String| {
            let wanted = comparable(wanted);
            let ids = std::iter::once(recorded.account.recording_id.as_str())
                .chain(recorded.account.call_names());
            ids.into_iter()
                .any(|id| comparable(id).starts_with(&wanted))
        };
        self.call.as_ref().is_none_or(is_call) && self.id.as_ref().is_none_or(begins)
    }

    /// Whether standing and format of a row match.
    pub(super) fn fits(&self, row: &Row) -> bool {
        self.status.is_none_or(|status| row.status == status)
            && self.format.is_none_or(|format| row.format == Some(format))
    }
}

fn comparable(id: &str) -> String {
    canonical(id.trim()).to_lowercase()
}
