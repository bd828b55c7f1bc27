//! What verbs print: reports on stdout, complaints on stderr. A reader that closes its end of the pipe is no failure.

use std::fmt;
use std::io::{self, ErrorKind};

use serde::Serialize;

/// For whom reports are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Output {
    /// People.
    Text,
    /// Programs.
    Json,
}

impl Output {
    /// Prints a report.
    ///
    /// # Errors
    /// When stdout cannot be written, for another reason than that nobody reads it any more.
    pub fn report(self, report: &(impl Serialize + fmt::Display)) -> io::Result<()> {
        print(&match self {
            Self::Text => format!("{report}\n"),
            Self::Json => {
                serde_json::to_string_pretty(report).expect("reports have string keys only") + "\n"
            }
        })
    }
}

/// Prints text as it is.
///
/// # Errors
/// As [`Output::report`].
pub fn print(text: &str) -> io::Result<()> {
    ignore_closed_pipe(write_all(&mut io::stdout().lock(), text))
}

/// Prints a complaint. If stderr is closed, nobody can be told.
pub fn complain(text: &str) {
    let _ = write_all(&mut io::stderr().lock(), text);
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
        f.write_str(&lines.join("\n"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_closed_pipe_is_no_failure() {
        let failed = |kind: ErrorKind| ignore_closed_pipe(Err(kind.into()));
        assert!(failed(ErrorKind::BrokenPipe).is_ok());
        assert!(failed(ErrorKind::StorageFull).is_err());
    }
}
