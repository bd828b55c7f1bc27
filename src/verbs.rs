//! The operator's verbs: what a person types at a shell, with the app's own settings.

pub mod audit;
pub mod delete_source;
pub mod doctor;
pub mod gdpr;
pub mod hold;
pub mod index;
pub mod list;
pub mod progress;
pub mod rebuild;
pub mod reconcile;
pub mod replay;
pub mod report;
pub mod retention;
pub mod retry;
mod table;
pub mod verify;

use std::collections::BTreeMap;
use std::fmt;

use serde::Serialize;

use crate::app::App;
use crate::export::destination::DestinationError;
use crate::export::layout::BlobName;
use crate::recording::DocumentId;

/// Names of the vault that are listed at a time.
const PAGE: usize = 5000;

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
            Self::Json => println!(
                "{}",
                serde_json::to_string_pretty(report).expect("reports have string keys only")
            ),
        }
    }
}

/// A line for each chunk with what became of it, or what there is to say of none.
fn write_lines(
    f: &mut fmt::Formatter<'_>,
    groups: &[(&[DocumentId], &str)],
    of_none: &str,
) -> fmt::Result {
    let lines: Vec<String> = groups
        .iter()
        .flat_map(|(ids, what)| ids.iter().map(move |id| format!("{id} {what}")))
        .collect();
    f.write_str(
        if lines.is_empty() {
            of_none.to_owned()
        } else {
            lines.join("\n")
        }
        .as_str(),
    )
}

/// The vault's receipts by document id.
async fn receipts(app: &App) -> Result<BTreeMap<String, BlobName>, DestinationError> {
    let mut receipts = BTreeMap::new();
    let mut after: Option<BlobName> = None;
    loop {
        let names = app.vaults.home().list(after.as_ref(), PAGE).await?;
        let is_last = names.len() < PAGE;
        after = names.last().cloned();
        for name in names {
            let document = name
                .as_str()
                .rsplit('/')
                .next()
                .and_then(|file| file.split_once("-receipt."));
            if let Some(id) = document.and_then(|(_, rest)| rest.strip_suffix(".json")) {
                receipts.insert(id.to_owned(), name.clone());
            }
        }
        if is_last {
            return Ok(receipts);
        }
    }
}
