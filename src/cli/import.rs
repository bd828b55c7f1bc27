//! `recording-vault import`: imports a file that was downloaded by hand as the proved copy of a lost chunk, or of a
//! recording that no event announced.

mod download;

use std::fmt;
use std::path::{Path, PathBuf};

use clap::Args;
use jiff::Timestamp;
use recording_vault::compose;
use recording_vault::config::Config;
use recording_vault::export::{Budget, ExportReceipt};
use recording_vault::operator_actions::Operator;
use recording_vault::operator_actions::import::{
    ImportOutcome, ImportRequest, ImportSubject, Importing, NewRecording,
};
use recording_vault::recording::{CallId, DocumentId, RecordingId};
use serde::Serialize;
use tempfile::NamedTempFile;
use url::Url;

use super::exit::Exit;
use super::output::Output;

/// How long one import may take: the largest recordings have a few GiB.
const LONGEST: std::time::Duration = std::time::Duration::from_hours(12);

/// The arguments of `import`.
#[derive(Args)]
pub struct Import {
    /// The media: a file, or an https URL that needs no credential
    #[arg(value_name = "FILE|URL")]
    media: String,
    /// The chunk in the ledger whose copy the file is: a chunk that is lost or was given up
    #[arg(
        long,
        required_unless_present = "recording",
        conflicts_with = "recording"
    )]
    document: Option<DocumentId>,
    /// The recording of the file, if the ledger has no chunk of it
    #[arg(long)]
    recording: Option<RecordingId>,
    /// That recording's `callId`
    #[arg(long, requires = "recording", conflicts_with = "document")]
    call: Option<CallId>,
    /// When that recording began, such as 2026-03-02T10:00:00Z
    #[arg(
        long,
        requires = "recording",
        conflicts_with = "document",
        value_name = "TIME"
    )]
    start: Option<Timestamp>,
    /// The position of the file in that recording, from 0
    #[arg(
        long,
        requires = "recording",
        conflicts_with = "document",
        default_value_t = 0
    )]
    index: u32,
    /// The file is the last one of that recording; the default for an unknown recording
    #[arg(long, requires = "recording", conflicts_with = "document")]
    last: bool,
    /// ACS's metadata of the chunk, which names the participants
    #[arg(long, value_name = "FILE|URL")]
    metadata: Option<String>,
}

/// A file on this machine, kept until it is dropped if it was downloaded.
enum Local {
    File(PathBuf),
    Downloaded(NamedTempFile),
}

impl Local {
    /// Returns the file, downloaded if a URL is given.
    async fn of(text: &str) -> anyhow::Result<Self> {
        match Url::parse(text) {
            Ok(url) if text.contains("://") => {
                Ok(Self::Downloaded(download::download(&url).await?))
            }
            Ok(_) | Err(_) => Ok(Self::File(PathBuf::from(text))),
        }
    }

    fn path(&self) -> &Path {
        match self {
            Self::File(path) => path,
            Self::Downloaded(file) => file.path(),
        }
    }
}

/// Returns the origin of a file as the audit log and the receipt store it. Omits the query, which may be a credential.
fn origin(text: &str) -> String {
    match Url::parse(text) {
        Ok(mut url) if text.contains("://") => {
            url.set_query(None);
            url.set_fragment(None);
            url.to_string()
        }
        Ok(_) | Err(_) => {
            let name = Path::new(text).file_name();
            name.unwrap_or_default().to_string_lossy().into_owned()
        }
    }
}

impl Import {
    /// # Errors
    /// When a file cannot be read or downloaded, or the ledger fails.
    pub async fn run(self, config: Config, output: Output) -> anyhow::Result<Exit> {
        let media = Local::of(&self.media).await?;
        let metadata = match &self.metadata {
            Some(metadata) => Some(Local::of(metadata).await?),
            None => None,
        };
        let app = compose::app(config)?;
        let request = ImportRequest {
            media: media.path().to_owned(),
            metadata: metadata.as_ref().map(|file| file.path().to_owned()),
            from: origin(&self.media),
            subject: self.subject()?,
        };
        let budget = Budget::of(LONGEST);
        let importing = app
            .actions
            .import(request, &app.driver, &Operator::Shell, budget);
        let report = ImportReport::from(Box::pin(importing).await?);
        output.report(&report)?;
        Ok(Exit::fine_if(report.is_fine()))
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
                write!(
                    f,
                    "Imported {name}: {size_bytes} bytes, proved in the vault, SHA-256 {sha256}"
                )?;
                match doubtful {
                    Some(doubt) => write!(f, "\nIts media is doubtful: {doubt}"),
                    None => Ok(()),
                }
            }
            ReportedOutcome::NotImported { reason } => {
                write!(f, "Nothing was imported for {name}: {reason}")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[rstest::rstest]
    #[case("folder/a.wav", "a.wav")]
    #[case("https://host/p/a.wav?sig=secret#x", "https://host/p/a.wav")]
    fn an_origin_has_no_folder_and_no_query(#[case] text: &str, #[case] expected: &str) {
        assert_eq!(origin(text), expected);
    }
}
