//! `recording-vault replay`: processes events again, from wherever they were kept. Idempotent, as every delivery is.
//!
//! A file or a container may hold what Event Grid delivers (one event or an array, of either schema), what it
//! dead-letters (the same, with reasons added), what we keep as poison, or a queue message (the same in base64).

use std::fmt;
use std::path::Path;

use clap::Args;
use recording_vault::app::App;
use recording_vault::compose;
use recording_vault::config::Config;
use recording_vault::export::ledger::LedgerError;
use recording_vault::intake::events_in;
use recording_vault::recording::DocumentId;
use recording_vault::store::document_store::{DocumentStore, StoreError};
use recording_vault::vault::VaultUrl;
use serde::Serialize;
use serde_json::Value;

use super::exit::Exit;
use super::output::Output;

const PAGE: usize = 500;
const POISON: &str = "poison:";

/// The arguments of `replay`.
#[derive(Args)]
pub struct Replay {
    /// Files, `poison:<sha256>`, or containers (`https://…` or `file:///…`)
    #[arg(required = true)]
    from: Vec<String>,
}

impl Replay {
    /// # Errors
    /// When something cannot be read at all, or the ledger fails. What was recorded before stays.
    pub async fn run(self, config: Config, output: Output) -> anyhow::Result<Exit> {
        let mut stores = Vec::new();
        for name in &self.from {
            let url = name
                .contains("://")
                .then(|| name.parse::<VaultUrl>())
                .transpose()?;
            stores.push(
                url.map(|url| compose::storage_at(&config, &url))
                    .transpose()?,
            );
        }
        let app = compose::app(config)?;
        let mut report = ReplayReport::default();
        for (name, store) in self.from.iter().zip(&stores) {
            let kept = store.as_deref().map_or(Kept::File(name), Kept::Container);
            replay(&app, kept, &mut report).await?;
        }
        output.report(&report)?;
        Ok(Exit::fine_if(report.unreadable.is_empty()))
    }
}

/// What was read, and what came of it.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
struct ReplayReport {
    pub documents: u64,
    pub chunks: Vec<DocumentId>,
    /// Events that could not be read, each with its reason.
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
enum ReplayError {
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
enum Kept<'a> {
    File(&'a str),
    /// Every document of a container or directory.
    Container(&'a dyn DocumentStore),
}

async fn replay(app: &App, kept: Kept<'_>, report: &mut ReplayReport) -> Result<(), ReplayError> {
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
