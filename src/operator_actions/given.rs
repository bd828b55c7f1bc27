//! What an operator gives as an id or as a person. A text that names something else is refused with what it is: a hold on
//! it would hold nothing. It knows no door; each says where another kind of id belongs.

use std::str::FromStr;

use jiff::civil::Date;

use crate::catalogue::person::{NoPerson, Person};
use crate::recording::{DocumentId, InvalidId, PersonKey};
use crate::visible;

/// Marks of quotation that a shell did not take away.
const QUOTES: [(char, char); 6] = [
    ('\'', '\''),
    ('"', '"'),
    ('`', '`'),
    ('“', '”'),
    ('‘', '’'),
    ('<', '>'),
];
/// Years in which a text of the form `dddd-dd-dd` is a day; it may be a phone number otherwise.
const YEARS: std::ops::Range<i16> = 1900..2200;

/// Why a text is not what it is given as.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidText {
    #[error("it is empty; leave it out, or give a value")]
    Empty,
    #[error("the value has quotes or brackets around it; give it without them")]
    Quoted,
    #[error(
        "it is the id of a chunk, and {wanted} is expected; `recording-vault show {id}` names its recording and call"
    )]
    ChunkId { id: String, wanted: &'static str },
    #[error("it is the id of a person, and {wanted} is expected; {instead}")]
    PersonId {
        wanted: &'static str,
        instead: &'static str,
    },
    #[error(
        "it has a phone number or the id of a person, and the audit log keeps it; leave that out"
    )]
    NamesPerson,
    #[error(
        "it is not the id of a chunk ({error}); if it is that of a recording or call, `recording-vault list --of {id}` lists its chunks"
    )]
    NoChunkId { id: String, error: InvalidId },
    #[error(
        "it has a line break or another control character, or one that changes the direction of text; leave that out"
    )]
    Control,
    #[error("it is a day, and {wanted} is expected; write a phone number without dashes")]
    Day { wanted: &'static str },
    #[error("the calendar has no such day")]
    NoDay,
    #[error(transparent)]
    Id(#[from] InvalidId),
    #[error(transparent)]
    Person(#[from] NoPerson),
}

/// Returns a text that says something, without spaces around it.
///
/// # Errors
/// When it is blank, or in quotes.
pub fn text(given: &str) -> Result<String, InvalidText> {
    let text = given.trim();
    if text.is_empty() {
        return Err(InvalidText::Empty);
    }
    if is_quoted(text) {
        return Err(InvalidText::Quoted);
    }
    Ok(text.to_owned())
}

/// Parses an id of a recording or call. `wanted` names its kind, and `instead` what to do with the id of a person.
///
/// # Errors
/// When it is no such id.
pub fn id<T: FromStr<Err = InvalidId>>(
    given: &str,
    wanted: &'static str,
    instead: &'static str,
) -> Result<T, InvalidText> {
    let text = text(given)?;
    if is_chunk_id(&text) {
        return Err(InvalidText::ChunkId { id: text, wanted });
    }
    if is_person_id(&text) {
        return Err(InvalidText::PersonId { wanted, instead });
    }
    Ok(text.parse()?)
}

/// Checks a text that reports show.
///
/// # Errors
/// When it has a character that is not seen as itself: a note of two lines would look like two records.
pub fn check_shown(text: &str) -> Result<(), InvalidText> {
    if text.chars().any(visible::is_hidden) {
        return Err(InvalidText::Control);
    }
    Ok(())
}

/// Checks a text that the audit log keeps.
///
/// # Errors
/// When it cannot be shown, or evidently names somebody.
pub fn check_kept(text: &str) -> Result<(), InvalidText> {
    check_shown(text)?;
    if PersonKey::are_in(text) {
        return Err(InvalidText::NamesPerson);
    }
    Ok(())
}

/// Parses the id of a chunk.
///
/// # Errors
/// When it is no such id.
pub fn chunk_id(given: &str) -> Result<DocumentId, InvalidText> {
    let text = text(given)?;
    if is_person_id(&text) {
        return Err(InvalidText::PersonId {
            wanted: "the id of a chunk",
            instead: "`recording-vault gdpr find` lists the recordings of a person",
        });
    }
    let parsed = text.parse();
    parsed.map_err(|error| InvalidText::NoChunkId { id: text, error })
}

/// Parses the id or phone number of a person.
///
/// # Errors
/// When it is no such id.
pub fn person(given: &str) -> Result<Person, InvalidText> {
    let wanted = "the id or phone number of a person";
    let text = given.trim();
    if is_quoted(text) {
        return Err(InvalidText::Quoted);
    }
    if is_chunk_id(text) {
        let id = text.to_owned();
        return Err(InvalidText::ChunkId { id, wanted });
    }
    if day(text)?.is_some() {
        return Err(InvalidText::Day { wanted });
    }
    Ok(text.parse::<Person>()?)
}

/// Returns the day that a text names; `None` if it has another form.
///
/// # Errors
/// When the calendar has no such day.
pub fn day(text: &str) -> Result<Option<Date>, InvalidText> {
    let form = "dddd-dd-dd";
    let has_form = text.len() == form.len()
        && text
            .bytes()
            .zip(form.bytes())
            .all(|(byte, form)| match form {
                b'd' => byte.is_ascii_digit(),
                other => byte == other,
            });
    let is_year = |year: &str| year.parse().is_ok_and(|year| YEARS.contains(&year));
    if !has_form || !text.get(..4).is_some_and(is_year) {
        return Ok(None);
    }
    text.parse().map(Some).map_err(|_| InvalidText::NoDay)
}

/// Whether there are quotes or brackets around a text.
pub fn is_quoted(text: &str) -> bool {
    let quoted = |(begin, end): &(char, char)| {
        let inside = text.strip_prefix(*begin);
        inside.is_some_and(|rest| rest.ends_with(*end))
    };
    QUOTES.iter().any(quoted)
}

/// `0-eus-d12-<32 hex>`, as ACS names a chunk, or `imported-<32 hex>`.
fn is_chunk_id(text: &str) -> bool {
    (text.starts_with("0-") || text.starts_with("imported-"))
        && text.rsplit('-').next().is_some_and(|digest| {
            digest.len() == 32 && digest.bytes().all(|byte| byte.is_ascii_hexdigit())
        })
}

/// `8:acs:…`, `4:+1555…`, `28:…`, as ACS names a participant.
fn is_person_id(text: &str) -> bool {
    let kind = text.split_once(':').map(|(kind, _)| kind);
    kind.is_some_and(|kind| {
        (1..=2).contains(&kind.len()) && kind.bytes().all(|byte| byte.is_ascii_digit())
    })
}
