//! `recording-vault import`: imports a file that was downloaded by hand as the proved copy of a lost chunk, or of a
//! recording that no event announced.

mod download;
mod place;

use std::fmt;
use std::path::{Path, PathBuf};

use clap::Args;
use jiff::Timestamp;
use recording_vault::config::Config;
use recording_vault::error_chain::ErrorChain;
use recording_vault::export::{Budget, ExportReceipt};
use recording_vault::operator_actions::import::{
    ImportFile, ImportOutcome, ImportRequest, ImportSubject, Importing, NewRecording,
};
use recording_vault::recording::{CallId, DocumentId, RecordingId};
use recording_vault::visible;
use serde::Serialize;
use tempfile::NamedTempFile;

use super::argument;
use super::existing;
use super::exit::Exit;
use super::output::Output;
use super::shell_user;
use download::DownloadError;
use place::{FileOrUrl, FileOrUrlParser};

/// How long one import may take: the largest recordings have a few GiB.
const LONGEST: std::time::Duration = std::time::Duration::from_hours(12);

/// More files than a recording of ACS can have: each one that lies before the given position counts as missing.
const LARGEST_INDEX: i64 = 9999;

/// The arguments of `import`.
#[derive(Args)]
pub struct Import {
    /// The media: a file, or an https URL that needs no credential
    #[arg(value_name = "FILE|URL", value_parser = FileOrUrlParser)]
    media: FileOrUrl,
    /// The chunk in the ledger whose copy the file is: a chunk that is lost or was given up
    #[arg(
        long,
        required_unless_present = "recording",
        conflicts_with = "recording",
        value_parser = argument::chunk
    )]
    document: Option<DocumentId>,
    /// The recording of the file, if the ledger has no chunk of it
    #[arg(long, value_parser = argument::imported_recording)]
    recording: Option<RecordingId>,
    /// That recording's `callId`
    #[arg(
        long,
        requires = "recording",
        conflicts_with = "document",
        value_parser = argument::imported_call
    )]
    call: Option<CallId>,
    /// When that recording began, such as 2026-03-02T10:00:00Z; unknown if it is not given
    #[arg(
        long,
        requires = "recording",
        conflicts_with = "document",
        value_name = "TIME",
        value_parser = argument::past_start
    )]
    start: Option<Timestamp>,
    /// The position of the file in that recording, from 0
    #[arg(
        long,
        requires = "recording",
        conflicts_with = "document",
        allow_negative_numbers = true,
        value_parser = clap::value_parser!(u32).range(..=LARGEST_INDEX),
        default_value_t = 0
    )]
    index: u32,
    /// The file is the last one of that recording; the default for an unknown recording
    #[arg(long, requires = "recording", conflicts_with = "document")]
    last: bool,
    /// ACS's metadata of the chunk, which names the participants
    #[arg(long, value_name = "FILE|URL", value_parser = FileOrUrlParser)]
    metadata: Option<FileOrUrl>,
    /// Write into a ledger that is empty although there were recordings
    #[arg(long)]
    yes: bool,
}

/// How an import ended.
#[derive(Debug)]
enum Attempt {
    /// A file or URL cannot be imported as it was requested.
    Refused(String),
    Carried(ImportReport),
}

struct Files {
    media: Local,
    metadata: Option<Local>,
}

/// A file that could not be downloaded.
#[derive(Debug, thiserror::Error)]
#[error("could not get `{name}`")]
struct NotDownloaded {
    name: String,
    source: DownloadError,
}

/// A file on this machine, kept until it is dropped if it was downloaded.
enum Local {
    File(PathBuf),
    Downloaded(NamedTempFile),
}

impl Local {
    /// Returns the file, downloaded if a URL is given.
    async fn of(place: &FileOrUrl) -> Result<Self, NotDownloaded> {
        let failed = |source| NotDownloaded {
            name: place.name(),
            source,
        };
        match place {
            FileOrUrl::Url(url) => download::download(url)
                .await
                .map(Self::Downloaded)
                .map_err(failed),
            FileOrUrl::File(path) => Ok(Self::File(path.clone())),
        }
    }

    /// Returns the file under the name by which the operator knows it.
    fn known_as(&self, place: &FileOrUrl) -> ImportFile {
        ImportFile {
            path: self.path().to_owned(),
            name: place.name(),
        }
    }

    fn path(&self) -> &Path {
        match self {
            Self::File(path) => path,
            Self::Downloaded(file) => file.path(),
        }
    }
}

impl Import {
    /// # Errors
    /// When a file cannot be read or downloaded, or the ledger fails.
    pub async fn run(self, config: Config, output: Output) -> anyhow::Result<Exit> {
        let attempt = match self.files().await {
            Ok(files) => self.import(config, files).await?,
            Err(error) if error.source.is_refusal() => {
                Attempt::Refused(ErrorChain(&error).to_string())
            }
            Err(error) => return Err(error.into()),
        };
        match attempt {
            Attempt::Refused(problem) => {
                Ok(output.refuse(format!("Nothing was imported: {problem}."))?)
            }
            Attempt::Carried(report) => {
                output.report(&report)?;
                Ok(Exit::fine_if(report.is_fine()))
            }
        }
    }

    async fn import(self, config: Config, files: Files) -> anyhow::Result<Attempt> {
        let app = existing::open_to_write(config, self.yes).await?;
        let request = ImportRequest {
            media: files.media.known_as(&self.media),
            metadata: files
                .metadata
                .as_ref()
                .zip(self.metadata.as_ref())
                .map(|(file, place)| file.known_as(place)),
            from: self.media.origin(),
            subject: self.subject()?,
        };
        let budget = Budget::of(LONGEST);
        let operator = shell_user::operator();
        let importing = app.actions.import(request, &app.driver, &operator, budget);
        match Box::pin(importing).await {
            Ok(importing) => Ok(Attempt::Carried(importing.into())),
            Err(error) if error.is_of_files() => {
                Ok(Attempt::Refused(ErrorChain(&error).to_string()))
            }
            Err(error) => Err(error.into()),
        }
    }

    async fn files(&self) -> Result<Files, NotDownloaded> {
        let media = Local::of(&self.media).await?;
        let metadata = match &self.metadata {
            Some(metadata) => Some(Local::of(metadata).await?),
            None => None,
        };
        Ok(Files { media, metadata })
    }

    fn subject(self) -> anyhow::Result<ImportSubject> {
        if let Some(id) = self.document {
            return Ok(ImportSubject::Document(id));
        }
        let recording_id = self
            .recording
            .ok_or_else(|| anyhow::anyhow!("neither --document nor --recording is given"))?;
        Ok(ImportSubject::New(NewRecording {
            recording_id,
            call_id: self.call,
            started_at: self.start,
            index: self.index,
            is_last: self.last,
        }))
    }
}

/// What was imported.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct ImportReport {
    #[serde(skip_serializing_if = "Option::is_none")]
    document_id: Option<DocumentId>,
    #[serde(flatten)]
    outcome: ReportedOutcome,
}

#[derive(Debug, Serialize)]
#[serde(
    tag = "outcome",
    rename_all = "camelCase",
    rename_all_fields = "camelCase"
)]
enum ReportedOutcome {
    Imported {
        size_bytes: u64,
        sha256: String,
        /// What is doubtful about the file.
        #[serde(skip_serializing_if = "Option::is_none")]
        doubtful: Option<String>,
    },
    NotImported {
        reason: String,
    },
}

impl ImportReport {
    fn is_fine(&self) -> bool {
        matches!(
            self.outcome,
            ReportedOutcome::Imported { doubtful: None, .. }
        )
    }
}

impl From<Importing> for ImportReport {
    fn from(importing: Importing) -> Self {
        let not_imported = |reason: &str| ReportedOutcome::NotImported {
            reason: reason.to_owned(),
        };
        let outcome = match importing.outcome {
            ImportOutcome::Imported(receipt) => imported(&receipt),
            ImportOutcome::Failed { reason } => ReportedOutcome::NotImported { reason },
            ImportOutcome::AlreadyProved => not_imported("it has a proved copy already"),
            ImportOutcome::StillExported => not_imported(
                "its export from ACS has not ended; import the file only if the export is given up",
            ),
            ImportOutcome::Removed if importing.document_id.is_none() => {
                not_imported("its recording was erased on request")
            }
            ImportOutcome::Removed => not_imported("it was permanently deleted from the vault"),
            ImportOutcome::Unknown => not_imported(
                "the ledger has no such chunk; give --recording to import a recording that no event announced",
            ),
            ImportOutcome::Busy => {
                not_imported("another process is working on it; run the verb again")
            }
        };
        Self {
            document_id: importing.document_id,
            outcome,
        }
    }
}

fn imported(receipt: &ExportReceipt) -> ReportedOutcome {
    ReportedOutcome::Imported {
        size_bytes: receipt.media().size_bytes(),
        sha256: receipt.media().sha256().to_string(),
        doubtful: receipt.anomaly().map(str::to_owned),
    }
}

impl fmt::Display for ImportReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match &self.document_id {
            Some(id) => format!("chunk {id}"),
            None => "the file".to_owned(),
        };
        match &self.outcome {
            ReportedOutcome::Imported {
                size_bytes,
                sha256,
                doubtful,
            } => {
                visible::write_part(
                    f,
                    format_args!(
                        "Imported {name}: {size_bytes} bytes, proved in the vault, SHA-256 {sha256}"
                    ),
                )?;
                match doubtful {
                    Some(doubt) => {
                        visible::write_line(f, format_args!("Its media is doubtful: {doubt}"))
                    }
                    None => Ok(()),
                }
            }
            ReportedOutcome::NotImported { reason } => {
                visible::write_part(f, format_args!("Nothing was imported for {name}: {reason}"))
            }
        }
    }
}

#[cfg(test)]
mod tests;
