//! `recording-vault evidence`: a package that proves recordings to readers without this program and without the vault.

use std::fmt;
use std::path::PathBuf;

use clap::Args;
use jiff::ToSpan as _;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use recording_vault::app::App;
use recording_vault::catalogue::evidence::{AbsentRecording, EvidenceReport, EvidenceRequest};
use recording_vault::catalogue::list::ListFilter;
use recording_vault::config::Config;
use recording_vault::recording::RecordingId;
use recording_vault::store::holds::{CaseTag, Held};
use recording_vault::store::index::Period;
use serde::Serialize;
use serde_json::Value;

use super::argument::{self, InvalidArgument};
use super::existing;
use super::exit::Exit;
use super::new_file::{self, NewFile};
use super::output::{Output, complain};
use super::shell_user;

/// Recordings that one page of the search returns.
const PAGE: usize = 200;

/// The arguments of `evidence`.
#[derive(Args)]
pub struct Evidence {
    /// A recording id, a call id, or a day such as 2026-03-02 (UTC)
    #[arg(required_unless_present = "case", conflicts_with = "case", value_parser = subject)]
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

/// The recordings to pack.
#[derive(Debug, Default)]
struct Selected {
    recordings: Vec<RecordingId>,
    /// They may belong to the case, and are not packed.
    uncertain: Vec<RecordingId>,
}

impl Selected {
    fn add(&mut self, ids: Vec<RecordingId>) {
        for id in ids {
            if !self.recordings.contains(&id) {
                self.recordings.push(id);
            }
        }
    }

    /// A sentence for each recording that is not packed.
    fn left_out(&self) -> Vec<String> {
        let left_out = self
            .uncertain
            .iter()
            .filter(|id| !self.recordings.contains(id));
        left_out
            .map(|id| {
                format!(
                    "recording {id} may belong to the case and is not in the package: its participants or its start are not known"
                )
            })
            .collect()
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
    Ok(match argument::day(&text)? {
        Some(day) => EvidenceSubject::Day(day),
        None => EvidenceSubject::Id(text),
    })
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
        let selected = self.selected(&app).await?;
        let left_out = selected.left_out();
        let recordings = selected.recordings;
        if recordings.is_empty() {
            for sentence in &left_out {
                complain(&format!("{sentence}\n"));
            }
            complain("no recording is known to match; no package was written\n");
            return Ok(Exit::NeedsAttention);
        }
        let request = EvidenceRequest {
            made_by: shell_user::user_and_host(),
            time_zone: self.time_zone.unwrap_or_else(TimeZone::system),
            detail: shell_user::operator().sign(Value::Null),
            // One that was erased must not keep back the others of its day or call.
            absent: match (&self.case, recordings.len()) {
                (None, 1) => AbsentRecording::Refused,
                (Some(_) | None, _) => AbsentRecording::Listed,
            },
            left_out,
        };
        let evidence = app
            .catalogue
            .evidence(&recordings, &request, file.writer()?);
        let (evidence, writer) = Box::pin(evidence).await?;
        let report = PackageReport {
            file: file.complete(writer)?,
            evidence,
        };
        output.report(&report)?;
        Ok(Exit::fine_if(report.evidence.problems.is_empty()))
    }

    async fn selected(&self, app: &App) -> anyhow::Result<Selected> {
        if let Some(case) = &self.case {
            return of_case(app, case).await;
        }
        let filter = match &self.of {
            Some(EvidenceSubject::Day(day)) => ListFilter {
                period: Period {
                    from: Some(day.to_zoned(TimeZone::UTC)?.timestamp()),
                    to: Some(
                        day.checked_add(1.day())?
                            .to_zoned(TimeZone::UTC)?
                            .timestamp(),
                    ),
                },
                ..ListFilter::default()
            },
            Some(EvidenceSubject::Id(id)) => ListFilter {
                id: Some(id.clone()),
                ..ListFilter::default()
            },
            None => return Ok(Selected::default()),
        };
        Ok(Selected {
            recordings: matching(app, filter).await?,
            uncertain: Vec::new(),
        })
    }
}

/// All recordings that match a filter, newest first.
async fn matching(app: &App, filter: ListFilter) -> anyhow::Result<Vec<RecordingId>> {
    let mut found = Vec::new();
    let mut filter = ListFilter {
        top: PAGE,
        ..filter
    };
    loop {
        let page = app.catalogue.list(&filter).await?;
        for row in page.recordings {
            found.push(row.recording_id.parse()?);
        }
        match page.continuation {
            Some(continuation) => {
                filter.after = Some(continuation.parse().map_err(anyhow::Error::msg)?);
            }
            None => return Ok(found),
        }
    }
}

/// The recordings that a case holds, each once.
async fn of_case(app: &App, case: &CaseTag) -> anyhow::Result<Selected> {
    let mut found = Selected::default();
    let held = app.ledger.holds().all().await?;
    if let Some(key) = held.unreadable.first() {
        anyhow::bail!("the hold `{key}` in the ledger is not readable; it may belong to this case");
    }
    for hold in held.holds {
        if !hold.cases.iter().any(|held| held.tag == *case) {
            continue;
        }
        let recordings = match hold.held {
            Held::RecordingId(id) => vec![id],
            standing @ Held::Matching(_) => {
                let held = app.catalogue.ids_held(&standing).await?;
                if !held.is_all {
                    anyhow::bail!(
                        "{standing}: there are more recordings than one package can have, or accounts are not readable; create packages of single days"
                    );
                }
                found.uncertain.extend(held.uncertain);
                held.recordings
            }
            Held::CallId(call) => {
                let filter = ListFilter {
                    call: Some(call.as_str().to_owned()),
                    ..ListFilter::default()
                };
                matching(app, filter).await?
            }
        };
        found.add(recordings);
    }
    Ok(found)
}

impl fmt::Display for PackageReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let evidence = &self.evidence;
        write!(
            f,
            "{} recordings in {} files are in {}",
            evidence.recordings.len(),
            evidence.files.len(),
            self.file.display()
        )?;
        let mut problems = evidence.problems.iter();
        problems.try_for_each(|problem| write!(f, "\nPROBLEM: {problem}"))
    }
}
