//! Parsers of arguments: what can be known to be wrong from an argument alone is an error of the command line, before
//! any storage is opened. It knows no verb.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::io;
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use clap::builder::{OsStringValueParser, TypedValueParser};
use jiff::civil::Date;
use jiff::{SignedDuration, Timestamp};
use recording_vault::address::is_loopback;
use recording_vault::catalogue::person::Person;
use recording_vault::clock::{Clock as _, SystemClock};
use recording_vault::operator_actions::TEXT_LIMIT;
use recording_vault::operator_actions::given::{self, InvalidText};
use recording_vault::recording::{
    CallId, DocumentId, EARLIEST_DAY, EARLIEST_START, InvalidId, RecordingId,
};
use recording_vault::store::holds::{CaseTag, InvalidTag};
use url::Url;

/// Where the id of a person belongs, by the options that a verb has.
const OPTION_PERSON: &str = "give --person instead";
const OPTION_CASE: &str = "hold the person's recordings for a case, and give --case";
const OPTION_METADATA: &str =
    "the participants come from ACS's metadata: give that file with --metadata";
/// How far the clock that wrote a time may be ahead of this one.
const CLOCK_SKEW: SignedDuration = SignedDuration::from_mins(10);

/// Why an argument is not valid.
#[derive(Debug, thiserror::Error)]
pub enum InvalidArgument {
    #[error("it is empty; leave the option out, or give a value")]
    Empty,
    #[error(transparent)]
    Text(#[from] InvalidText),
    #[error("the file does not exist")]
    NoFile,
    #[error("the file cannot be read: {0}")]
    Unreadable(#[source] io::Error),
    #[error("it is a directory, and a file is expected")]
    Directory,
    #[error("it is not a regular file; save its content to a file, and give that")]
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
    #[error(
        "it is before {EARLIEST_DAY}, when ACS could not record yet; give the time at which the recording began"
    )]
    TooEarly,
    #[error("it is in the future; give the time at which the recording began")]
    Future,
    #[error("expected a day such as 2026-03-02")]
    OtherThanDay,
    #[error("it has more than {TEXT_LIMIT} characters")]
    TooLong,
    #[error("expected a whole number, at least 1")]
    NoCount,
    #[error("expected the address of an app, such as https://<app>.azurewebsites.net")]
    NoWebUrl,
    #[error("it is not https; only an address of this machine may be http")]
    NotHttps,
    #[error(transparent)]
    Case(#[from] InvalidTag),
}

/// Returns a text that says something, without spaces around it.
pub fn text(given: &str) -> Result<String, InvalidArgument> {
    if given.trim().is_empty() {
        return Err(InvalidArgument::Empty);
    }
    Ok(given::text(given)?)
}

/// Returns a text of a length that a record may have.
pub fn short_text(given: &str) -> Result<String, InvalidArgument> {
    let text = given.trim();
    if text.is_empty() {
        return Err(InvalidArgument::Empty);
    }
    if text.chars().count() > TEXT_LIMIT {
        return Err(InvalidArgument::TooLong);
    }
    given::check_shown(text)?;
    Ok(text.to_owned())
}

/// Returns a text of a length that a record may have, without an evident name: the audit log keeps it.
pub fn kept_text(given: &str) -> Result<String, InvalidArgument> {
    let text = short_text(given)?;
    given::check_kept(&text)?;
    Ok(text)
}

/// Returns the tag of a new case, which the audit log keeps.
pub fn new_case(given: &str) -> Result<CaseTag, InvalidArgument> {
    given::check_kept(given)?;
    Ok(given.parse::<CaseTag>()?)
}

/// Parses the id of a chunk.
pub fn chunk(given: &str) -> Result<DocumentId, InvalidArgument> {
    Ok(given::chunk_id(given)?)
}

/// Returns the address of the app, to which a ticket or a key may be sent.
pub fn app_url(given: &str) -> Result<Url, InvalidArgument> {
    let url = web_url(given)?;
    if url.scheme() == "https" || is_loopback(&url) {
        Ok(url)
    } else {
        Err(InvalidArgument::NotHttps)
    }
}

/// Returns a number of things, at least one.
pub fn count(given: &str) -> Result<NonZeroU32, InvalidArgument> {
    given.trim().parse().map_err(|_| InvalidArgument::NoCount)
}

/// Returns the address of a site.
pub fn web_url(given: &str) -> Result<Url, InvalidArgument> {
    let url: Url = given
        .trim()
        .parse()
        .map_err(|_| InvalidArgument::NoWebUrl)?;
    if matches!(url.scheme(), "http" | "https") {
        Ok(url)
    } else {
        Err(InvalidArgument::NoWebUrl)
    }
}

/// Parses an id of a recording, for a verb that has `--person`.
pub fn recording(given: &str) -> Result<RecordingId, InvalidArgument> {
    id(given, "the id of a recording", OPTION_PERSON)
}

/// Parses an id of a call, for a verb that has `--person`.
pub fn call(given: &str) -> Result<CallId, InvalidArgument> {
    id(given, "the id of a call", OPTION_PERSON)
}

/// Parses an id of a recording or call, for a verb that takes both, and cases.
pub fn recording_or_call(given: &str) -> Result<RecordingId, InvalidArgument> {
    id(given, "the id of a recording or call", OPTION_CASE)
}

/// Parses the id of a recording that is imported.
pub fn imported_recording(given: &str) -> Result<RecordingId, InvalidArgument> {
    id(given, "the id of a recording", OPTION_METADATA)
}

/// Parses the id of a call whose recording is imported.
pub fn imported_call(given: &str) -> Result<CallId, InvalidArgument> {
    id(given, "the id of a call", OPTION_METADATA)
}

/// Parses the id or phone number of a person.
pub fn person(given: &str) -> Result<Person, InvalidArgument> {
    Ok(given::person(given)?)
}

fn id<T: FromStr<Err = InvalidId>>(
    given: &str,
    wanted: &'static str,
    instead: &'static str,
) -> Result<T, InvalidArgument> {
    Ok(given::id(&text(given)?, wanted, instead)?)
}

/// Parser of a path, in any encoding.
pub fn path(
    parse: fn(&OsStr) -> Result<PathBuf, InvalidArgument>,
) -> impl TypedValueParser<Value = PathBuf> {
    OsStringValueParser::new().try_map(move |given: OsString| parse(&given))
}

/// Returns a regular file that exists and has content: it is read more than once.
pub fn existing_file(given: &OsStr) -> Result<PathBuf, InvalidArgument> {
    let path = readable_file(given)?;
    if !path.is_file() {
        return Err(InvalidArgument::Irregular);
    }
    Ok(path)
}

/// Returns a file that can be read once, such as /dev/stdin too.
pub fn readable_file(given: &OsStr) -> Result<PathBuf, InvalidArgument> {
    if is_blank(given) {
        return Err(InvalidArgument::Empty);
    }
    let found = fs::metadata(given).map_err(|error| {
        if error.kind() != io::ErrorKind::NotFound {
            InvalidArgument::Unreadable(error)
        } else if given::is_quoted(&given.to_string_lossy()) {
            InvalidText::Quoted.into()
        } else {
            InvalidArgument::NoFile
        }
    })?;
    if found.is_dir() {
        return Err(InvalidArgument::Directory);
    }
    if found.is_file() && found.len() == 0 {
        return Err(InvalidArgument::EmptyFile);
    }
    Ok(given.into())
}

/// Returns the name of a ZIP that does not exist yet, in a folder that does.
pub fn new_zip(given: &OsStr) -> Result<PathBuf, InvalidArgument> {
    new_file(given, "zip")
}

/// Returns the name of a TAR that does not exist yet, in a folder that does.
pub fn new_tar(given: &OsStr) -> Result<PathBuf, InvalidArgument> {
    new_file(given, "tar")
}

fn new_file(given: &OsStr, extension: &'static str) -> Result<PathBuf, InvalidArgument> {
    let path = Path::new(given);
    if is_blank(given) {
        return Err(InvalidArgument::Empty);
    }
    if given::is_quoted(&given.to_string_lossy()) {
        return Err(InvalidText::Quoted.into());
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

fn is_blank(given: &OsStr) -> bool {
    given.to_string_lossy().trim().is_empty()
}

/// Returns a time at which a recording may have begun.
pub fn past_start(given: &str) -> Result<Timestamp, InvalidArgument> {
    let time: Timestamp = given.trim().parse().map_err(|_| InvalidArgument::NoTime)?;
    let latest = SystemClock.now().checked_add(CLOCK_SKEW);
    if latest.is_ok_and(|latest| time > latest) {
        return Err(InvalidArgument::Future);
    }
    if time < EARLIEST_START {
        return Err(InvalidArgument::TooEarly);
    }
    Ok(time)
}

/// Returns a day.
pub fn date(given: &str) -> Result<Date, InvalidArgument> {
    day(given.trim())?.ok_or(InvalidArgument::OtherThanDay)
}

/// Whether a text is a day in a notation that is not read, such as 02.03.2026.
pub fn is_day_of_other_notation(text: &str) -> bool {
    let parts: Vec<&str> = text.split(['.', '/', '-']).collect();
    let is_part = |part: &&str| {
        (1..=4).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_digit())
    };
    let years = parts.iter().filter(|part| part.len() == 4).count();
    parts.len() == 3 && parts.iter().all(is_part) && years == 1 && !matches!(day(text), Ok(Some(_)))
}

/// Returns the day that a text names; `None` if it has another form.
///
/// # Errors
/// When the calendar has no such day.
pub fn day(text: &str) -> Result<Option<Date>, InvalidArgument> {
    Ok(given::day(text)?)
}

#[cfg(test)]
mod tests {
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
        let error = recording(given).unwrap_err().to_string();
        assert!(error.contains(part), "{given}: {error}");
    }

    #[rstest::rstest]
    #[case("eyJQbGF0Zm9ybSI6IjEifQ==")]
    #[case(" r-1 ")]
    #[case("0-1")]
    fn other_texts_may_be_recordings(#[case] given: &str) {
        assert!(recording(given).is_ok());
    }

    #[test]
    fn a_day_is_one_of_the_calendar() {
        assert!(matches!(day("2026-03-02"), Ok(Some(_))));
        assert!(matches!(
            day("2026-02-30"),
            Err(InvalidArgument::Text(InvalidText::NoDay))
        ));
        assert!(matches!(day("20260302"), Ok(None)));
    }

    #[rstest::rstest]
    #[case("eyJQbGF0Zm9ybUVuZHBvaW50SWQiOiIxIn0=", "list --of")]
    #[case("'0-eus-d12-801b3f3fc462fe8a01e6810cbff729b8'", "quotes")]
    #[case("8:acs:29bd5ea9_00000001", "the id of a person")]
    fn what_is_no_chunk_is_named(#[case] given: &str, #[case] part: &str) {
        let error = chunk(given).unwrap_err().to_string();
        assert!(error.contains(part), "{given}: {error}");
    }

    #[test]
    fn a_recording_begins_after_acs_could_record_and_before_now() {
        assert!(past_start("2020-01-01T00:00:00Z").is_ok());
        for (given, part) in [
            ("2019-12-31T23:59:59Z", "before 2020-01-01"),
            ("9999-01-01T00:00:00Z", "in the future"),
            ("2026-03-02", "with its zone"),
        ] {
            let error = past_start(given).unwrap_err().to_string();
            assert!(error.contains(part), "{given}: {error}");
        }
    }

    #[rstest::rstest]
    #[case("https://a.example", true)]
    #[case("http://127.0.0.1:7071", true)]
    #[case("http://localhost:7071", true)]
    #[case("http://a.example", false)]
    fn a_ticket_goes_over_https_or_stays_here(#[case] given: &str, #[case] is_taken: bool) {
        assert_eq!(app_url(given).is_ok(), is_taken);
    }

    #[rstest::rstest]
    #[case("5551-23-45")]
    #[case("0611-22-33")]
    #[case("555-1234")]
    fn a_phone_number_with_dashes_is_a_person(#[case] given: &str) {
        assert_eq!(person(given).unwrap().id(), given);
    }

    #[test]
    fn a_person_whose_id_looks_like_a_day_is_written_without_dashes() {
        for given in ["2026-03-02", "2026-02-30"] {
            assert!(person(given).is_err(), "{given}");
        }
        assert!(person("20260302").is_ok());
    }

    #[cfg(unix)]
    #[test]
    fn a_path_has_any_encoding_and_may_be_a_pipe_where_it_is_read_once() {
        use std::os::unix::ffi::OsStrExt as _;

        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(OsStr::from_bytes(b"call-\xff.wav"));
        fs::write(&path, "RIFF").unwrap();
        assert_eq!(existing_file(path.as_os_str()).unwrap(), path);
        let new = folder.path().join(OsStr::from_bytes(b"\xff.zip"));
        assert_eq!(new_zip(new.as_os_str()).unwrap(), new);
        let device = OsStr::new("/dev/null");
        assert_eq!(readable_file(device).unwrap(), device);
        assert!(matches!(
            existing_file(device),
            Err(InvalidArgument::Irregular)
        ));
    }
}
