//! `recording-vault gdpr`: finds, exports and erases a person's recordings.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Subcommand;
use recording_vault::app::App;
use recording_vault::catalogue::CatalogueError;
use recording_vault::catalogue::archive::Manifest;
use recording_vault::catalogue::erasing::{Eraser, Erasure, ErasurePreview, LeftRecording};
use recording_vault::catalogue::not_searched::NotSearched;
use recording_vault::catalogue::people::FoundRecordings;
use recording_vault::catalogue::person::Person;
use recording_vault::catalogue::row::Row;
use recording_vault::config::Config;
use recording_vault::counted::counted;
use recording_vault::operator_actions::erase::{ErasureRequest, InvalidReason};
use recording_vault::visible;
use serde::Serialize;

use super::argument;
use super::deletion::{DeletionArgs, DeletionMode, MissingArgs, is_confirmed};
use super::existing;
use super::exit::Exit;
use super::new_file::{self, NewFile};
use super::output::{NoReport, Output};
use super::shell_user;

/// The verbs of `gdpr`.
#[derive(Subcommand)]
pub enum Gdpr {
    /// List the recordings that a person took part in
    Find {
        /// The person's id or phone number in any spelling, such as 8:acs:… or +1 555 123 0001
        #[arg(value_parser = argument::person)]
        participant: Person,
    },
    /// Write all of these recordings into one archive, with a manifest
    Export {
        /// The person's id or phone number in any spelling
        #[arg(value_parser = argument::person)]
        participant: Person,
        /// The archive; the file must not exist yet
        #[arg(long, value_name = "FILE.tar", value_parser = argument::path(argument::new_tar))]
        to: PathBuf,
    },
    /// Erase these recordings; those that are held, active or not exported yet are listed and left
    Erase {
        /// The person's id or phone number in any spelling
        #[arg(value_parser = argument::person)]
        participant: Person,
        /// Why; the audit log keeps it, so it must not name the person
        #[arg(long)]
        reason: String,
        #[command(flatten)]
        deletion: DeletionArgs,
        #[command(flatten)]
        missing: MissingArgs,
    },
}

impl Gdpr {
    /// # Errors
    /// When the ledger fails, or the archive cannot be written.
    pub async fn run(self, config: Config, output: Output) -> anyhow::Result<Exit> {
        if let Some(problem) = self.problem()? {
            return Ok(output.refuse(format!("nothing was erased: {problem}"))?);
        }
        let app = existing::open(config).await?;
        if let Err(problem) = app.catalogue.check_country(self.person()) {
            return Ok(output.refuse(problem)?);
        }
        match self {
            Self::Find { participant } => {
                let report = FoundReport(
                    app.catalogue
                        .find_person(&participant, &shell_user::operator())
                        .await?,
                );
                output.report(&report)?;
                let is_whole = report.0.not_searched.is_nothing();
                Ok(Exit::fine_if(is_whole && !report.0.recordings.is_empty()))
            }
            Self::Export { participant, to } => {
                let Some(report) = export(&app, &participant, &to).await? else {
                    let none = "no recording of this person is known; no archive was written";
                    return Ok(output.decline(NoReport::NotFound, none)?);
                };
                output.report(&report)?;
                Ok(Exit::fine_if(report.manifest.is_complete()))
            }
            Self::Erase {
                participant,
                reason,
                deletion,
                missing,
            } => {
                let request = match ErasureRequest::new(participant, &reason) {
                    Ok(request) => request,
                    Err(problem) => {
                        return Ok(output.refuse(format!("nothing was erased: {problem}"))?);
                    }
                };
                let eraser = eraser(&app).with_missing(missing.handling());
                if let Some(exit) = asked(&eraser, &request, &deletion, output).await? {
                    return Ok(exit);
                }
                let report = erase(&app, &eraser, &request).await?;
                output.report(&report)?;
                let erasure = &report.0;
                Ok(Exit::fine_if(
                    erasure.is_complete() && erasure.is_of_someone(),
                ))
            }
        }
    }
}

/// Shows what an erasure would delete, and asks. Returns the exit code where nothing is to be erased.
async fn asked(
    eraser: &Eraser,
    request: &ErasureRequest,
    deletion: &DeletionArgs,
    output: Output,
) -> anyhow::Result<Option<Exit>> {
    if deletion.mode() == DeletionMode::Delete {
        return Ok(None);
    }
    let operator = shell_user::operator();
    let preview = PreviewReport(eraser.preview(request.person(), &operator).await?);
    if deletion.mode() == DeletionMode::DryRun {
        output.report(&preview)?;
        return Ok(Some(Exit::fine_if(preview.0.is_whole())));
    }
    let about_to = format!(
        "{preview}\nThese recordings are deleted permanently, for everyone who took part in them, except those that stay."
    );
    if is_confirmed(&about_to, "erase")? {
        return Ok(None);
    }
    output.decline(NoReport::NotConfirmed, "nothing was erased")?;
    Ok(Some(Exit::NotDone))
}

impl Gdpr {
    /// What is wrong with the reason of an erasure.
    ///
    /// # Errors
    /// When the archive of an export cannot have the name.
    fn problem(&self) -> anyhow::Result<Option<InvalidReason>> {
        match self {
            Self::Find { .. } => Ok(None),
            Self::Export { to, .. } => {
                NewFile::create(to, "tar")?;
                Ok(None)
            }
            Self::Erase {
                participant,
                reason,
                ..
            } => Ok(ErasureRequest::new(participant.clone(), reason).err()),
        }
    }

    fn person(&self) -> &Person {
        match self {
            Self::Find { participant }
            | Self::Export { participant, .. }
            | Self::Erase { participant, .. } => participant,
        }
    }
}

/// The recordings of a person.
#[derive(Debug, Serialize)]
#[serde(transparent)]
struct FoundReport(FoundRecordings);

impl fmt::Display for FoundReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_found(f, &self.0.recordings)?;
        write_not_searched(f, &self.0.not_searched)
    }
}

/// What an erasure would do.
#[derive(Debug, Serialize)]
#[serde(transparent)]
struct PreviewReport(ErasurePreview);

impl fmt::Display for PreviewReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ErasurePreview {
            found,
            left,
            of_others,
            ..
        } = &self.0;
        write_found(f, &found.recordings)?;
        write_left(f, "stays", left)?;
        of_others.iter().try_for_each(|id| {
            visible::write_line(f, format_args!("stays: chunk {id}; an event named it under one of these recordings, and it belongs to another one"))
        })?;
        if !self.0.is_of_someone() {
            f.write_str(NOBODY)?;
        }
        write_not_searched(f, &found.not_searched)
    }
}

const NOBODY: &str = "\nNo recording of this person is known, and no record of an earlier erasure was found: the id may be wrong.";

fn write_left(f: &mut fmt::Formatter<'_>, what: &str, left: &[LeftRecording]) -> fmt::Result {
    left.iter().try_for_each(|left| {
        let reason = &left.reason;
        visible::write_line(f, format_args!("{what}: {}: {reason}", left.recording_id))
    })
}

fn write_found(f: &mut fmt::Formatter<'_>, recordings: &[Row]) -> fmt::Result {
    f.write_str(&counted(recordings.len(), "recording", "recordings"))?;
    for row in recordings {
        let started_at = row
            .started_at
            .map(|at| at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string())
            .unwrap_or_default();
        let held = if row.held { ", held" } else { "" };
        visible::write_line(
            f,
            format_args!(
                "{started_at:<20}  {} ({}{held})",
                row.recording_id,
                counted(row.chunks, "chunk", "chunks")
            ),
        )?;
    }
    Ok(())
}

fn write_not_searched(f: &mut fmt::Formatter<'_>, not_searched: &NotSearched) -> fmt::Result {
    if not_searched.is_nothing() {
        return Ok(());
    }
    f.write_str("\n")?;
    fmt::Display::fmt(not_searched, f)
}

/// What was written.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct ExportReport {
    #[serde(serialize_with = "new_file::serialize_path")]
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
            incomplete,
            not_searched,
            ..
        } = &self.manifest;
        visible::write_part(
            f,
            format_args!(
                "{} recordings in {} files are in {}",
                recordings.len(),
                files.len(),
                self.file.display()
            ),
        )?;
        incomplete.iter().try_for_each(|recording| {
            visible::write_line(
                f,
                format_args!(
                    "not whole: recording {}: {}",
                    recording.recording_id, recording.reason
                ),
            )
        })?;
        missing.iter().try_for_each(|chunk| {
            visible::write_line(
                f,
                format_args!(
                    "not in it: chunk {} of {}: {}",
                    chunk.document_id, chunk.recording_id, chunk.reason
                ),
            )
        })?;
        write_not_searched(f, not_searched)
    }
}

/// Writes a person's recordings into one archive. It has its name only when it is complete. `None`: all was searched, no
/// recording was found, and there is no archive.
///
/// # Errors
/// When something cannot be read or written; then there is no archive.
async fn export(app: &App, person: &Person, to: &Path) -> anyhow::Result<Option<ExportReport>> {
    let file = NewFile::create(to, "tar")?;
    let (manifest, writer) = app
        .catalogue
        .archive(person, &shell_user::operator(), file.writer()?)
        .await?;
    if manifest.recordings.is_empty() && manifest.not_searched.is_nothing() {
        return Ok(None);
    }
    Ok(Some(ExportReport {
        file: file.complete(writer)?,
        manifest,
    }))
}

/// What was erased.
#[derive(Debug, Serialize)]
#[serde(transparent)]
struct ErasureReport(Erasure);

impl ErasureReport {
    fn write_events(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Erasure {
            events,
            events_left,
            ..
        } = &self.0;
        if *events > 0 {
            let events = counted(*events, "unreadable event", "unreadable events");
            visible::write_line(f, format_args!("Erased too: {events}."))?;
        }
        if *events_left > 0 {
            let events = counted(*events_left, "unreadable event", "unreadable events");
            visible::write_line(
                f,
                format_args!(
                    "Left too: {events}, which also name a recording that is left, or a chunk that is not recorded yet."
                ),
            )?;
        }
        Ok(())
    }
}

impl fmt::Display for ErasureReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Erasure {
            erased,
            left,
            at_acs,
            perhaps_at_acs,
            of_others,
            not_searched,
            ..
        } = &self.0;
        visible::write_part(
            f,
            format_args!(
                "Erased: {}. Left: {}.",
                counted(erased.len(), "recording", "recordings"),
                counted(left.len(), "recording", "recordings")
            ),
        )?;
        write_left(f, "left", left)?;
        at_acs.iter().try_for_each(|id| {
            visible::write_line(
                f,
                format_args!("ACS still has chunk {id}, and deletes it when its retention ends"),
            )
        })?;
        perhaps_at_acs.iter().try_for_each(|id| {
            visible::write_line(f, format_args!("Whether ACS has a file of chunk {id} is not known: no event announced it, and an import recorded it"))
        })?;
        of_others.iter().try_for_each(|id| {
            visible::write_line(f, format_args!("Left too: chunk {id}; an event named it under an erased recording, and it belongs to another one"))
        })?;
        if !erased.is_empty() {
            visible::write_line(
                f,
                format_args!(
                    "Where the storage keeps earlier versions or soft-deleted files, it keeps what was deleted until their retention ends; in a deployment of infra/ up to twice `undeleteDays` and a day."
                ),
            )?;
        }
        self.write_events(f)?;
        if !self.0.is_of_someone() {
            f.write_str(NOBODY)?;
        }
        write_not_searched(f, not_searched)
    }
}

/// Erases a person's recordings.
///
/// # Errors
/// When the ledger fails; to repeat it continues the work.
async fn erase(
    app: &App,
    eraser: &Eraser,
    request: &ErasureRequest,
) -> Result<ErasureReport, CatalogueError> {
    let operator = shell_user::operator();
    let erasing = app.actions.erase(request, eraser, &operator);
    erasing.await.map(ErasureReport)
}

fn eraser(app: &App) -> Eraser {
    Eraser::new(
        app.catalogue.clone(),
        Arc::clone(&app.driver),
        app.sweep_budget,
    )
}
