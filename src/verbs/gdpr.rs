//! `recording-vault gdpr`: a person's recordings, found, handed out, erased.

use std::fmt;
use std::fs::{self, File};
use std::io::{self, BufWriter, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::Serialize;

use crate::app::App;
use crate::catalogue::CatalogueError;
use crate::catalogue::archive::{ArchiveError, Manifest};
use crate::catalogue::erasing::{Eraser, Erasure};
use crate::catalogue::person::{FoundRecordings, Person};

/// The recordings of a person.
#[derive(Debug, Serialize)]
#[serde(transparent)]
pub struct FoundReport(pub FoundRecordings);

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

/// Finds a person's recordings.
///
/// # Errors
/// When the ledger fails.
pub async fn find(app: &App, person: &Person) -> Result<FoundReport, CatalogueError> {
    app.catalogue.find_person(person).await.map(FoundReport)
}

/// What was written.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ExportReport {
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
pub enum ExportError {
    #[error("`{0}` does not end with .tar, which is what is written")]
    NotTar(PathBuf),
    #[error("`{0}` is there already, and is not overwritten")]
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
pub async fn export(app: &App, person: &Person, to: &Path) -> Result<ExportReport, ExportError> {
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
pub struct ErasureReport(pub Erasure);

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
/// When the ledger fails; a repeat goes on.
pub async fn erase(
    app: &App,
    person: &Person,
    reason: &str,
) -> Result<ErasureReport, CatalogueError> {
    let eraser = Eraser::new(
        app.catalogue.clone(),
        Arc::clone(&app.driver),
        app.sweep_budget,
    );
    eraser.erase(person, reason).await.map(ErasureReport)
}
