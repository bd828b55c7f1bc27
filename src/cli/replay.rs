//! `recording-vault replay`: processes kept events again, from any place. Idempotent, as every delivery is.
//!
//! A file or a container may hold what Event Grid delivers (one event or an array, of either schema), what it
//! dead-letters (the same, with reasons added), what we keep as poison, or a queue message (the same in base64).

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::path::Path;

use clap::Args;
use futures::TryStreamExt as _;
use recording_vault::app::App;
use recording_vault::compose;
use recording_vault::config::Config;
use recording_vault::counted::counted;
use recording_vault::export::ledger::LedgerError;
use recording_vault::operator_actions::replay::{Replayed, ReplayedPoison};
use recording_vault::recording::DocumentId;
use recording_vault::store::document_store::{DamagedDocument, DocumentStore, StoreError};
use recording_vault::store::listing::keys;
use recording_vault::vault::VaultUrl;
use recording_vault::visible;
use serde::Serialize;

use super::existing;
use super::exit::Exit;
use super::output::{NoReport, Output};
use super::shell_user;

const POISON: &str = "poison:";

/// The arguments of `replay`.
#[derive(Args)]
pub struct Replay {
    /// Files, `poison:<sha256>`, or containers (`https://…` or `file:///…`); other accounts than those of the settings
    /// need a SAS, or `REPLAY_FROM`
    #[arg(required = true)]
    from: Vec<OsString>,
    /// Write into a ledger that is empty although there were recordings
    #[arg(long)]
    yes: bool,
}

impl Replay {
    /// # Errors
    /// When something cannot be read at all, or the ledger fails. What was recorded before stays.
    pub async fn run(self, config: Config, output: Output) -> anyhow::Result<Exit> {
        let mut stores = Vec::new();
        for name in &self.from {
            let url = match name.to_str().filter(|name| name.contains("://")) {
                Some(url) => Some(container(url)?),
                None => None,
            };
            stores.push(
                url.map(|url| compose::storage_at(&config, &url))
                    .transpose()?,
            );
        }
        let app = existing::open_to_write(config, self.yes).await?;
        let mut report = ReplayReport::default();
        for (name, store) in self.from.iter().zip(&stores) {
            let before = report.seen();
            let replaying = replay(&app, Kept::of(name, store.as_deref()), &mut report);
            let replayed = replaying.await;
            if let Err(ReplayError::NoSuchPoison(_)) = replayed {
                let none = format!("no event is kept as `{}`", shown(name));
                if self.from.len() == 1 {
                    return Ok(output.decline(NoReport::NotFound, none)?);
                }
                report.unreadable.push(none);
                continue;
            }
            if let Err(error) = replayed {
                if report.seen() > 0 {
                    output.report(&report)?;
                }
                return Err(error.into());
            }
            if report.seen() == before {
                let problem = format!("{} contains no document", shown(name));
                report.unreadable.push(problem);
            }
        }
        output.report(&report)?;
        Ok(Exit::fine_if(report.unreadable.is_empty()))
    }
}

/// Parses the URL of a container; of a directory, one that exists.
fn container(given: &str) -> anyhow::Result<VaultUrl> {
    let shown = without_query(given);
    let url = given
        .parse()
        .map_err(|error| anyhow::anyhow!("`{shown}`: the URL {error}"))?;
    if let VaultUrl::Directory(folder) = &url {
        anyhow::ensure!(folder.is_dir(), "`{shown}`: there is no such directory");
    }
    Ok(url)
}

/// A query may be a credential.
fn without_query(url: &str) -> &str {
    url.split('?').next().unwrap_or_default()
}

fn shown(name: &OsStr) -> String {
    without_query(&name.to_string_lossy()).to_owned()
}

/// What was read, and the outcome.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
struct ReplayReport {
    /// Documents that were read.
    pub documents: u64,
    /// Documents of a container that the storage cannot return.
    #[serde(skip)]
    skipped: u64,
    pub chunks: Vec<DocumentId>,
    /// What could not be read, or is no event, each with its reason.
    pub unreadable: Vec<String>,
}

impl fmt::Display for ReplayReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let documents = counted(self.documents, "document", "documents");
        let chunks = counted(self.chunks.len(), "chunk", "chunks");
        visible::write_part(
            f,
            format_args!(
                "{documents} read, {chunks} in the ledger; the next sweep exports what is not in the vault"
            ),
        )?;
        self.unreadable
            .iter()
            .try_for_each(|reason| visible::write_line(f, format_args!("{reason}")))
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
    #[error("could not {action} in the container `{container}`")]
    Container {
        container: String,
        /// With the key, where there is one.
        action: String,
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    #[error("no event is kept as `poison:{0}`")]
    NoSuchPoison(String),
    #[error(transparent)]
    Ledger(#[from] LedgerError),
}

/// Where events were kept.
enum Kept<'a> {
    File(&'a Path),
    Poison(&'a str),
    /// Every document of a container or directory.
    Container {
        name: String,
        store: &'a dyn DocumentStore,
    },
}

impl<'a> Kept<'a> {
    fn of(name: &'a OsStr, store: Option<&'a dyn DocumentStore>) -> Self {
        let poison = name.to_str().and_then(|name| name.strip_prefix(POISON));
        match (store, poison) {
            (Some(store), _) => Self::Container {
                name: shown(name),
                store,
            },
            (None, Some(id)) => Self::Poison(id),
            (None, None) => Self::File(Path::new(name)),
        }
    }
}

async fn replay(app: &App, kept: Kept<'_>, report: &mut ReplayReport) -> Result<(), ReplayError> {
    match kept {
        Kept::Poison(id) => {
            let actions = &app.actions;
            match actions
                .replay_poison(id, &app.intake, &shell_user::operator())
                .await?
            {
                ReplayedPoison::Unknown => Err(ReplayError::NoSuchPoison(id.to_owned())),
                ReplayedPoison::Known(replayed) => {
                    report.add(&format!("{POISON}{id}"), replayed);
                    Ok(())
                }
            }
        }
        Kept::File(path) => {
            let name = path.display().to_string();
            let failed = |source| ReplayError::File {
                path: name.clone(),
                source,
            };
            let content = tokio::fs::read(path).await.map_err(failed)?;
            replay_document(app, &name, &content, report).await
        }
        Kept::Container { name, store } => replay_container(app, &name, store, report).await,
    }
}

async fn replay_container(
    app: &App,
    container: &str,
    store: &dyn DocumentStore,
    report: &mut ReplayReport,
) -> Result<(), ReplayError> {
    let failed = |error| not_read(container, error);
    let mut keys = keys(store, "", None);
    while let Some(key) = keys.try_next().await.map_err(failed)? {
        match store.find(&key).await {
            Ok(Some(stored)) => replay_document(app, &key, &stored.content, report).await?,
            Ok(None) => {}
            Err(error) => match error.damaged() {
                Some(damaged) => report.skip(&key, damaged),
                None => return Err(failed(error)),
            },
        }
    }
    Ok(())
}

/// Names the container: the error of a store names the ledger.
fn not_read(container: &str, error: StoreError) -> ReplayError {
    let StoreError {
        action,
        key,
        source,
    } = error;
    let action = if key.is_empty() {
        format!("{action} the documents")
    } else {
        format!("{action} `{key}`")
    };
    ReplayError::Container {
        container: container.to_owned(),
        action,
        source,
    }
}

async fn replay_document(
    app: &App,
    name: &str,
    content: &[u8],
    report: &mut ReplayReport,
) -> Result<(), ReplayError> {
    let actions = &app.actions;
    let replayed = actions
        .replay(content, &app.intake, &shell_user::operator())
        .await?;
    report.add(name, replayed);
    Ok(())
}

impl ReplayReport {
    fn seen(&self) -> u64 {
        self.documents + self.skipped
    }

    fn skip(&mut self, name: &str, damaged: &DamagedDocument) {
        self.skipped += 1;
        self.unreadable.push(format!("{name}: {damaged}; skipped"));
    }

    fn add(&mut self, name: &str, replayed: Replayed) {
        self.documents += 1;
        let events = match replayed {
            Replayed::NoEvents => {
                let problem = format!(
                    "{name}: neither JSON nor base64 of JSON, or more values than events have in its length"
                );
                self.unreadable.push(problem);
                return;
            }
            Replayed::Taken(events) => events,
        };
        let unreadable = events.unreadable.iter();
        self.unreadable
            .extend(unreadable.map(|reason| format!("{name}: {reason}")));
        let again = events.again.iter();
        self.unreadable
            .extend(again.map(|reason| format!("{name}: {reason}; replay it again")));
        for id in events.chunks {
            if !self.chunks.contains(&id) {
                self.chunks.push(id);
            }
        }
    }
}
