//! `recording-vault replay`: feeds events in again, from wherever they were kept. Idempotent, as every delivery is.
//!
//! A file or a container may hold what Event Grid delivers (one event or an array, of either schema), what it
//! dead-letters (the same, with reasons added), what we keep as poison, or a queue message (the same in base64).

use std::fmt;
use std::path::Path;

use serde::Serialize;
use serde_json::Value;

use crate::app::App;
use crate::export::ledger::LedgerError;
use crate::intake::events_in;
use crate::recording::DocumentId;
use crate::store::document_store::{DocumentStore, StoreError};

const PAGE: usize = 500;
const POISON: &str = "poison:";

/// What was fed in, and what it gave.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ReplayReport {
    pub documents: u64,
    pub chunks: Vec<DocumentId>,
    /// What could not be read again, each with its reason.
    pub unreadable: Vec<String>,
}

impl fmt::Display for ReplayReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (documents, chunks) = (self.documents, self.chunks.len());
        write!(
            f,
            "{documents} documents read, {chunks} chunks in the ledger; the next sweep exports what is not in the vault"
        )?;
        self.unreadable
            .iter()
            .try_for_each(|reason| write!(f, "\n{reason}"))
    }
}

/// Why a replay stopped.
#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    #[error("could not read `{path}`")]
    File {
        path: String,
        source: std::io::Error,
    },
    #[error("could not read the container")]
    Container(#[source] StoreError),
    #[error("there is no poison `{0}`")]
    NoSuchPoison(String),
    #[error(transparent)]
    Ledger(#[from] LedgerError),
}

/// Where events were kept.
pub enum Kept<'a> {
    File(&'a str),
    /// Every document of a container or directory.
    Container(&'a dyn DocumentStore),
}

/// Feeds everything in that lies there.
///
/// # Errors
/// When something cannot be read at all, or the ledger fails. What was fed in before stays in.
pub async fn run(app: &App, kept: Kept<'_>, report: &mut ReplayReport) -> Result<(), ReplayError> {
    match kept {
        Kept::File(name) if name.starts_with(POISON) => {
            let id = name.trim_start_matches(POISON);
            let content = app
                .ledger
                .poison(id)
                .await?
                .ok_or_else(|| ReplayError::NoSuchPoison(id.to_owned()))?;
            feed(app, name, &content, report).await
        }
        Kept::File(path) => {
            let failed = |source| ReplayError::File {
                path: path.to_owned(),
                source,
            };
            let content = tokio::fs::read(Path::new(path)).await.map_err(failed)?;
            feed(app, path, &content, report).await
        }
        Kept::Container(store) => {
            let mut after: Option<String> = None;
            loop {
                let keys = store
                    .list("", after.as_deref(), PAGE)
                    .await
                    .map_err(ReplayError::Container)?;
                for key in &keys {
                    if let Some(stored) = store.find(key).await.map_err(ReplayError::Container)? {
                        feed(app, key, &stored.content, report).await?;
                    }
                }
                after = keys.last().cloned();
                if keys.len() < PAGE {
                    return Ok(());
                }
            }
        }
    }
}

async fn feed(
    app: &App,
    name: &str,
    content: &[u8],
    report: &mut ReplayReport,
) -> Result<(), ReplayError> {
    report.documents += 1;
    let Some(events) = events_in(content) else {
        report
            .unreadable
            .push(format!("{name}: neither JSON nor base64 of JSON"));
        return Ok(());
    };
    app.ledger
        .audit_operator("replayed", name, Value::Null)
        .await?;
    let mut delivery = app.intake.begin();
    let taken = delivery.take_all(&events).await;
    report.unreadable.extend(
        delivery
            .unreadable
            .into_iter()
            .map(|reason| format!("{name}: {reason}")),
    );
    report.unreadable.extend(
        delivery
            .again
            .into_iter()
            .map(|reason| format!("{name}: {reason}; replay it again")),
    );
    for id in delivery.recorded {
        if !report.chunks.contains(&id) {
            report.chunks.push(id);
        }
    }
    Ok(taken?)
}
