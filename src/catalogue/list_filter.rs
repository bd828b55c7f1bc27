//! Which recordings a list has. Pure.

use jiff::Timestamp;

use super::continuation::Continuation;
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
    /// Where the page begins; `None`: with the first.
    pub after: Option<Continuation>,
}

impl ListFilter {
    /// Whether a recording of that time matches.
    pub(super) fn has_time(&self, at: Timestamp) -> bool {
        self.period.from.is_none_or(|from| from <= at) && self.period.to.is_none_or(|to| at < to)
    }

    /// Whether the page has what is at a place.
    pub(super) fn is_after(&self, place: &Place) -> bool {
        self.place()
            .is_none_or(|after| place.to_string() > after.to_string())
    }

    /// The place after which the page begins.
    pub(super) fn place(&self) -> Option<&Place> {
        self.after.as_ref().and_then(Continuation::place)
    }

    /// The number of its conditions on what names a recording.
    pub(super) fn names(&self) -> usize {
        let (call, person, id) = (&self.call, &self.person, &self.id);
        let names = [call.is_some(), person.is_some(), id.is_some()];
        names.into_iter().filter(|is_given| *is_given).count()
    }

    /// Whether a recording without a name may match.
    pub(super) fn is_for_any_name(&self) -> bool {
        self.names() == 0
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

    /// Whether a row matches but for its format, which is unknown.
    pub(super) fn lacks_format(&self, row: &Row) -> bool {
        let is_of_status = self.status.is_none_or(|status| row.status == status);
        is_of_status && self.format.is_some() && row.format.is_none()
    }
}

fn comparable(id: &str) -> String {
    canonical(id.trim()).to_lowercase()
}
