//! Text tables: aligned columns, and sentences that wrap at the width of the terminal, at most at 100 columns. No
//! colours, because output is also read in logs.

use std::fmt::{self, Write as _};
use std::sync::OnceLock;

use console::Term;
use recording_vault::visible;

/// The widest line that is easy to read; also the width without a terminal.
const WIDEST: usize = 100;
/// The narrowest readable width.
const NARROWEST: usize = 40;
/// A column of sentences that is narrower begins on a line of its own.
const SENTENCE: usize = 20;
const GAP: &str = "  ";

static WIDTH: OnceLock<usize> = OnceLock::new();

/// Sets the width of tables: `COLUMNS`, or else the terminal's width. Called once, before anything is printed.
pub fn fit(variables: &[(String, String)]) {
    let given = variables.iter().find(|(name, _)| name == "COLUMNS");
    let given = given.and_then(|(_, columns)| columns.trim().parse().ok());
    let of_terminal = || Some(usize::from(Term::stdout().size_checked()?.1));
    if let Some(columns) = given.or_else(of_terminal) {
        // Only the first call counts.
        let _ = WIDTH.set(columns.clamp(NARROWEST, WIDEST));
    }
}

/// A longer word, such as a name in the vault, is not broken, so that it can be copied.
fn width() -> usize {
    WIDTH.get().copied().unwrap_or(WIDEST)
}

/// Rows under headings, each with sentences below it.
pub struct Table {
    headings: Vec<&'static str>,
    rows: Vec<Row>,
}

struct Row {
    cells: Vec<String>,
    notes: Vec<String>,
}

impl Table {
    pub fn new(headings: &[&'static str]) -> Self {
        Self {
            headings: headings.to_vec(),
            rows: Vec::new(),
        }
    }

    /// A row; the last cell wraps below itself.
    pub fn row(&mut self, cells: impl IntoIterator<Item = impl Into<String>>) -> &mut Self {
        self.rows.push(Row {
            cells: cells
                .into_iter()
                .map(|cell| visible::one_line(&cell.into()).into_owned())
                .collect(),
            notes: Vec::new(),
        });
        self
    }

    /// A sentence below the last row, indented.
    pub fn note(&mut self, text: impl Into<String>) -> &mut Self {
        if let Some(row) = self.rows.last_mut() {
            row.notes.push(text.into());
        }
        self
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let headings: Vec<String> = self
            .headings
            .iter()
            .map(|heading| (*heading).to_owned())
            .collect();
        let before_last = self.headings.len().saturating_sub(1);
        let widths: Vec<usize> = (0..before_last)
            .map(|column| {
                let cells = self.rows.iter().map(|row| &row.cells).chain([&headings]);
                cells
                    .filter_map(|cells| cells.get(column))
                    .map(|cell| cell.chars().count())
                    .max()
                    .unwrap_or_default()
            })
            .collect();
        let width = width();
        write_row(f, &headings, &widths, width)?;
        for row in &self.rows {
            f.write_str("\n")?;
            write_row(f, &row.cells, &widths, width)?;
            for note in &row.notes {
                write!(f, "\n{GAP}{}", wrapped(note, GAP.len(), width))?;
            }
        }
        Ok(())
    }
}

fn write_row(
    f: &mut fmt::Formatter<'_>,
    cells: &[String],
    widths: &[usize],
    width: usize,
) -> fmt::Result {
    let mut line = String::new();
    for (cell, width) in cells.iter().zip(widths) {
        write!(line, "{cell:<width$}{GAP}")?;
    }
    if let Some(last) = cells.get(widths.len()) {
        let indent = line.chars().count();
        let needed = indent + last.chars().count().min(SENTENCE);
        if needed > width && indent > GAP.len() {
            line.truncate(line.trim_end().len());
            write!(line, "\n{GAP}{}", wrapped(last, GAP.len(), width))?;
        } else {
            line += &wrapped(last, indent, width);
        }
    }
    f.write_str(line.trim_end())
}

/// `text` in lines of what is left of `width` beside `indent`; the following ones are indented by it.
fn wrapped(text: &str, indent: usize, width: usize) -> String {
    let width = width.saturating_sub(indent).max(SENTENCE);
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        let last = lines.last_mut().expect("there is always a line");
        if last.is_empty() {
            last.push_str(word);
        } else if last.chars().count() + 1 + word.chars().count() <= width {
            last.push(' ');
            last.push_str(word);
        } else {
            lines.push(word.to_owned());
        }
    }
    lines.join(&format!("\n{}", " ".repeat(indent)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_align_and_sentences_wrap_below_themselves() {
        let mut table = Table::new(&["chunk", "state", "what"]);
        table
            .row(["a-long-name", "exported", &"word ".repeat(30)])
            .note("note ".repeat(30));
        table.row(["b", "ü", "short"]);
        insta::assert_snapshot!(table.to_string());
        assert!(
            table
                .to_string()
                .lines()
                .all(|line| line.chars().count() <= WIDEST)
        );
    }

    fn row(width: usize, cells: &[&str], widths: &[usize]) -> String {
        struct Row<'a>(&'a [&'a str], &'a [usize], usize);
        impl fmt::Display for Row<'_> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                let cells: Vec<String> = self.0.iter().map(|cell| (*cell).to_owned()).collect();
                write_row(f, &cells, self.1, self.2)
            }
        }
        Row(cells, widths, width).to_string()
    }

    #[test]
    fn a_last_column_without_room_begins_on_a_line_of_its_own() {
        let cells = [
            "0-eus-d1-801b3f3fc462fe8a",
            "exported",
            "a sentence of several words",
        ];
        assert_eq!(
            row(60, &cells, &[25, 8]),
            "0-eus-d1-801b3f3fc462fe8a  exported  a sentence of several\n                                     words"
        );
        assert_eq!(
            row(40, &cells, &[25, 8]),
            "0-eus-d1-801b3f3fc462fe8a  exported\n  a sentence of several words"
        );
    }
}
