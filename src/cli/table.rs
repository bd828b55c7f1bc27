//! How tables look for people: columns that align, and sentences that wrap at 100 columns. No colours: output is read in logs too.

use std::fmt::{self, Write as _};

/// What is longer than this by itself, such as a name in the vault, is not broken: it is there to be copied.
const WIDTH: usize = 100;
const GAP: &str = "  ";

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
            cells: cells.into_iter().map(Into::into).collect(),
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
        write_row(f, &headings, &widths)?;
        for row in &self.rows {
            f.write_str("\n")?;
            write_row(f, &row.cells, &widths)?;
            for note in &row.notes {
                write!(f, "\n{GAP}{}", wrapped(note, GAP.len()))?;
            }
        }
        Ok(())
    }
}

fn write_row(f: &mut fmt::Formatter<'_>, cells: &[String], widths: &[usize]) -> fmt::Result {
    let mut line = String::new();
    for (cell, width) in cells.iter().zip(widths) {
        write!(line, "{cell:<width$}{GAP}")?;
    }
    if let Some(last) = cells.get(widths.len()) {
        line += &wrapped(last, line.chars().count());
    }
    f.write_str(line.trim_end())
}

/// `text` in lines of what is left beside `indent`; the following ones are indented by it.
fn wrapped(text: &str, indent: usize) -> String {
    let width = WIDTH.saturating_sub(indent).max(WIDTH / 4);
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
                .all(|line| line.chars().count() <= WIDTH)
        );
    }
}
