//! Parsers of arguments: what can be known to be wrong from an argument alone is an error of the command line, before
//! any storage is opened. It knows no verb.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use jiff::civil::Date;
use jiff::{SignedDuration, Timestamp};
use recording_vault::catalogue::person::Person;
use recording_vault::clock::{Clock as _, SystemClock};

/// Marks of quotation that a shell did not take away.
const QUOTES: [(char, char); 6] = [
    ('\'', '\''),
    ('"', '"'),
    ('`', '`'),
    ('“', '”'),
    ('‘', '’'),
    ('<', '>'),
];
/// How far the clock that wrote a time may be ahead of this one.
const CLOCK_SKEW: SignedDuration = SignedDuration::from_mins(10);

/// Why an argument is not valid.
#[derive(Debug, thiserror::Error)]
pub enum InvalidArgument {
    #[error("it is empty; leave the option out, or give a value")]
    Empty,
    #[error("the value has quotes or brackets around it; give it without them")]
    Quoted,
    #[error(
        "it is the id of a chunk, and {wanted} is expected; `recording-vault show {id}` names its recording and call"
    )]
    ChunkId { id: String, wanted: &'static str },
    #[error("it is the id of a person; give --person, and {wanted} here")]
    PersonId { wanted: &'static str },
    #[error("it is a day, and {wanted} is expected")]
    Day { wanted: &'static str },
    #[error("the file does not exist")]
    NoFile,
    #[error("the file cannot be read: {0}")]
    Unreadable(#[source] io::Error),
    #[error("it is a directory, and a file is expected")]
    Directory,
    #[error("it is not a regular file")]
    Irregular,
    #[error("the file is empty")]
    EmptyFile,
    #[error("its folder does not exist; create it, or choose another")]
    NoFolder,
    #[error("the file already exists; choose another name")]
    Exists,
    #[error("it does not end with .{0}, the format of the file")]
    Extension(&'static str),
    #[error("expected a time with its zone, such as 2026-03-02T10:00:00Z")]
    NoTime,
    #[error("it is in the future; give the time at which the recording began")]
    Future,
    #[error("the calendar has no such day")]
    NoDay,
}

/// Returns a text that says something, without spaces around it.
pub fn text(given: &str) -> Result<String, InvalidArgument> {
    let text = given.trim();
    if text.is_empty() {
        return Err(InvalidArgument::Empty);
    }
    if is_quoted(text) {
        return Err(InvalidArgument::Quoted);
    }
    Ok(text.to_owned())
}

/// Parses an id of a recording.
pub fn recording<T>(given: &str) -> Result<T, Box<dyn std::error::Error + Send + Sync>>
where
    T: FromStr<Err: std::error::Error + Send + Sync + 'static>,
{
    id(given, "the id of a recording")
}

/// Parses an id of a call.
pub fn call<T>(given: &str) -> Result<T, Box<dyn std::error::Error + Send + Sync>>
where
    T: FromStr<Err: std::error::Error + Send + Sync + 'static>,
{
    id(given, "the id of a call")
}

/// Parses the id or phone number of a person.
pub fn person(given: &str) -> Result<Person, Box<dyn std::error::Error + Send + Sync>> {
    let wanted = "the id or phone number of a person";
    let text = given.trim();
    if is_quoted(text) {
        return Err(InvalidArgument::Quoted.into());
    }
    if is_chunk_id(text) {
        return Err(InvalidArgument::ChunkId {
            id: text.to_owned(),
            wanted,
        }
        .into());
    }
    if day(text)?.is_some() {
        return Err(InvalidArgument::Day { wanted }.into());
    }
    Ok(text.parse::<Person>()?)
}

fn id<T>(given: &str, wanted: &'static str) -> Result<T, Box<dyn std::error::Error + Send + Sync>>
where
    T: FromStr<Err: std::error::Error + Send + Sync + 'static>,
{
    let text = text(given)?;
    if is_chunk_id(&text) {
        return Err(InvalidArgument::ChunkId { id: text, wanted }.into());
    }
    if is_person_id(&text) {
        return Err(InvalidArgument::PersonId { wanted }.into());
    }
    Ok(text.parse()?)
}

fn is_quoted(text: &str) -> bool {
    let quoted = |(begin, end): &(char, char)| {
        let inside = text.strip_prefix(*begin);
        inside.is_some_and(|rest| rest.ends_with(*end))
    };
    QUOTES.iter().any(quoted)
}

/// `0-eus-d12-<32 hex>`, as ACS names a chunk.
fn is_chunk_id(text: &str) -> bool {
    text.starts_with("0-")
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

/// Returns a file that exists and has content.
pub fn existing_file(given: &str) -> Result<PathBuf, InvalidArgument> {
    if given.trim().is_empty() {
        return Err(InvalidArgument::Empty);
    }
    let found = fs::metadata(given).map_err(|error| {
        if error.kind() != io::ErrorKind::NotFound {
            InvalidArgument::Unreadable(error)
        } else if is_quoted(given) {
            InvalidArgument::Quoted
        } else {
            InvalidArgument::NoFile
        }
    })?;
    if found.is_dir() {
        return Err(InvalidArgument::Directory);
    }
    if !found.is_file() {
        return Err(InvalidArgument::Irregular);
    }
    if found.len() == 0 {
        return Err(InvalidArgument::EmptyFile);
    }
    Ok(given.into())
}

/// Returns the name of a ZIP that does not exist yet, in a folder that does.
pub fn new_zip(given: &str) -> Result<PathBuf, InvalidArgument> {
    new_file(given, "zip")
}

/// Returns the name of a TAR that does not exist yet, in a folder that does.
pub fn new_tar(given: &str) -> Result<PathBuf, InvalidArgument> {
    new_file(given, "tar")
}

fn new_file(given: &str, extension: &'static str) -> Result<PathBuf, InvalidArgument> {
    let path = Path::new(given);
    if given.trim().is_empty() {
        return Err(InvalidArgument::Empty);
    }
    if is_quoted(given) {
        return Err(InvalidArgument::Quoted);
    }
    if path.is_dir() {
        return Err(InvalidArgument::Directory);
    }
    let has_extension = path
        .extension()
        .is_some_and(|found| found.eq_ignore_ascii_case(extension));
    if !has_extension {
        return Err(InvalidArgument::Extension(extension));
    }
    if path.exists() {
        return Err(InvalidArgument::Exists);
    }
    let folder = path.parent().filter(|folder| *folder != Path::new(""));
    if folder.is_some_and(|folder| !folder.is_dir()) {
        return Err(InvalidArgument::NoFolder);
    }
    Ok(path.to_owned())
}

/// Returns a time that has come.
pub fn past_time(given: &str) -> Result<Timestamp, InvalidArgument> {
    let time: Timestamp = given.trim().parse().map_err(|_| InvalidArgument::NoTime)?;
    let latest = SystemClock.now().checked_add(CLOCK_SKEW);
    if latest.is_ok_and(|latest| time > latest) {
        return Err(InvalidArgument::Future);
    }
    Ok(time)
}

/// Returns the day that a text names; `None` if it has another form.
///
/// # Errors
/// When the calendar has no such day.
pub fn day(text: &str) -> Result<Option<Date>, InvalidArgument> {
    let form = "dddd-dd-dd";
    let has_form = text.len() == form.len()
        && text
            .bytes()
            .zip(form.bytes())
            .all(|(byte, form)| match form {
                b'd' => byte.is_ascii_digit(),
                other => byte == other,
            });
    if !has_form {
        return Ok(None);
    }
    text.parse().map(Some).map_err(|_| InvalidArgument::NoDay)
}

#[cfg(test)]
mod tests {
    use recording_vault::recording::RecordingId;

    use super::*;

    #[rstest::rstest]
    #[case("", "empty")]
    #[case("  ", "empty")]
    #[case("'abc'", "quotes")]
    #[case("\"abc\"", "quotes")]
    #[case("<recordingId>", "brackets")]
    #[case("0-eus-d12-801b3f3fc462fe8a01e6810cbff729b8", "the id of a chunk")]
    #[case("8:acs:29bd5ea9_00000001", "the id of a person")]
    #[case("4:+15551230001", "the id of a person")]
    fn what_is_no_recording_is_named(#[case] given: &str, #[case] part: &str) {
        let error = recording::<RecordingId>(given).unwrap_err().to_string();
        assert!(error.contains(part), "{given}: {error}");
    }

    #[rstest::rstest]
    #[case("eyJQbGF0Zm9ybSI6IjEifQ==")]
    #[case(" r-1 ")]
    #[case("0-1")]
    fn other_texts_may_be_recordings(#[case] given: &str) {
        assert!(recording::<RecordingId>(given).is_ok());
    }

    #[test]
    fn a_day_is_one_of_the_calendar() {
        assert!(matches!(day("2026-03-02"), Ok(Some(_))));
        assert!(matches!(day("2026-02-30"), Err(InvalidArgument::NoDay)));
        assert!(matches!(day("20260302"), Ok(None)));
    }
}
