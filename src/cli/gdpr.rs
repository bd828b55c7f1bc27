//! `recording-vault gdpr`: a person's recordings, found, handed out, erased.

use std::fmt;
use std::fs::{self, File};
use std::io::{self, BufWriter, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Subcommand;
use recording_vault::app::App;
use recording_vault::catalogue::CatalogueError;
use recording_vault::catalogue::archive::{ArchiveError, Manifest};
use recording_vault::catalogue::erasing::{Eraser, Erasure};
use recording_vault::catalogue::person::{FoundRecordings, Person};
use recording_vault::compose;
use recording_vault::config::Config;
use recording_vault::operator_actions::Operator;
use recording_vault::operator_actions::erase::ErasureRequest;
use serde::Serialize;

use super::exit::Exit;
use super::output::{Output, complain};

/// The verbs of `gdpr`.
#[derive(Subcommand)]
pub enum Gdpr {
    /// List the recordings that a person took part in
    Find {
        /// The participant's id as ACS writes it, such as 8:acs:… or 4:+15551230001
        participant: Person,
    },
    /// Write all of these recordings into one archive, with a manifest
    Export {
        /// The participant's id as ACS writes it
        participant: Person,
        /// The archive; the file must not exist yet
        #[arg(long, value_name = "FILE.tar")]
        to: PathBuf,
    },
    /// Erase these recordings; those that are held, active or not exported yet are listed and left
    Erase {
        /// The participant's id as ACS writes it
        participant: Person,
        /// Why; the audit log keeps it, so it must not name the person
        #[arg(long)]
        reason: String,
        /// Erase without asking for confirmation
        #[arg(long)]
        yes: bool,
    },
}

impl Gdpr {
    /// # Errors
    /// When the ledger fails, or the archive cannot be written.
    pub async fn run(self, config: Config, output: Output) -> anyhow::Result<Exit> {
        let app = compose::app(config)?;
        match self {
            Self::Find { participant } => {
                let report = FoundReport(app.catalogue.find_person(&participant).await?);
                output.report(&report)?;
                Ok(Exit::fine_if(!report.0.recordings.is_empty()))
            }
            Self::Export { participant, to } => {
                let report = export(&app, &participant, &to).await?;
                output.report(&report)?;
                Ok(Exit::fine_if(report.manifest.missing.is_empty()))
            }
            Self::Erase {
                participant,
                reason,
                yes,
            } => {
                let request = match ErasureRequest::new(participant, &reason) {
                    Ok(request) => request,
                    Err(problem) => {
                        complain(&format!("Nothing was erased: {problem}.\n"));
                        return Ok(Exit::NeedsAttention);
                    }
                };
                if !yes && !is_confirmed(&app, request.person()).await? {
                    complain("Nothing was erased.\n");
                    return Ok(Exit::NotDone);
                }
                let report = erase(&app, &request).await?;
                output.report(&report)?;
                Ok(Exit::fine_if(report.0.left.is_empty()))
            }
        }
    }
}

/// Shows what would be erased, and asks.
async fn is_confirmed(app: &App, participant: &Person) -> anyhow::Result<bool> {
    let report = FoundReport(app.catalogue.find_person(participant).await?);
    let mut stderr = io::stderr();
    writeln!(stderr, "{report}")?;
    write!(
        stderr,
        "These recordings are deleted permanently, for everyone who took part in them. Type erase to continue: "
    )?;
    stderr.flush()?;
    let mut answer = String::new();
    io::stdin().read_line(&mut answer)?;
    Ok(answer.trim() == "erase")
}

/// The recordings of a person.
#[derive(Debug, Serialize)]
#[serde(transparent)]
struct FoundReport(FoundRecordings);

impl fmt::Display for FoundReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let recordings = &self.0.recordings;
        write!(f, "{} recordings", recordings.len())?;
        for row in recordings {
            let started_at = row
                .started_at
                .map(|at| at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string())
                .unwrap_or_default();
            let held = if row.held { ", held" } else { "" };
            write!(
                f,
                "\n{started_at:<20}  {} ({} chunks{held})",
                row.recording_id, row.chunks
            )?;
        }
        Ok(())
    }
}

/// What was written.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct ExportReport {
    pub file: PathBuf,
    #[serde(flatten)]
    pub manifest: Manifest,
}

impl fmt::Display for ExportReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Manifest {
            recordings,
            files,
            missing,
            ..
        } = &self.manifest;
        write!(
            f,
            "{} recordings in {} files are in {}",
            recordings.len(),
            files.len(),
            self.file.display()
        )?;
        missing.iter().try_for_each(|chunk| {
            write!(
                f,
                "\nnot in it: chunk {} of {}: {}",
                chunk.document_id, chunk.recording_id, chunk.reason
            )
        })
    }
}

/// Why there is no archive.
#[derive(Debug, thiserror::Error)]
enum ExportError {
    #[error("`{0}` does not end with .tar, the format of the archive")]
    NotTar(PathBuf),
    #[error("`{0}` exists already, and is not overwritten")]
    AlreadyThere(PathBuf),
    #[error("could not write `{path}`")]
    File { path: PathBuf, source: io::Error },
    #[error(transparent)]
    Archive(#[from] ArchiveError),
}

/// Writes a person's recordings into one archive. It has its name only when it is whole.
///
/// # Errors
/// When something cannot be read or written; then there is no archive.
async fn export(app: &App, person: &Person, to: &Path) -> Result<ExportReport, ExportError> {
    if !to
        .extension()
        .is_some_and(|extension| extension.eq_ignore_ascii_case("tar"))
    {
        return Err(ExportError::NotTar(to.to_owned()));
    }
    if to.exists() {
        return Err(ExportError::AlreadyThere(to.to_owned()));
    }
    let failed = |path: &Path| {
        let path = path.to_owned();
        move |source| ExportError::File { path, source }
    };
    let folder = to
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty())
        .unwrap_or(Path::new("."));
    let partial = tempfile::Builder::new()
        .prefix(".export-")
        .tempfile_in(folder)
        .map_err(failed(folder))?;
    let file = partial.as_file().try_clone().map_err(failed(to))?;
    let (manifest, mut writer) = app.catalogue.archive(person, BufWriter::new(file)).await?;
    writer.flush().map_err(failed(to))?;
    writer.get_ref().sync_all().map_err(failed(to))?;
    partial
        .persist_noclobber(to)
        .map_err(|error| ExportError::File {
            path: to.to_owned(),
            source: error.error,
        })?;
    File::open(folder)
        .and_then(|folder| folder.sync_all())
        .map_err(failed(folder))?;
    // The absolute path, so that who reads the report finds it.
    Ok(ExportReport {
        file: fs::canonicalize(to).unwrap_or_else(|_| to.to_owned()),
        manifest,
    })
}

/// What was erased.
#[derive(Debug, Serialize)]
#[serde(transparent)]
struct ErasureReport(Erasure);

impl fmt::Display for ErasureReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Erasure {
            erased,
            left,
            at_acs,
        } = &self.0;
        write!(
            f,
            "{} recordings are erased, {} are left",
            erased.len(),
            left.len()
        )?;
        left.iter().try_for_each(|recording| {
            write!(
                f,
                "\nleft: {}: {}",
                recording.recording_id, recording.reason
            )
        })?;
        at_acs
            .iter()
            .try_for_each(|id| write!(f, "\nACS has chunk {id} still, and drops it by itself"))
    }
}

/// Erases a person's recordings.
///
/// # Errors
/// When the ledger fails; to repeat it continues the work.
async fn erase(app: &App, request: &ErasureRequest) -> Result<ErasureReport, CatalogueError> {
    let eraser = Eraser::new(
        app.catalogue.clone(),
        Arc::clone(&app.driver),
        app.sweep_budget,
    );
    let erasing = app.actions.erase(request, &eraser, &Operator::Shell);
    erasing.await.map(ErasureReport)
}
