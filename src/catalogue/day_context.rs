//! What the reports and numbers of days need besides the lists of the days: recordings that are not settled, what the last
//! complete check found, and what was not looked at. Read once, for any number of days.

use std::collections::BTreeMap;

use futures::{StreamExt as _, TryStreamExt as _};
use jiff::Timestamp;
use jiff::civil::Date;

use super::check::{CheckFinding, CheckRecord};
use super::day_numbers::Judged;
use super::known::{Reading, Registration};
use super::observed::Observed;
use super::survey::Surveyed;
use super::{AT_ONCE, Catalogue, CatalogueError};
use crate::control::register::days::day_of;
use crate::counted::counted;
use crate::export::layout::{self, BlobName};
use crate::recording::DocumentId;
use crate::standing::ChunkEntry;
use crate::standing::verdict::{not_read, not_recent, problems_of_any_day, unknown_starts};
use crate::store::digest::Sha256Digest;
use crate::store::documents::DocumentError;

/// What is known beside the lists of days.
#[derive(Debug)]
pub struct DayContext {
    as_of: Timestamp,
    /// Recordings that are not settled.
    open: Vec<Judged>,
    /// More recordings are not settled than were read.
    is_capped: bool,
    /// Something is not readable, so its day is unknown.
    has_undated: bool,
    /// What the last complete check found, by the day of the recording.
    findings: BTreeMap<Date, Vec<String>>,
    /// Those whose day is unknown, or that are not stored.
    undated_findings: Vec<String>,
    problems_of_any_day: Vec<String>,
    not_read: Vec<String>,
    /// When starts were sent that ACS did not answer.
    unknown_starts: Vec<Timestamp>,
    not_recent: Vec<String>,
    checked_at: Option<Timestamp>,
}

impl DayContext {
    pub fn as_of(&self) -> Timestamp {
        self.as_of
    }

    /// Whether more recordings are not settled than were read: numbers are lower bounds.
    pub fn is_capped(&self) -> bool {
        self.is_capped
    }

    /// When the last complete check began.
    pub fn checked_at(&self) -> Option<Timestamp> {
        self.checked_at
    }

    /// Returns what the last complete check found about recordings of a day.
    pub fn findings_of(&self, day: Date) -> &[String] {
        self.findings.get(&day).map_or(&[], Vec::as_slice)
    }

    /// What is wrong, and may concern recordings of any day.
    pub fn findings_of_any_day(&self) -> impl Iterator<Item = &String> {
        self.problems_of_any_day
            .iter()
            .chain(&self.undated_findings)
    }

    /// What could not be read, or was not read yet. What the complete check found or has not looked for is not in it.
    pub fn not_read(&self) -> impl Iterator<Item = &String> {
        self.problems_of_any_day.iter().chain(&self.not_read)
    }

    /// What is not known to be wrong, and was not read, or not checked recently.
    pub fn not_checked(&self) -> impl Iterator<Item = &String> {
        self.not_read.iter().chain(&self.not_recent)
    }

    /// Names the starts that ACS did not answer and that may have begun a recording of this day. One that was sent late on
    /// the day before may have.
    pub fn unknown_starts_of(&self, day: Date) -> Option<String> {
        let is_of = |sent: &&Timestamp| {
            let sent = day_of(**sent);
            sent == day || sent.tomorrow().is_ok_and(|next| next == day)
        };
        unknown_starts(self.unknown_starts.iter().filter(is_of).count(), false)
    }

    /// Returns recordings of a day that are not settled. The list of the day may lack some of them.
    pub(super) fn open_of(&self, day: Date) -> impl Iterator<Item = &Judged> {
        self.open.iter().filter(move |judged| judged.is_of(day))
    }

    /// Whether a recording has chunks and no account in the register, and is not settled.
    pub(super) fn has_unregistered(&self, name: &Sha256Digest) -> bool {
        let mut open = self.open.iter();
        open.any(|judged| judged.name == *name && is_unregistered(judged))
    }

    /// Whether anything that is known now may contradict the stored numbers of a day.
    pub(super) fn concerns(&self, day: Date) -> bool {
        let is_open = || self.open_of(day).next().is_some();
        self.is_capped || self.has_undated || self.findings.contains_key(&day) || is_open()
    }
}

impl Catalogue {
    /// Reads what the reports of days need besides the lists of the days.
    ///
    /// # Errors
    /// When the storage fails.
    pub async fn day_context(&self) -> Result<DayContext, CatalogueError> {
        let observed = self.observed().await?;
        let facts = observed.facts();
        let Observed { survey, check, .. } = observed;
        let now = survey.rules.now;
        let (surveyed, limits) = survey.into_parts();
        let open = unsettled(surveyed, now);
        let is_readable = |judged: &Judged| matches!(judged.reading, Reading::Known(_));
        let mut context = DayContext {
            as_of: facts.as_of,
            is_capped: limits.is_capped,
            has_undated: !limits.chunks.is_empty() || !open.iter().all(is_readable),
            findings: BTreeMap::new(),
            undated_findings: Vec::new(),
            problems_of_any_day: problems_of_any_day(&facts),
            not_read: not_read(&facts),
            unknown_starts: facts.unknown_starts.clone(),
            not_recent: not_recent(&facts),
            checked_at: check.as_ref().map(|check| check.began_at),
            open,
        };
        if let Some(check) = &check {
            self.add_findings(check, &mut context).await?;
        }
        Ok(context)
    }

    async fn add_findings(
        &self,
        check: &CheckRecord,
        context: &mut DayContext,
    ) -> Result<(), CatalogueError> {
        let findings = check.seen.findings.clone();
        let dated = self.dated(findings, &context.open).await?;
        for finding in dated {
            let text = format!("{}: {}", finding.subject, finding.problem);
            match finding.day {
                Some(day) => context.findings.entry(day).or_default().push(text),
                None => {
                    context.has_undated = true;
                    context.undated_findings.push(text);
                }
            }
        }
        let unnamed = check.seen.finding_count - check.seen.findings.len();
        if unnamed > 0 {
            let (one, several) = ("more finding", "more findings");
            let unnamed = counted(unnamed, one, several);
            context.has_undated = true;
            let unnamed = format!("{unnamed} of the last complete check");
            context.undated_findings.push(unnamed);
        }
        Ok(())
    }

    /// Returns a finished check whose findings have the days of their recordings, as far as they are known.
    pub(super) async fn with_days(
        &self,
        mut check: CheckRecord,
    ) -> Result<CheckRecord, CatalogueError> {
        if check.seen.findings.is_empty() {
            return Ok(check);
        }
        let survey = self.survey(Some(&check)).await?;
        let now = survey.rules.now;
        // What it did not read only leaves findings without a day.
        let (surveyed, _) = survey.into_parts();
        let findings = std::mem::take(&mut check.seen.findings);
        check.seen.findings = self.dated(findings, &unsettled(surveyed, now)).await?;
        Ok(check)
    }

    /// Returns findings with the days of their recordings.
    async fn dated(
        &self,
        findings: Vec<CheckFinding>,
        open: &[Judged],
    ) -> Result<Vec<CheckFinding>, CatalogueError> {
        let dating = futures::stream::iter(findings).map(|finding| async move {
            let day = self.day_of_finding(&finding, open).await?;
            Ok::<_, CatalogueError>(CheckFinding { day, ..finding })
        });
        dating.buffered(AT_ONCE).try_collect().await
    }

    /// Returns the day of the recording that a finding is about, if that is known.
    async fn day_of_finding(
        &self,
        finding: &CheckFinding,
        open: &[Judged],
    ) -> Result<Option<Date>, CatalogueError> {
        let Some(id) = document_of(&finding.subject) else {
            return Ok(None);
        };
        Ok(match self.chunk_entry(&id).await? {
            ChunkEntry::Found(entry) => {
                match self.register.find(&entry.chunk.filed_under()).await {
                    Ok(Some(account)) => Some(day_of(account.filed_at())),
                    Ok(None) => Some(day_of(entry.filed_at())),
                    Err(DocumentError::Corrupt { .. }) => None,
                    Err(error) => return Err(error.into()),
                }
            }
            ChunkEntry::Absent | ChunkEntry::Unreadable => {
                open.iter().find_map(|judged| judged.day_with(&id))
            }
        })
    }
}

/// Returns the recordings of a survey that are not settled.
fn unsettled(surveyed: Vec<Surveyed>, now: Timestamp) -> Vec<Judged> {
    let judged = surveyed.into_iter().map(|one| Judged {
        name: one.name,
        reading: one.reading,
        assessment: one.assessment,
        now,
    });
    judged
        .filter(|judged| !judged.standing().is_settled())
        .collect()
}

fn is_unregistered(judged: &Judged) -> bool {
    match &judged.reading {
        Reading::Known(recorded) => recorded.registration == Registration::Unregistered,
        Reading::Unreadable { .. } | Reading::Absent => false,
    }
}

/// The chunk that the subject of a finding names: its id, or a file of it.
fn document_of(subject: &str) -> Option<DocumentId> {
    if subject.contains('/') {
        let file: BlobName = subject.parse().ok()?;
        return layout::document_of(&file);
    }
    subject.parse().ok()
}
