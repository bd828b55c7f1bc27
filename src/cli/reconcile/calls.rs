//! A list of calls that must each have a recording: an id a line, or CSV.

use std::borrow::Cow;
use std::fmt;
use std::path::Path;

use recording_vault::recording::id::canonical;

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
}

impl ExpectedCall {
    /// Returns its ids in the one form that is compared: a `serverCallId` may have padding, and either base64 alphabet.
    pub(super) fn names(&self) -> impl Iterator<Item = Cow<'_, str>> {
        self.0.iter().map(|name| canonical(name))
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
    let list = parse(&text).ok_or_else(|| InvalidCalls::NoColumn { path: name() })?;
    if list.calls.is_empty() {
        Err(InvalidCalls::Empty { path: name() })
    } else {
        Ok(list)
    }
}

/// `None` when there are columns, and not the right one.
fn parse(text: &str) -> Option<CallList> {
    let mut lines = text
        .trim_start_matches('\u{feff}')
        .lines()
        .filter(|line| !line.trim().is_empty())
        .peekable();
    let Some(header) = lines.peek().map(|line| cells(line)) else {
        return Some(CallList::default());
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
        let is_plain = header.len() == 1;
        return is_plain.then(|| CallList {
            calls: lines.map(|line| ExpectedCall(cells(line))).collect(),
            unnamed: 0,
        });
    }
    let mut list = CallList::default();
    for row in lines.skip(1).map(cells) {
        let names = columns.iter().filter_map(|index| row.get(*index));
        let names: Vec<String> = names.filter(|name| !name.is_empty()).cloned().collect();
        if !names.is_empty() {
            list.calls.push(ExpectedCall(names));
        } else if row.iter().any(|cell| !cell.is_empty()) {
            list.unnamed += 1;
        }
    }
    Some(list)
}

/// The cells of a line of CSV (RFC 4180, without line breaks in cells).
fn cells(line: &str) -> Vec<String> {
    let (mut cells, mut is_quoted) = (vec![String::new()], false);
    let mut characters = line.trim().chars().peekable();
    while let Some(character) = characters.next() {
        let cell = cells.last_mut().expect("there is always a cell");
        match character {
            '"' if is_quoted && characters.peek() == Some(&'"') => {
                characters.next();
                cell.push('"');
            }
            '"' => is_quoted = !is_quoted,
            ',' if !is_quoted => cells.push(String::new()),
            other => cell.push(other),
        }
    }
    cells
        .into_iter()
        .map(|cell| cell.trim().to_owned())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(text: &str) -> Option<Vec<String>> {
        let list = parse(text)?;
        Some(list.calls.iter().map(ToString::to_string).collect())
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
    fn columns_without_a_call_are_refused() {
        assert_eq!(names("agent,customer\nx,y\n"), None);
    }
}
