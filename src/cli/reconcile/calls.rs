//! A list of calls that must each have a recording: an id a line, or CSV.

use std::borrow::Cow;
use std::fmt;
use std::path::Path;

use recording_vault::recording::id::comparable;

/// The names of columns that identify a call, whatever their letter case.
const COLUMNS: [&str; 2] = ["callId", "serverCallId"];

/// A call, by one id or two.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExpectedCall(Vec<String>);

/// The calls of a list.
#[derive(Debug, Default)]
pub struct CallList {
    pub calls: Vec<ExpectedCall>,
    /// Rows that have other cells and no id: whether their calls were recorded is unknown.
    pub unnamed: usize,
}

/// Why a list cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum InvalidCalls {
    #[error("could not read `{path}`")]
    File {
        path: String,
        source: std::io::Error,
    },
    #[error("`{path}` has columns, and none of them is `callId` or `serverCallId`")]
    NoColumn { path: String },
    #[error("`{path}` names no call")]
    Empty { path: String },
    #[error("`{path}` is not CSV")]
    Quote { path: String, source: InvalidQuote },
}

impl ExpectedCall {
    /// Returns its ids in the one form that is compared: a `serverCallId` may have padding, and either base64 alphabet, and a
    /// `callId` may be in capitals.
    pub(super) fn names(&self) -> impl Iterator<Item = Cow<'_, str>> {
        self.0.iter().map(|name| comparable(name))
    }
}

impl fmt::Display for ExpectedCall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join(" or "))
    }
}

/// Reads a list.
///
/// # Errors
/// When the file cannot be read, or names no call: then nothing could be reported as missing.
pub fn read(path: &Path) -> Result<CallList, InvalidCalls> {
    let name = || path.display().to_string();
    let text = std::fs::read_to_string(path).map_err(|source| InvalidCalls::File {
        path: name(),
        source,
    })?;
    let list = parse(&text).map_err(|why| match why {
        NoList::NoColumn => InvalidCalls::NoColumn { path: name() },
        NoList::Quote(source) => InvalidCalls::Quote {
            path: name(),
            source,
        },
    })?;
    if list.calls.is_empty() {
        Err(InvalidCalls::Empty { path: name() })
    } else {
        Ok(list)
    }
}

/// Why a text is no list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum NoList {
    /// It has columns, and not the right one.
    NoColumn,
    Quote(InvalidQuote),
}

/// A row that a quote makes ambiguous: what follows it may be cells or other rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidQuote {
    #[error("the quote that begins in line {line} is not closed")]
    Unclosed { line: usize },
    #[error("text follows a closing quote in line {line}; write a quote within quotes twice")]
    TextBehind { line: usize },
}

fn parse(text: &str) -> Result<CallList, NoList> {
    let rows = rows(text.trim_start_matches('\u{feff}')).map_err(NoList::Quote)?;
    let is_filled = |row: &Vec<String>| row.len() > 1 || !row[0].is_empty();
    let mut rows = rows.into_iter().filter(is_filled).peekable();
    let Some(header) = rows.peek() else {
        return Ok(CallList::default());
    };
    let is_name = |cell: &String| {
        COLUMNS
            .iter()
            .any(|column| column.eq_ignore_ascii_case(cell))
    };
    let columns: Vec<usize> = (0..header.len())
        .filter(|index| is_name(&header[*index]))
        .collect();
    if columns.is_empty() {
        if header.len() > 1 {
            return Err(NoList::NoColumn);
        }
        return Ok(CallList {
            calls: rows.map(ExpectedCall).collect(),
            unnamed: 0,
        });
    }
    let mut list = CallList::default();
    for row in rows.skip(1) {
        let names = columns.iter().filter_map(|index| row.get(*index));
        let names: Vec<String> = names.filter(|name| !name.is_empty()).cloned().collect();
        if !names.is_empty() {
            list.calls.push(ExpectedCall(names));
        } else if row.iter().any(|cell| !cell.is_empty()) {
            list.unnamed += 1;
        }
    }
    Ok(list)
}

/// The rows of CSV (RFC 4180), each with at least one cell; without the spaces around a cell. A quote that swallows rows is an
/// error: their calls would not be looked for.
fn rows(text: &str) -> Result<Vec<Vec<String>>, InvalidQuote> {
    let (mut rows, mut line) = (vec![vec![String::new()]], 1);
    // The line in which the quote begins that is open, and whether this cell had one that is closed.
    let (mut quoted_since, mut is_closed) = (None, false);
    let mut characters = text.chars().peekable();
    while let Some(character) = characters.next() {
        let row = rows.last_mut().expect("there is always a row");
        let cell = row.last_mut().expect("a row has a cell");
        match (character, quoted_since) {
            ('"', Some(_)) if characters.next_if_eq(&'"').is_some() => cell.push('"'),
            ('"', Some(_)) => (quoted_since, is_closed) = (None, true),
            (other, Some(_)) => cell.push(other),
            ('"', None) if !is_closed && cell.trim().is_empty() => quoted_since = Some(line),
            (',', None) => {
                row.push(String::new());
                is_closed = false;
            }
            ('\n', None) => {
                rows.push(vec![String::new()]);
                is_closed = false;
            }
            (other, None) if is_closed && !other.is_whitespace() => {
                return Err(InvalidQuote::TextBehind { line });
            }
            (other, None) => cell.push(other),
        }
        line += usize::from(character == '\n');
    }
    if let Some(line) = quoted_since {
        return Err(InvalidQuote::Unclosed { line });
    }
    for cell in rows.iter_mut().flatten() {
        *cell = cell.trim().to_owned();
    }
    Ok(rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(text: &str) -> Result<Vec<String>, NoList> {
        let list = parse(text)?;
        Ok(list.calls.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn rows_without_an_id_are_counted_unless_they_are_empty() {
        let list = parse("agent,callId\nada,a\ngrace,\njoan\n,\n").unwrap();
        assert_eq!((list.calls.len(), list.unnamed), (1, 2));
    }

    #[rstest::rstest]
    #[case("a\n\n b \r\nc==\n", &["a", "b", "c=="])]
    #[case("\u{feff}callId\na\n", &["a"])]
    #[case("agent,CALLID,end\n\"Doe, \"\"J\"\"\",a,1\nx,b,2\n", &["a", "b"])]
    #[case("callId,serverCallId\na,s\n,t\n,\n", &["a or s", "t"])]
    #[case("note,callId\n\"one\r\ntwo\",a\r\nx,b\r\n", &["a", "b"])]
    #[case("note,callId\n27\" screen,a\nx,b\n", &["a", "b"])]
    #[case("", &[])]
    #[case("callId\n", &[])]
    fn calls_are_read_from_lines_and_from_csv(#[case] text: &str, #[case] expected: &[&str]) {
        assert_eq!(names(text).unwrap(), expected);
    }

    #[test]
    fn an_id_is_one_name_however_its_base64_is_written() {
        let list = parse("aHR0cHM6Ly9jL2E/aT02\naHR0cHM6Ly9jL2E_aT02\naHR0cA==\naHR0cA\n").unwrap();
        let names: Vec<_> = list.calls.iter().flat_map(ExpectedCall::names).collect();
        assert_eq!(names[0], names[1]);
        assert_eq!(names[2], names[3]);
        assert_ne!(names[0], names[2]);
    }

    #[test]
    fn a_uuid_is_one_name_in_capitals_and_in_small_letters() {
        let list = parse(
            "7C62CCA0-0000-4444-8888-00000000ABCD\n7c62cca0-0000-4444-8888-00000000abcd\nAB\nab\n",
        );
        let list = list.unwrap();
        let names: Vec<_> = list.calls.iter().flat_map(ExpectedCall::names).collect();
        assert_eq!(names[0], names[1]);
        assert_ne!(names[2], names[3]);
    }

    #[test]
    fn columns_without_a_call_are_refused() {
        assert_eq!(names("agent,customer\nx,y\n"), Err(NoList::NoColumn));
    }

    #[rstest::rstest]
    #[case("note,callId\n\"one,a\nx,b\n", InvalidQuote::Unclosed { line: 2 })]
    #[case("note,callId\nx,a\n\"one,b\n\"two\",c\n", InvalidQuote::TextBehind { line: 4 })]
    fn a_quote_that_swallows_rows_is_refused(#[case] text: &str, #[case] expected: InvalidQuote) {
        assert_eq!(names(text), Err(NoList::Quote(expected)));
    }
}
