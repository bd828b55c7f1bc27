//! Output of verbs: reports on stdout, errors on stderr. A reader that closes its end of the pipe is not a failure. Nothing
//! that is printed here reaches the terminal as a control character: texts from outside are in most reports.

use std::fmt::{self, Write as _};
use std::io::{self, ErrorKind};

use clap::Args;
use recording_vault::visible;
use serde::Serialize;
use serde_json::{Map, Value};

use super::exit::Exit;

/// The form of reports, as selected on the command line.
#[derive(Debug, Clone, Copy, Args)]
pub struct OutputFormat {
    /// Print JSON instead of text
    #[arg(long, global = true, help_heading = "Output")]
    json: bool,
    /// Print a line of JSON for each item of a report's lists, and one for the rest
    #[arg(long, global = true, help_heading = "Output", conflicts_with = "json")]
    jsonl: bool,
}

/// The audience of a report.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Output {
    /// People.
    Text,
    /// Programs.
    Json,
    /// Programs that read line by line.
    JsonLines,
}

/// Why a verb has an answer and no report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum NoReport {
    /// There is nothing of what was asked for.
    NotFound,
    /// Nothing is known of the days that were asked for.
    NoData,
    /// What was asked for is not possible, and nothing was done.
    Refused,
    /// The question was not answered with yes, and nothing was done.
    NotConfirmed,
    /// There is nothing here to look at.
    NothingHere,
    /// Whether there is anything of what was asked for is not known: not everything could be looked at.
    Unknown,
}

/// An answer without a report, as a document.
#[derive(Debug, Serialize)]
struct Declined {
    outcome: NoReport,
    message: String,
}

impl NoReport {
    fn exit(self) -> Exit {
        match self {
            Self::NotFound | Self::NoData | Self::Refused | Self::Unknown => Exit::NeedsAttention,
            Self::NotConfirmed | Self::NothingHere => Exit::NotDone,
        }
    }
}

impl OutputFormat {
    pub fn output(self) -> Output {
        match (self.json, self.jsonl) {
            (_, true) => Output::JsonLines,
            (true, false) => Output::Json,
            (false, false) => Output::Text,
        }
    }
}

impl Output {
    /// Prints a report.
    ///
    /// # Errors
    /// When stdout cannot be written, unless its reader has closed it.
    pub fn report(self, report: &(impl Serialize + fmt::Display)) -> io::Result<()> {
        const WHY: &str = "reports have string keys only";
        print(&match self {
            Self::Text => visible::lines(&format!("{report}\n")).into_owned(),
            Self::Json => visible_json(serde_json::to_string_pretty(report).expect(WHY) + "\n"),
            Self::JsonLines => visible_json(json_lines(serde_json::to_value(report).expect(WHY))),
        })
    }

    /// Answers without a report: for people on stderr, for programs as a document on stdout. Returns how the verb ends.
    ///
    /// # Errors
    /// As [`Output::report`].
    pub fn decline(self, outcome: NoReport, message: impl fmt::Display) -> io::Result<Exit> {
        self.decline_in_lines(outcome, &[message.to_string()])
    }

    /// The same in several lines.
    ///
    /// # Errors
    /// As [`Output::report`].
    pub fn decline_in_lines(self, outcome: NoReport, lines: &[String]) -> io::Result<Exit> {
        let message = visible::joined(lines);
        match self {
            Self::Text => complain_in_lines(&format!("{message}\n")),
            Self::Json | Self::JsonLines => self.report(&Declined { outcome, message })?,
        }
        Ok(outcome.exit())
    }

    /// Refuses what was asked for.
    ///
    /// # Errors
    /// As [`Output::report`].
    pub fn refuse(self, problem: impl fmt::Display) -> io::Result<Exit> {
        self.decline(NoReport::Refused, problem)
    }
}

impl fmt::Display for Declined {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

/// JSON in which every character is visible. Only strings have others, and there an escape means the same.
fn visible_json(json: String) -> String {
    let is_hidden = |character: char| character != '\n' && visible::is_hidden(character);
    if !json.chars().any(is_hidden) {
        return json;
    }
    let mut visible = String::with_capacity(json.len());
    for character in json.chars() {
        if is_hidden(character) {
            // Writing to a `String` cannot fail.
            let _ = write!(visible, "\\u{:04x}", u32::from(character));
        } else {
            visible.push(character);
        }
    }
    visible
}

/// A line for each item of each list of the report, with the list's name in `list`; then, if there is more, one line with the
/// rest, whose `list` is `report`.
fn json_lines(report: Value) -> String {
    let (lists, rest) = match report {
        Value::Array(items) => (vec![("items".to_owned(), items)], Map::new()),
        Value::Object(members) => {
            let (mut lists, mut rest) = (Vec::new(), Map::new());
            for (name, member) in members {
                match member {
                    Value::Array(items) => lists.push((name, items)),
                    Value::Null
                    | Value::Bool(_)
                    | Value::Number(_)
                    | Value::String(_)
                    | Value::Object(_) => {
                        rest.insert(name, member);
                    }
                }
            }
            (lists, rest)
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {
            return format!("{report}\n");
        }
    };
    let rest = (!rest.is_empty()).then(|| ("report".to_owned(), vec![Value::Object(rest)]));
    let mut lines = String::new();
    for (list, items) in lists.into_iter().chain(rest) {
        for item in items {
            let mut line = match item {
                Value::Object(members) => members,
                item @ (Value::Null
                | Value::Bool(_)
                | Value::Number(_)
                | Value::String(_)
                | Value::Array(_)) => Map::from_iter([("value".to_owned(), item)]),
            };
            line.insert("list".to_owned(), Value::String(list.clone()));
            lines += &Value::Object(line).to_string();
            lines.push('\n');
        }
    }
    lines
}

/// Prints text as it is.
///
/// # Errors
/// As [`Output::report`].
pub fn print(text: &str) -> io::Result<()> {
    ignore_closed_pipe(write_all(&mut io::stdout().lock(), text))
}

/// Prints an error of one line to stderr. Ignores a closed stderr.
pub fn complain(text: &str) {
    let line = visible::one_line(text.trim_end_matches('\n'));
    complain_in_lines(&format!("{line}\n"));
}

/// The same of a text whose lines are its own.
pub fn complain_in_lines(text: &str) {
    let _ = write_all(&mut io::stderr().lock(), &visible::lines(text));
}

fn write_all(to: &mut impl io::Write, text: &str) -> io::Result<()> {
    to.write_all(text.as_bytes())?;
    to.flush()
}

fn ignore_closed_pipe(written: io::Result<()>) -> io::Result<()> {
    match written {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        other => other,
    }
}

/// Writes a line for each item of the groups, `<item> <what the group says>`, or `of_none` where all are empty.
pub fn write_groups<T: fmt::Display>(
    f: &mut fmt::Formatter<'_>,
    groups: &[(&[T], &str)],
    of_none: &str,
) -> fmt::Result {
    let lines: Vec<String> = groups
        .iter()
        .flat_map(|(items, what)| items.iter().map(move |item| format!("{item} {what}")))
        .collect();
    if lines.is_empty() {
        f.write_str(of_none)
    } else {
        visible::write_lines(f, &lines)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_lines_are_the_items_of_each_list_and_the_rest() {
        let report = serde_json::json!({"chunks": [{"id": "a"}, {"id": "b"}], "poison": [], "unreadable": ["c"], "failed": 1});
        insta::assert_snapshot!(json_lines(report), @r#"
        {"id":"a","list":"chunks"}
        {"id":"b","list":"chunks"}
        {"list":"unreadable","value":"c"}
        {"failed":1,"list":"report"}
        "#);
    }

    #[test]
    fn json_has_no_invisible_character_and_says_the_same() {
        let report = serde_json::json!({"note": "a\u{1b}\u{9b}\u{202e}\nü"});
        let json = visible_json(report.to_string());
        assert!(
            json.is_ascii() || !json.chars().any(visible::is_hidden),
            "{json}"
        );
        assert_eq!(serde_json::from_str::<Value>(&json).unwrap(), report);
    }

    #[test]
    fn only_a_closed_pipe_is_no_failure() {
        let failed = |kind: ErrorKind| ignore_closed_pipe(Err(kind.into()));
        assert!(failed(ErrorKind::BrokenPipe).is_ok());
        assert!(failed(ErrorKind::StorageFull).is_err());
    }
}
