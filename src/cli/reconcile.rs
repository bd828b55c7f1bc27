//! `recording-vault reconcile`: compares recordings, ledger and vault, and reports what is missing in one of them.

mod calls;
mod listed;
mod vault;

use std::collections::BTreeSet;
use std::fmt;
use std::path::PathBuf;

use clap::Args;
use futures::{StreamExt as _, TryStreamExt as _};
use jiff::civil::Date;
use jiff::{Timestamp, ToSpan as _};
use recording_vault::app::App;
use recording_vault::catalogue::day_context::DayContext;
use recording_vault::catalogue::label::RecordingLabel;
use recording_vault::catalogue::report::{
    CompletenessReport, DayCoverage, ReportedRecording, is_over,
};
use recording_vault::config::Config;
use recording_vault::counted::counted;
use recording_vault::export::LedgerEntry;
use recording_vault::recording::DocumentId;
use recording_vault::recording::id::comparable;
use recording_vault::standing::{Standing, of_chunk};
use recording_vault::visible;
use serde::Serialize;

use self::calls::{CallList, ExpectedCall};
use super::argument;
use super::existing;
use super::exit::Exit;
use super::output::{NoReport, Output};
use super::progress;
use super::table::Table;

const LONGEST_DAYS: i32 = 366;
/// Chunks that are looked up at once.
const AT_ONCE: usize = 16;

/// The arguments of `reconcile`.
#[derive(Args)]
pub struct Reconcile {
    /// The first day, UTC, such as 2026-03-01
    #[arg(long, value_parser = argument::date)]
    from: Date,
    /// The last day, UTC
    #[arg(long, value_parser = argument::date)]
    to: Date,
    /// A file of calls that must each have a recording: an id a line, or CSV with a column `callId` or `serverCallId`
    #[arg(long, value_name = "FILE")]
    calls: Option<PathBuf>,
}

impl Reconcile {
    /// # Errors
    /// When the list of calls, the register, the ledger or the vault cannot be read.
    pub async fn run(self, config: Config, output: Output) -> anyhow::Result<Exit> {
        let period = match Period::new(self.from, self.to) {
            Ok(period) => period,
            Err(error) => {
                return Ok(output.refuse(error)?);
            }
        };
        let calls = self.calls.as_deref().map(calls::read).transpose()?;
        let app = existing::open(config).await?;
        if let DayCoverage::Future = app.catalogue.coverage(period.from).await? {
            let none = format!("No data from {} on: the day has not begun", period.from);
            return Ok(output.decline(NoReport::NoData, none)?);
        }
        if let DayCoverage::BeforeFirst(first) = app.catalogue.coverage(period.to).await? {
            let none = format!(
                "No data until {}: the first recording is of {first}",
                period.to
            );
            return Ok(output.decline(NoReport::NoData, none)?);
        }
        let report = reconcile(&app, period, calls.unwrap_or_default()).await?;
        output.report(&report)?;
        Ok(Exit::fine_if(report.is_fine()))
    }
}

/// Days, UTC, the last one included.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Period {
    from: Date,
    to: Date,
}

/// Why two days do not form a period.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NoPeriod {
    #[error("the period {from} to {to} must end after it begins; swap its start and end")]
    Backwards { from: Date, to: Date },
    #[error(
        "--from {from} to --to {to} is more than {LONGEST_DAYS} days; take one year after the other"
    )]
    TooLong { from: Date, to: Date },
}

impl Period {
    /// # Errors
    /// When `from` is after `to`, or both are more than a year apart.
    pub fn new(from: Date, to: Date) -> Result<Self, NoPeriod> {
        if from > to {
            return Err(NoPeriod::Backwards { from, to });
        }
        if from
            .until(to)
            .is_ok_and(|span| span.get_days() >= LONGEST_DAYS)
        {
            return Err(NoPeriod::TooLong { from, to });
        }
        Ok(Self { from, to })
    }

    fn days(self) -> impl Iterator<Item = Date> {
        self.from
            .series(1.day())
            .take_while(move |day| *day <= self.to)
    }

    /// Says that some of its days are not over.
    fn not_over(self, now: Timestamp) -> Option<String> {
        let first = self.days().find(|day| !is_over(*day, now))?;
        let days = if first == self.to {
            format!("{first} has not ended, or the two hours after it have not")
        } else {
            format!(
                "{first} and the days after it have not ended, or the two hours after them have not"
            )
        };
        Some(format!(
            "{days} (UTC): recordings may still begin, and files may still be announced"
        ))
    }

    /// Whether a folder of the vault, `YYYYMMDD/…`, is of these days.
    fn has_folder(self, folder: &str) -> bool {
        let day = folder.split('/').next().unwrap_or_default();
        self.first_folder().as_str() <= day && day <= self.last_folder().as_str()
    }

    fn first_folder(self) -> String {
        self.from.strftime("%Y%m%d").to_string()
    }

    fn last_folder(self) -> String {
        self.to.strftime("%Y%m%d").to_string()
    }
}

/// The kind of a finding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum FindingKind {
    CallWithoutRecording,
    RecordingIncomplete,
    ChunkWithoutRecording,
    ChunkNotInVault,
    EntryNotReadable,
    FileMissing,
    FileWithoutEntry,
    ReceiptWithoutEntry,
    FileLeft,
}

impl FindingKind {
    fn text(self) -> &'static str {
        match self {
            Self::CallWithoutRecording => "call without recording",
            Self::RecordingIncomplete => "recording not complete",
            Self::ChunkWithoutRecording => "chunk without recording",
            Self::ChunkNotInVault => "chunk not in the vault",
            Self::EntryNotReadable => "entry not readable",
            Self::FileMissing => "file missing",
            Self::FileWithoutEntry => "file without entry",
            Self::ReceiptWithoutEntry => "receipt without entry",
            Self::FileLeft => "file left behind",
        }
    }
}

/// Something that is missing, or that has no counterpart.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Finding {
    pub kind: FindingKind,
    /// A recording, a chunk, a file, or a call.
    pub subject: String,
    pub problem: String,
    /// What identifies the recording for a person.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub recording: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub standing: Option<Standing>,
}

impl Finding {
    fn new(kind: FindingKind, subject: impl Into<String>, problem: impl Into<String>) -> Self {
        Self {
            kind,
            subject: subject.into(),
            problem: problem.into(),
            recording: None,
            standing: None,
        }
    }
}

/// The day of its chunk is unknown.
fn unreadable_entry(id: &DocumentId) -> Finding {
    let problem = "its ledger entry is not readable; run `recording-vault ledger rebuild`";
    Finding::new(FindingKind::EntryNotReadable, id.to_string(), problem)
}

/// What was compared and what was found.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Reconciliation {
    #[serde(flatten)]
    pub period: Period,
    pub recordings: usize,
    pub chunks: usize,
    pub files: usize,
    /// Calls of the list that was given.
    pub calls: usize,
    pub findings: Vec<Finding>,
    /// What could not be read, a sentence each.
    pub not_checked: Vec<String>,
}

impl Reconciliation {
    /// Whether nothing is missing, and that is known.
    pub fn is_fine(&self) -> bool {
        self.findings.is_empty() && self.not_checked.is_empty()
    }
}

impl fmt::Display for Reconciliation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            period: Period { from, to },
            recordings,
            chunks,
            files,
            calls,
            findings,
            not_checked,
        } = self;
        if !findings.is_empty() {
            let mut table = Table::new(&["what", "which"]);
            for finding in findings {
                table.row([finding.kind.text(), finding.subject.as_str()]);
                if let Some(recording) = &finding.recording {
                    table.note(recording.as_str());
                }
                table.note(finding.problem.as_str());
            }
            table.fmt(f)?;
            f.write_str("\n\n")?;
        }
        visible::write_part(
            f,
            format_args!(
                "{from} to {to}: {}, {} in the ledger, {} in the vault",
                counted(*recordings, "recording", "recordings"),
                counted(*chunks, "chunk", "chunks"),
                counted(*files, "file", "files")
            ),
        )?;
        if *calls > 0 {
            visible::write_part(
                f,
                format_args!(", {} in the list", counted(*calls, "call", "calls")),
            )?;
        }
        match (findings.len(), not_checked.is_empty()) {
            (0, true) => f.write_str(".\nNothing is missing.")?,
            (0, false) => f.write_str(".\nWhether anything is missing is not known.")?,
            (count @ 1.., _) => {
                let findings = counted(count, "finding", "findings");
                f.write_str(".")?;
                visible::write_line(f, format_args!("{findings}."))?;
            }
        }
        let mut unchecked = not_checked.iter();
        unchecked.try_for_each(|unchecked| {
            visible::write_line(f, format_args!("Not checked: {unchecked}"))
        })
    }
}

/// Of days without any recording, an event may be missing, or the recordings are somewhere else.
const NO_DATA: &str = "no recording, chunk or file of these days is known; whether there was a recording is not known";

/// Compares the register, the ledger and the vault for these days, and checks that each of `calls` has a recording.
async fn reconcile(app: &App, period: Period, list: CallList) -> anyhow::Result<Reconciliation> {
    let CallList { calls, unnamed } = list;
    let ledger = &app.ledger;
    let context = app.catalogue.day_context().await?;
    let reports = reports_of(app, &context, period).await?;
    let wanted: BTreeSet<_> = calls.iter().flat_map(ExpectedCall::names).collect();
    let has_call = |entry: &LedgerEntry| {
        listed::names_of(entry).any(|name| wanted.contains(&comparable(name)))
    };
    let entries = ledger
        .entries(|entry| period.has_folder(&entry.folder) || has_call(entry))
        .await?;
    let mut findings = incomplete(&reports);
    findings.extend(entries.unreadable.iter().map(unreadable_entry));
    let all = entries.found;
    findings.extend(listed::without_recording(app, &calls, &reports, &all));
    // Whatever its day: the list says that the call must have a recording.
    findings.extend(chunks(app, &reports, &all).await?);
    let in_place = vault::in_place(app, &all).await;
    findings.extend(in_place.findings);
    let is_of_period = |entry: &LedgerEntry| period.has_folder(&entry.folder);
    let others: Vec<&LedgerEntry> = all.iter().filter(|entry| !is_of_period(entry)).collect();
    let of_others = listed::look_at_copies(app, &others).await;
    findings.extend(of_others.findings);
    let entries: Vec<LedgerEntry> = all
        .iter()
        .filter(|entry| is_of_period(entry))
        .cloned()
        .collect();
    let files = vault::files(app, period).await?;
    findings.extend(vault::compare(app, &entries, &files).await?);
    findings.sort();
    findings.dedup();
    let recordings = reports.iter().map(|report| report.recordings.len()).sum();
    let mut not_checked = not_checked(&context, period);
    not_checked.extend(of_others.not_checked);
    if in_place.not_seen > 0 {
        let files = counted(in_place.not_seen, "file", "files");
        not_checked.push(format!(
            "{files} in your own storage, which could not be read"
        ));
    }
    if unnamed > 0 {
        let (one, several) = ("row of the list names", "rows of the list name");
        not_checked.push(format!("{} no call", counted(unnamed, one, several)));
    }
    if recordings == 0 && entries.is_empty() && files.is_empty() {
        not_checked.push(NO_DATA.to_owned());
    }
    Ok(Reconciliation {
        period,
        recordings,
        chunks: entries.len(),
        files: files.len(),
        calls: calls.len(),
        findings,
        not_checked,
    })
}

async fn reports_of(
    app: &App,
    context: &DayContext,
    period: Period,
) -> anyhow::Result<Vec<CompletenessReport>> {
    let bar = progress::bar(period.days().count(), "days reported on");
    let mut reports = Vec::new();
    for day in period.days() {
        reports.push(app.catalogue.report_in(context, day).await?);
        bar.inc(1);
    }
    bar.finish_and_clear();
    Ok(reports)
}

/// What the reports of these days could not take into account.
fn not_checked(context: &DayContext, period: Period) -> Vec<String> {
    let mut not_checked: Vec<String> = context.not_read().cloned().collect();
    let starts = period
        .days()
        .filter_map(|day| context.unknown_starts_of(day));
    let starts: BTreeSet<String> = starts.collect();
    not_checked.extend(starts);
    not_checked.extend(period.not_over(context.as_of()));
    not_checked
}

fn incomplete(reports: &[CompletenessReport]) -> Vec<Finding> {
    let recordings = reports.iter().flat_map(|report| &report.recordings);
    let problems = recordings.flat_map(|recording| {
        recording
            .problems
            .iter()
            .map(move |problem| (recording, problem))
    });
    let found = problems.map(|(recording, problem)| Finding {
        recording: Some(label_of(recording)),
        standing: Some(recording.standing),
        ..Finding::new(
            FindingKind::RecordingIncomplete,
            recording.recording_id.clone(),
            format!("{problem} ({})", recording.standing),
        )
    });
    found.collect()
}

fn label_of(recording: &ReportedRecording) -> String {
    let call = recording.call_id.as_deref();
    RecordingLabel {
        started_at: recording.started_at,
        call_id: call.or(recording.server_call_id.as_deref()),
        participants: &recording.participants,
        size_bytes: recording.size_bytes,
    }
    .to_string()
}

/// Chunks without a recording, and chunks outside the reports of these days that are not in the vault.
async fn chunks(
    app: &App,
    reports: &[CompletenessReport],
    entries: &[LedgerEntry],
) -> anyhow::Result<Vec<Finding>> {
    let now = app.clock.now();
    let recordings = reports.iter().flat_map(|report| &report.recordings);
    let reported: BTreeSet<&str> = recordings
        .filter(|recording| !recording.unregistered)
        .flat_map(|recording| &recording.chunks)
        .map(|chunk| chunk.document_id.as_str())
        .collect();
    let others = entries
        .iter()
        .filter(|entry| !reported.contains(entry.chunk.document_id.as_str()));
    let looking = futures::stream::iter(others).map(|entry| async move {
        let subject = entry.chunk.document_id.to_string();
        let mut found = Vec::new();
        if !app.control.has_recording_of(&entry.chunk).await? {
            let of = entry
                .chunk
                .recording_id
                .as_ref()
                .map_or_else(|| "none".to_owned(), ToString::to_string);
            let problem = format!(
                "it is {}; the register has no recording with this chunk (recording {of})",
                entry.state.name()
            );
            let kind = FindingKind::ChunkWithoutRecording;
            found.push(Finding::new(kind, subject.clone(), problem));
        }
        let assessment = of_chunk(entry, now);
        if !assessment.standing.is_settled() {
            let problem = format!("it {}", assessment.reasons.join("; it "));
            found.push(Finding {
                standing: Some(assessment.standing),
                ..Finding::new(FindingKind::ChunkNotInVault, subject, problem)
            });
        }
        anyhow::Ok(found)
    });
    Ok(looking
        .buffered(AT_ONCE)
        .try_collect::<Vec<_>>()
        .await?
        .concat())
}

#[cfg(test)]
mod tests;
