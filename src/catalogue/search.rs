//! One search for everything: an id of any kind, a day or days, a state, a person, the text of a case. The shell, the
//! page and the API's `q` find the same. It must not know who asks.

use std::str::FromStr as _;

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan as _};
use uuid::Uuid;

use super::continuation::Continuation;
use super::covered::Covered;
use super::known::{KnownRecording, Reading};
use super::list::{ListFilter, Page, without_account};
use super::not_searched::NotSearched;
use super::page::PlacedPage;
use super::people::RecordingsOf;
use super::person::Person;
use super::{Catalogue, CatalogueError};
use crate::export::LedgerEntry;
use crate::recording::{DocumentId, RecordingId};
use crate::standing::{ChunkEntry, Standing};
use crate::store::audit::Operator;
use crate::store::index::{Listed, Period, recording_name};

/// What a text asks for by its form alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Asked {
    Period(Period),
    Standing(Standing),
    /// Its form does not tell what it names.
    Name,
}

impl Asked {
    fn of(text: &str) -> Self {
        if let Some(period) = period(text) {
            return Self::Period(period);
        }
        Standing::from_str(text).map_or(Self::Name, Self::Standing)
    }
}

/// What is found by an id.
#[derive(Default)]
struct ById {
    page: PlacedPage,
    /// The text is the whole id of a recording or chunk.
    is_whole: bool,
}

/// What a text that may be a chunk's id leads to.
enum OfDocument {
    Recording(RecordingId),
    /// The chunk's entry is not readable: its recording is not known.
    Unreadable(DocumentId),
    None,
}

/// Days that form no period.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidPeriod {
    #[error("the period must end after it begins; swap its start and end")]
    EndsBeforeItBegins,
    #[error(
        "an end of the period is not a day or month of the calendar, such as 2026-03-02 or 2026-03"
    )]
    NoDay,
}

/// Returns what is wrong with a period, `<from>..<to>`. A text that has no end of that form is no period.
pub fn invalid_period(text: &str) -> Option<InvalidPeriod> {
    let is_written = |text: &str| {
        text.contains('-')
            && text
                .bytes()
                .all(|byte| byte.is_ascii_digit() || byte == b'-')
    };
    let (from, to) = text.split_once("..")?;
    let ends = [from.trim(), to.trim()];
    if !ends.into_iter().any(is_written) {
        return None;
    }
    match period(text) {
        None => Some(InvalidPeriod::NoDay),
        Some(Period {
            from: Some(from),
            to: Some(to),
        }) if to <= from => Some(InvalidPeriod::EndsBeforeItBegins),
        Some(_) => None,
    }
}

impl Catalogue {
    /// Returns a page of the recordings that `text` finds among those of `filter`, newest first; what a case or a person names
    /// comes before what begins with the text as an id. A search for a person is recorded in the audit log.
    ///
    /// # Errors
    /// When the storage fails.
    pub async fn search(
        &self,
        text: &str,
        filter: ListFilter,
        operator: &Operator,
    ) -> Result<Page, CatalogueError> {
        if let Some(person) = &filter.person {
            self.note_search(person, operator).await?;
        }
        let text = text.trim();
        let page = match Asked::of(text) {
            Asked::Period(period) => {
                let period = narrowed(period, filter.period);
                self.list_page(&ListFilter { period, ..filter }).await?
            }
            // A recording has one standing.
            Asked::Standing(asked) if filter.status.is_some_and(|other| other != asked) => {
                PlacedPage::default()
            }
            Asked::Standing(asked) => {
                let status = Some(asked);
                self.list_page(&ListFilter { status, ..filter }).await?
            }
            Asked::Name => Box::pin(self.named(text, &filter, operator)).await?,
        };
        Ok(page.into())
    }

    /// Returns a page of all that a text may name: first the recordings of people and cases, then those whose ids, or the
    /// ids of whose calls and chunks, begin with it. To find an id by its beginning, a large part of the list may be read.
    async fn named(
        &self,
        text: &str,
        filter: &ListFilter,
        operator: &Operator,
    ) -> Result<PlacedPage, CatalogueError> {
        // An unencoded `+` of a query reads as a space, and ids have none.
        let id = text.replace(' ', "+");
        let someone = Box::pin(self.of_someone(&id, filter, operator)).await?;
        let is_someone = someone.is_some();
        let is_among_ids = matches!(filter.after, Some(Continuation::OfIds(_)));
        let mut of_cases = self.of_cases(text).await?;
        let of_person = someone.map(|someone| {
            of_cases.add(someone.found);
            someone.not_searched
        });
        let OfCases {
            has_case,
            is_tag,
            found,
            not_searched,
        } = of_cases;
        let others = Box::pin(self.fitting(found, filter)).await?;
        let names = others.names();
        let mut page = if is_among_ids {
            PlacedPage::default()
        } else {
            self.page_of(others, filter).await?
        };
        let mut is_whole = false;
        if page.next.is_none() && page.rows.len() >= filter.top {
            page.next = Some(Continuation::OfIds(None));
        } else if page.next.is_none() {
            // No id begins with the whole name of a person. The whole tag of a case finds only that case.
            let is_other = is_tag || is_someone && is_whole_name(text);
            let ids = self.by_id(&id, is_other, filter, page.rows.len());
            let ids = Box::pin(ids).await?;
            is_whole = ids.is_whole;
            page.append(ids.page.without(&names));
        }
        if let Some(of_person) = of_person {
            page.not_searched.get_or_insert_default().merge(of_person);
        }
        // A whole id is no tag of a case.
        if has_case || !is_whole {
            page.add_not_searched(not_searched);
        }
        let is_named = is_someone || has_case || is_whole;
        // It may be a person who is in no recording yet.
        if !is_named
            && page.rows.is_empty()
            && page.next.is_none()
            && let Ok(person) = id.parse::<Person>()
        {
            let sought = self.sought(&person).await?;
            page.add_not_searched(NotSearched {
                lacks_country: self.lacks_country(text),
                ..self.not_searched(&sought, filter).await?
            });
        }
        Ok(page)
    }

    /// Returns a page of the recordings that an id names, or the beginning of one. `is_other`: the text is the whole name of a
    /// person or a case, and no beginning of an id. `rows`: so many the page has already.
    async fn by_id(
        &self,
        text: &str,
        is_other: bool,
        filter: &ListFilter,
        rows: usize,
    ) -> Result<ById, CatalogueError> {
        let (id, is_of_chunk) = match self.of_document(text).await? {
            OfDocument::Recording(recording) => (recording.to_string(), true),
            OfDocument::Unreadable(id) => {
                let mut page = PlacedPage::default();
                page.add_unreadable([format!("the entry of chunk {id}")]);
                let is_whole = true;
                return Ok(ById { page, is_whole });
            }
            // An id may be the same.
            OfDocument::None if is_other && !self.has_id(text).await? => {
                return Ok(ById::default());
            }
            OfDocument::None => (text.to_owned(), false),
        };
        let after = filter
            .after
            .clone()
            .filter(|after| matches!(after, Continuation::OfIds(_)));
        let by_id = ListFilter {
            id: Some(id),
            top: filter.top.saturating_sub(rows).max(1),
            after,
            ..filter.clone()
        };
        let mut page = self.list_page(&by_id).await?;
        page.next = page
            .next
            .map(|next| Continuation::OfIds(next.place().cloned()));
        let is_of_recording = text.parse::<RecordingId>().is_ok_and(|id| {
            let mut rows = page.rows.iter();
            let is_same = |known: RecordingId| known == id;
            rows.any(|(_, row)| row.recording_id.parse().is_ok_and(is_same))
        });
        Ok(ById {
            page,
            is_whole: is_of_chunk || is_of_recording,
        })
    }

    /// Whether there is a recording or a call with this id.
    async fn has_id(&self, text: &str) -> Result<bool, CatalogueError> {
        if let Ok(id) = text.parse::<RecordingId>()
            && !matches!(self.read(&recording_name(&id)).await?, Reading::Absent)
        {
            return Ok(true);
        }
        let (index, call) = (self.ledger.index(), Listed::Call(text.to_owned()));
        let places = index.places(&call, Period::default(), None, 1).await?;
        Ok(!places.is_empty())
    }

    /// Returns the recording of a chunk.
    async fn of_document(&self, text: &str) -> Result<OfDocument, CatalogueError> {
        let Ok(id) = text.parse::<DocumentId>() else {
            return Ok(OfDocument::None);
        };
        Ok(match self.chunk_entry(&id).await? {
            ChunkEntry::Found(entry) => OfDocument::Recording(entry.chunk.filed_under()),
            ChunkEntry::Unreadable => OfDocument::Unreadable(id),
            ChunkEntry::Absent => OfDocument::None,
        })
    }

    /// Returns the recordings of a person; `None` if that person was in none.
    async fn of_someone(
        &self,
        text: &str,
        filter: &ListFilter,
        operator: &Operator,
    ) -> Result<Option<RecordingsOf>, CatalogueError> {
        let Ok(person) = text.parse::<Person>() else {
            return Ok(None);
        };
        let (index, sought) = (self.ledger.index(), self.sought(&person).await?);
        let mut is_known = false;
        for list in sought.lists() {
            let any = index.places(&list, Period::default(), None, 1).await?;
            is_known |= !any.is_empty();
        }
        // Any text may be a person's name elsewhere: one that is in no recording is a search for a person if it is an id.
        if is_known || person.is_id() {
            self.note_search(&person, operator).await?;
        }
        if !is_known {
            return Ok(None);
        }
        Ok(Some(self.recordings_of(&sought, filter).await?))
    }

    /// Returns the recordings that are held for cases whose tag contains the text.
    async fn of_cases(&self, text: &str) -> Result<OfCases, CatalogueError> {
        let text = text.to_lowercase();
        let kept = self.ledger.holds().all().await?;
        let mut of_cases = OfCases::default();
        let unreadable = kept.unreadable.iter();
        let unreadable = unreadable.map(|key| format!("the hold `{key}`"));
        of_cases.not_searched.add_unreadable(unreadable);
        for hold in kept.holds {
            let tags = hold.cases.iter();
            let mut tags = tags.map(|case| case.tag.to_string().to_lowercase());
            let Some(tag) = tags.find(|tag| tag.contains(&text)) else {
                continue;
            };
            of_cases.has_case = true;
            of_cases.is_tag |= tag == text || tags.any(|tag| tag == text);
            let mut held = self.recordings_held(&hold.held).await?.found;
            held.retain(|recorded| {
                hold.held.rule().is_some() || recorded.is_covered_by_name(&hold.held)
            });
            of_cases.add(held);
            of_cases.add_covered(self.covered_by(&hold.held).await?);
        }
        Ok(of_cases)
    }
}

/// The recordings that are held for cases.
#[derive(Debug, Default)]
struct OfCases {
    /// A readable hold is for such a case.
    has_case: bool,
    /// The text is the whole tag of one.
    is_tag: bool,
    found: Vec<KnownRecording>,
    not_searched: NotSearched,
}

impl OfCases {
    fn add(&mut self, recordings: Vec<KnownRecording>) {
        for recording in recordings {
            let id = &recording.account.recording_id;
            let mut found = self.found.iter();
            if found.all(|known| known.account.recording_id != *id) {
                self.found.push(recording);
            }
        }
    }

    /// Notes what a hold covers, or may cover, and no row shows.
    fn add_covered(&mut self, covered: Covered) {
        self.not_searched.is_capped |= covered.is_capped;
        let Self {
            found,
            not_searched,
            ..
        } = self;
        let is_shown = |entry: &LedgerEntry| {
            let id = entry.chunk.filed_under();
            found.iter().any(|known| known.account.recording_id == id)
        };
        let entries = covered.entries.iter().chain(&covered.uncertain);
        let hidden = entries.filter(|entry| !is_shown(entry));
        let hidden = hidden.map(|entry| without_account(&entry.chunk.document_id));
        not_searched.add_unreadable(hidden);
        not_searched.add_unreadable(covered.unreadable);
    }
}

/// Whether a text can be nothing but a whole id, or a phone number in several parts, if it names a person.
fn is_whole_name(person: &str) -> bool {
    let is_id = |person: Person| person.is_id();
    let is_in_parts = |character: char| " ()/".contains(character);
    Uuid::try_parse(person).is_ok()
        || person.contains(is_in_parts)
        || person.parse().is_ok_and(is_id)
}

/// Reads `2026-03-02`, `2026-03`, or two of them with `..` between; both ends included (UTC).
fn period(text: &str) -> Option<Period> {
    let (from, to) = text.split_once("..").unwrap_or((text, text));
    let (from, to) = (from.trim(), to.trim());
    let from = match from {
        "" => None,
        from => Some(days(from)?.0),
    };
    let to = match to {
        "" => None,
        to => Some(days(to)?.1),
    };
    (from.is_some() || to.is_some()).then_some(Period { from, to })
}

/// The beginning of a day or month, and of the one after it.
fn days(text: &str) -> Option<(Timestamp, Timestamp)> {
    let is_plain = text
        .bytes()
        .all(|byte| byte.is_ascii_digit() || byte == b'-');
    let (first, next) = match (text.len(), is_plain) {
        (10, true) => {
            let day: Date = text.parse().ok()?;
            (day, day.checked_add(1.day()).ok()?)
        }
        (7, true) => {
            let day: Date = format!("{text}-01").parse().ok()?;
            (day, day.checked_add(1.month()).ok()?)
        }
        (_, _) => return None,
    };
    let beginning = |day: Date| Some(day.to_zoned(TimeZone::UTC).ok()?.timestamp());
    Some((beginning(first)?, beginning(next)?))
}

/// Returns the intersection.
fn narrowed(one: Period, other: Period) -> Period {
    let later = |one: Option<Timestamp>, other: Option<Timestamp>| match (one, other) {
        (Some(one), Some(other)) => Some(one.max(other)),
        (one, other) => one.or(other),
    };
    let earlier = |one: Option<Timestamp>, other: Option<Timestamp>| match (one, other) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    };
    Period {
        from: later(one.from, other.from),
        to: earlier(one.to, other.to),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(from: Option<&str>, to: Option<&str>) -> Asked {
        let at = |text: &str| format!("{text}T00:00:00Z").parse().unwrap();
        Asked::Period(Period {
            from: from.map(at),
            to: to.map(at),
        })
    }

    #[rstest::rstest]
    #[case("2026-03-02", Some("2026-03-02"), Some("2026-03-03"))]
    #[case("2026-03", Some("2026-03-01"), Some("2026-04-01"))]
    #[case("2026-03-02..2026-03-07", Some("2026-03-02"), Some("2026-03-08"))]
    #[case("2026-03-02 .. 2026-03-07", Some("2026-03-02"), Some("2026-03-08"))]
    #[case("2026-12..", Some("2026-12-01"), None)]
    #[case("..2026-12-31", None, Some("2027-01-01"))]
    fn days_and_months_are_periods(
        #[case] text: &str,
        #[case] from: Option<&str>,
        #[case] to: Option<&str>,
    ) {
        assert_eq!(Asked::of(text), asked(from, to));
    }

    #[rstest::rstest]
    #[case("..")]
    #[case("2026-02-30")]
    #[case("2026-13")]
    #[case("20260302")]
    #[case("7c62cca0-0000-4444-8888-000000000001")]
    #[case("4:+15551230001")]
    fn other_texts_are_names(#[case] text: &str) {
        assert_eq!(Asked::of(text), Asked::Name);
    }

    #[rstest::rstest]
    #[case("2026-03-05..2026-03-01", Some(InvalidPeriod::EndsBeforeItBegins))]
    #[case("2026-03..2026-02", Some(InvalidPeriod::EndsBeforeItBegins))]
    #[case("2026-02-30..2026-03-01", Some(InvalidPeriod::NoDay))]
    #[case("2026-03-01..tomorrow", Some(InvalidPeriod::NoDay))]
    #[case("2026-03-01..2026-03-01", None)]
    #[case("..2026-03", None)]
    #[case("2026-02-30", None)]
    #[case("wait..what", None)]
    #[case("4711..4715", None)]
    #[case("..", None)]
    fn a_period_that_has_no_days_is_named(
        #[case] text: &str,
        #[case] expected: Option<InvalidPeriod>,
    ) {
        assert_eq!(invalid_period(text), expected);
    }

    #[test]
    fn a_state_is_a_state() {
        assert_eq!(Asked::of("lost"), Asked::Standing(Standing::Lost));
    }

    #[test]
    fn two_periods_match_what_is_in_both() {
        let Asked::Period(march) = Asked::of("2026-03") else {
            panic!("it is a month")
        };
        let Asked::Period(until) = Asked::of("..2026-03-02") else {
            panic!("it is a period")
        };
        assert_eq!(
            Asked::Period(narrowed(march, until)),
            asked(Some("2026-03-01"), Some("2026-03-03"))
        );
    }
}
