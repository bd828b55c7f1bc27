//! `recording-vault evidence`: a package that proves recordings to readers without this program and without the vault.

use std::fmt;
use std::path::PathBuf;

use clap::{ArgGroup, Args};
use jiff::ToSpan as _;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use recording_vault::app::App;
use recording_vault::catalogue::CatalogueError;
use recording_vault::catalogue::evidence::{
    AbsenceError, AbsentRecording, EvidenceReport, EvidenceRequest, EvidenceSelection,
    RequestedRecordings, left_out,
};
use recording_vault::config::Config;
use recording_vault::counted::counted;
use recording_vault::recording::RecordingId;
use recording_vault::store::holds::{CaseTag, Held};
use recording_vault::store::index::Period;
use recording_vault::visible;
use serde::Serialize;

use super::argument::{self, InvalidArgument};
use super::existing;
use super::exit::Exit;
use super::new_file::{self, NewFile};
use super::output::{NoReport, Output};
use super::quoting::quoted;
use super::shell_user;

/// The arguments of `evidence`.
#[derive(Args)]
#[command(group(ArgGroup::new("selection").required(true).args(["of", "case"])))]
pub struct Evidence {
    /// A recording id, a call id, or a day such as 2026-03-02 (UTC)
    #[arg(value_parser = subject)]
    of: Option<EvidenceSubject>,
    /// All recordings that a case holds
    #[arg(long)]
    case: Option<CaseTag>,
    /// The package; the file must not exist yet
    #[arg(long, value_name = "FILE.zip", value_parser = argument::path(argument::new_zip))]
    to: PathBuf,
    /// Show times in this zone beside UTC, such as Europe/Berlin; the machine's own by default
    #[arg(long, value_name = "ZONE", value_parser = zone)]
    time_zone: Option<TimeZone>,
}

/// What a package is about, unless it is a case.
#[derive(Debug, Clone)]
enum EvidenceSubject {
    Day(Date),
    /// A recording id or a call id.
    Id(String),
}

/// The recordings for a package.
#[derive(Default)]
struct Selected {
    selection: EvidenceSelection,
    /// Those of them that were read to select them.
    read: RequestedRecordings,
}

impl From<EvidenceSelection> for Selected {
    fn from(selection: EvidenceSelection) -> Self {
        Self {
            selection,
            read: RequestedRecordings::default(),
        }
    }
}

/// What was written.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct PackageReport {
    #[serde(serialize_with = "new_file::serialize_path")]
    file: PathBuf,
    #[serde(flatten)]
    evidence: EvidenceReport,
}

/// Why a text is not the subject of a package.
#[derive(Debug, thiserror::Error)]
enum InvalidSubject {
    #[error(transparent)]
    Argument(#[from] InvalidArgument),
    #[error(
        "a package has one day, recording or call; write one package for each, or hold the recordings for a case and give --case"
    )]
    Several,
}

fn subject(given: &str) -> Result<EvidenceSubject, InvalidSubject> {
    let text = argument::text(given)?;
    if text.contains("..") {
        return Err(InvalidSubject::Several);
    }
    if let Some(day) = argument::day(&text)? {
        return Ok(EvidenceSubject::Day(day));
    }
    argument::recording_or_call(&text)?;
    Ok(EvidenceSubject::Id(text))
}

fn zone(name: &str) -> Result<TimeZone, jiff::Error> {
    TimeZone::get(name)
}

impl Evidence {
    /// # Errors
    /// When something cannot be read, or the package cannot be written.
    pub async fn run(self, config: Config, output: Output) -> anyhow::Result<Exit> {
        let file = NewFile::create(&self.to, "zip")?;
        let app = existing::open(config).await?;
        let Selected { selection, read } = self.selected(&app).await?;
        let EvidenceSelection {
            recordings,
            left_out,
        } = selection;
        if recordings.is_empty() {
            let outcome = if left_out.is_empty() {
                NoReport::NotFound
            } else {
                NoReport::Unknown
            };
            let mut sentences = left_out;
            sentences.push("no recording is known to match; no package was written".to_owned());
            sentences.extend(self.hint().filter(|_| outcome == NoReport::NotFound));
            return Ok(output.decline_in_lines(outcome, &sentences)?);
        }
        let absent = self.absent(&recordings);
        let requested = app.catalogue.requested_beside(read, &recordings, absent);
        let requested = Box::pin(requested).await?;
        let request = EvidenceRequest {
            made_by: shell_user::user_and_host(),
            time_zone: self.time_zone.unwrap_or_else(TimeZone::system),
            operator: shell_user::operator(),
            left_out,
        };
        let evidence = app.catalogue.evidence(requested, &request, file.writer()?);
        let (evidence, writer) = Box::pin(evidence).await?;
        let report = PackageReport {
            file: file.complete(writer)?,
            evidence,
        };
        output.report(&report)?;
        Ok(Exit::fine_if(report.evidence.problems.is_empty()))
    }

    /// Only a package of one recording that was named by its id needs that recording.
    fn absent(&self, recordings: &[RecordingId]) -> AbsentRecording {
        let Some(EvidenceSubject::Id(id)) = &self.of else {
            return AbsentRecording::Listed;
        };
        match (recordings, id.trim().parse::<RecordingId>()) {
            ([only], Ok(id)) if *only == id => AbsentRecording::Refused,
            (_, Ok(_) | Err(_)) => AbsentRecording::Listed,
        }
    }

    /// Says how to find a whole id, where the beginning of one may have been given.
    fn hint(&self) -> Option<String> {
        let Some(EvidenceSubject::Id(id)) = &self.of else {
            return None;
        };
        Some(format!(
            "a package needs the whole id of a recording or call; this finds it by its beginning: recording-vault find {}",
            quoted(id)
        ))
    }

    async fn selected(&self, app: &App) -> anyhow::Result<Selected> {
        if let Some(case) = &self.case {
            return Ok(of_case(app, case).await?.into());
        }
        match &self.of {
            Some(EvidenceSubject::Day(day)) => {
                let midnight = |day: Date| day.to_zoned(TimeZone::UTC).map(|at| at.timestamp());
                let period = Period {
                    from: Some(midnight(*day)?),
                    to: Some(midnight(day.checked_add(1.day())?)?),
                };
                Ok(app.catalogue.evidence_of_period(period).await?.into())
            }
            Some(EvidenceSubject::Id(id)) => Ok(of_id(app, id.trim()).await?),
            None => Ok(Selected::default()),
        }
    }
}

/// The recordings of a call, and the recording with the same id, if there are such. The beginning of an id is none.
async fn of_id(app: &App, text: &str) -> anyhow::Result<Selected> {
    let mut selection = app.catalogue.evidence_of_call(text).await?;
    let is_call = !selection.recordings.is_empty() || !selection.left_out.is_empty();
    let id: RecordingId = text.parse()?;
    let ids = [id.clone()];
    let requested = app.catalogue.requested(&ids, AbsentRecording::Refused);
    let read = match Box::pin(requested).await {
        Ok(read) => Some(read),
        Err(AbsenceError::Erased(_)) => Some(RequestedRecordings::default()),
        Err(AbsenceError::Unknown(_)) => None,
        // The ids of calls are not those of recordings.
        Err(AbsenceError::NotRead {
            source: CatalogueError::NotAllRead,
            ..
        }) if is_call => None,
        Err(error @ AbsenceError::NotRead { .. }) => return Err(error.into()),
    };
    if read.is_some() {
        selection.add(EvidenceSelection {
            recordings: vec![id],
            left_out: Vec::new(),
        });
    }
    let read = read.unwrap_or_default();
    Ok(Selected { selection, read })
}

/// The recordings that a case holds, each once.
async fn of_case(app: &App, case: &CaseTag) -> anyhow::Result<EvidenceSelection> {
    let mut selection = EvidenceSelection::default();
    let mut uncertain: Vec<RecordingId> = Vec::new();
    let held = app.ledger.holds().all().await?;
    for key in &held.unreadable {
        selection.left_out.push(format!(
            "the hold `{key}` in the ledger is not readable; it may belong to this case"
        ));
    }
    for hold in held.holds {
        if !hold.cases.iter().any(|held| held.tag == *case) {
            continue;
        }
        match hold.held {
            Held::RecordingId(id) => selection.add(EvidenceSelection {
                recordings: vec![id],
                left_out: Vec::new(),
            }),
            standing @ Held::Matching(_) => {
                let held = app.catalogue.ids_held(&standing).await?;
                if held.is_capped {
                    anyhow::bail!(
                        "{standing}: there are more recordings than one package can have; create packages of single days"
                    );
                }
                uncertain.extend(held.uncertain);
                let unreadable = held.unreadable.iter();
                selection.add(EvidenceSelection {
                    recordings: held.recordings,
                    left_out: unreadable.map(|item| left_out(item)).collect(),
                });
            }
            Held::CallId(call) => {
                selection.add(app.catalogue.evidence_of_call(call.as_str()).await?);
            }
        }
    }
    uncertain.retain(|id| !selection.recordings.contains(id));
    let uncertain = uncertain.iter().map(|id| {
        format!(
            "recording {id} may belong to the case and is not in the package: its participants or its start are not known"
        )
    });
    selection.left_out.extend(uncertain);
    Ok(selection)
}

impl fmt::Display for PackageReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let evidence = &self.evidence;
        visible::write_part(
            f,
            format_args!(
                "{}: {}, {}",
                self.file.display(),
                counted(evidence.recordings.len(), "recording", "recordings"),
                counted(evidence.files.len(), "file", "files")
            ),
        )?;
        if let Some(sums) = &evidence.sums_sha256 {
            visible::write_line(
                f,
                format_args!("Note the SHA-256 of its SHA256SUMS elsewhere: {sums}"),
            )?;
        }
        let mut problems = evidence.problems.iter();
        problems.try_for_each(|problem| visible::write_line(f, format_args!("PROBLEM: {problem}")))
    }
}
