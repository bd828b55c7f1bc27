//! The operator's verbs: what a person types at a shell, with the app's own settings.

pub mod audit;
pub mod gdpr;
pub mod hold;
pub mod index;
pub mod list;
pub mod rebuild;
pub mod replay;
pub mod report;
pub mod retention;
pub mod retry;

use std::fmt;

use serde::Serialize;

use crate::recording::DocumentId;

/// How a verb prints what it found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Print {
    Text,
    Json,
}

impl Print {
    /// Prints a report, for people or for programs.
    #[expect(clippy::print_stdout, reason = "this is what a verb is for")]
    pub fn report(self, report: &(impl Serialize + fmt::Display)) {
        match self {
            Self::Text => println!("{report}"),
            Self::Json => println!("{}", serde_json::to_string_pretty(report).expect("reports have string keys only")),
        }
    }
}

/// A line for each chunk with what became of it, or what there is to say of none.
fn write_lines(f: &mut fmt::Formatter<'_>, groups: &[(&[DocumentId], &str)], of_none: &str) -> fmt::Result {
    let lines: Vec<String> = groups.iter().flat_map(|(ids, what)| ids.iter().map(move |id| format!("{id} {what}"))).collect();
    f.write_str(if lines.is_empty() { of_none.to_owned() } else { lines.join("\n") }.as_str())
}
