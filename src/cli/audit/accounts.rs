//! Compares the register's accounts with their records in the audit log: what was started or announced has an account, what
//! an account says was decided has a record, and what the log says was erased is erased.

mod erasures;
mod missing;

use std::collections::{BTreeMap, BTreeSet};

use futures::StreamExt as _;
use jiff::{SignedDuration, Timestamp};
use recording_vault::app::App;
use recording_vault::control::entry::RegisteredRecording;
use recording_vault::error_chain::ErrorChain;
use recording_vault::export::ledger::LedgerError;
use recording_vault::recording::{DocumentId, RecordingId};
use recording_vault::store::audit::{AuditAction, AuditRecord, SubjectKey};
use recording_vault::store::digest::Sha256Digest;
use recording_vault::store::documents::DocumentError;
use recording_vault::store::index::recording_name;
use serde_json::Value;

use self::erasures::LoggedErasures;
use super::findings::{Comparison, FirstRecorded};
use super::reasons::{self, Changed};

/// Accounts that are read together.
const AT_ONCE: usize = 16;
/// Documents of the log that are read for an account that was changed during the check.
const READ_AT_MOST: usize = 20;
/// Clocks of processes differ by less.
const CLOCKS_DIFFER: SignedDuration = SignedDuration::from_mins(10);

/// What the log says of recordings, by the names of their accounts.
#[derive(Debug, Default)]
pub struct LoggedAccounts {
    started: BTreeMap<Sha256Digest, LoggedEnd>,
    announced: BTreeMap<Sha256Digest, FirstChunk>,
    erasures: LoggedErasures,
    acknowledged: BTreeMap<Sha256Digest, Vec<AuditRecord>>,
    /// When the log began to be read.
    began_at: Option<Timestamp>,
}

/// Whether a recording that was started was stopped at ACS. One that ended by itself was not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum LoggedEnd {
    Open,
    Stopped,
}

/// The first chunk that the log has of a recording.
#[derive(Debug)]
struct FirstChunk {
    document_id: DocumentId,
    recorded_at: Timestamp,
}

impl LoggedAccounts {
    /// Notes that the log is about to be read.
    pub fn begin(&mut self, now: Timestamp) {
        self.began_at = Some(now);
    }

    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "other actions say nothing that an account has"
    )]
    pub fn add(&mut self, record: &AuditRecord) {
        match record.action {
            AuditAction::Started => {
                let name = of_subject(&record.subject);
                name.map(|name| self.started.entry(name).or_insert(LoggedEnd::Open));
            }
            AuditAction::Stopped => {
                let name = of_subject(&record.subject);
                name.map(|name| self.started.insert(name, LoggedEnd::Stopped));
            }
            AuditAction::Recorded => {
                self.add_chunk(record);
            }
            AuditAction::RecordedErased => {
                let name = self.add_chunk(record);
                self.erasures.add_chunk(name);
            }
            AuditAction::Acknowledged => {
                if let Some(name) = name_of(&record.subject) {
                    let records = self.acknowledged.entry(name).or_default();
                    records.push(record.clone());
                }
            }
            AuditAction::PersonErasing => self.erasures.add_begun(record),
            AuditAction::PersonErased => self.erasures.add_ended(record),
            _ => {}
        }
    }

    fn add_chunk(&mut self, record: &AuditRecord) -> Option<Sha256Digest> {
        let name = name_of(record.detail["recordingId"].as_str()?)?;
        let document_id = record.subject.parse().ok()?;
        self.announced.entry(name).or_insert(FirstChunk {
            document_id,
            recorded_at: record.at,
        });
        Some(name)
    }

    /// Whether a time is one during the check, by any process's clock: the record may be newer than the log as it was read.
    fn is_during_check(&self, at: Timestamp, now: Timestamp) -> bool {
        let since = self.began_at.map(|at| at.saturating_sub(CLOCKS_DIFFER));
        let until = now.saturating_add(CLOCKS_DIFFER);
        let is_since = since.is_some_and(|since| since.is_ok_and(|since| at >= since));
        is_since && until.is_ok_and(|until| at <= until)
    }

    async fn compare(
        &self,
        app: &App,
        (name, account): (&Sha256Digest, &RegisteredRecording),
        comparison: &mut Comparison,
    ) -> Result<(), LedgerError> {
        let id = &account.recording_id;
        if let Some(at) = account.opened_at {
            let what = format!("the account of recording {id}");
            comparison.recorded(FirstRecorded { at, what });
        }
        erasures::compare(app, self, (name, account), comparison).await?;
        self.compare_acknowledgement(app, (name, account), comparison)
            .await?;
        if account.is_running() && self.started.get(name) == Some(&LoggedEnd::Stopped) {
            comparison.not_checked.push(format!(
                "the account of recording {id} says that it runs, and the log that it was stopped: the account was changed \
                 back, or the process that stopped it ended before it wrote that"
            ));
        }
        Ok(())
    }

    async fn compare_acknowledgement(
        &self,
        app: &App,
        (name, account): (&Sha256Digest, &RegisteredRecording),
        comparison: &mut Comparison,
    ) -> Result<(), LedgerError> {
        let id = &account.recording_id;
        let logged = self.acknowledged.get(name).map_or(&[][..], Vec::as_slice);
        let Some(acknowledged) = &account.acknowledged else {
            // An erasure removes it.
            if !logged.is_empty() && account.erased.is_none() {
                comparison.not_checked.push(format!(
                    "the log says that problems of recording {id} were acknowledged, and its account does not: the process ended \
                     before it wrote that, or the account was changed back"
                ));
            }
            return Ok(());
        };
        let said = &acknowledged.said;
        if reasons::changed(app, said, logged).await? == Changed::Nothing {
            return Ok(());
        }
        // It may be newer than the log as it was read, whatever its time says.
        let newest = newest_acknowledgements(app, id).await?;
        let records = if newest.is_empty() { logged } else { &newest };
        let what = match reasons::changed(app, said, records).await? {
            Changed::Nothing => return Ok(()),
            Changed::Reason => "reason",
            Changed::Operator => "operator",
        };
        comparison.unrecorded(if records.is_empty() {
            format!(
                "the account of recording {id} says that its problems were acknowledged, and no record says so"
            )
        } else {
            format!(
                "the account of recording {id} has another {what} of its acknowledgement than the log"
            )
        });
        Ok(())
    }
}

/// The records that the problems of a recording were acknowledged, of the newest documents of the log.
async fn newest_acknowledgements(
    app: &App,
    id: &RecordingId,
) -> Result<Vec<AuditRecord>, LedgerError> {
    let audit = app.ledger.audit();
    let subject = SubjectKey::of(id.as_str());
    let mut found = Vec::new();
    for marked in audit.newest_of(subject, READ_AT_MOST).await? {
        let records = audit.records(&marked.position).await?.into_iter();
        found.extend(records.filter(|record| {
            record.action == AuditAction::Acknowledged && SubjectKey::of(&record.subject) == subject
        }));
    }
    Ok(found)
}

/// The names of the accounts of a record's recordings.
fn names_in(detail: &Value) -> impl Iterator<Item = Sha256Digest> + use<'_> {
    let recordings = detail["recordings"].as_array();
    let ids = recordings.into_iter().flatten();
    ids.filter_map(|id| name_of(id.as_str()?))
}

/// The name of the account of a record's subject.
fn of_subject(subject: &str) -> Option<Sha256Digest> {
    name_of(subject.strip_prefix("recording ")?)
}

fn name_of(id: &str) -> Option<Sha256Digest> {
    let id: RecordingId = id.parse().ok()?;
    Some(recording_name(&id))
}

/// # Errors
/// When the storage of register or ledger fails.
pub async fn compare(
    app: &App,
    logged: &LoggedAccounts,
    comparison: &mut Comparison,
) -> Result<(), LedgerError> {
    let register = app.control.register();
    let mut known = BTreeSet::new();
    let mut after = None;
    loop {
        let (names, next) = register.names(after.as_deref()).await?;
        let reading = futures::stream::iter(names).map(|name| async move {
            let found = register.by_name(&name).await;
            (name, found)
        });
        let mut reading = reading.buffered(AT_ONCE);
        while let Some((text, found)) = reading.next().await {
            let Ok(name) = Sha256Digest::try_from(text.clone()) else {
                continue;
            };
            known.insert(name);
            match found {
                Ok(Some(account)) => {
                    let compared = logged.compare(app, (&name, &account), comparison).await;
                    note_failure(&name, compared, comparison);
                }
                Ok(None) => {}
                Err(DocumentError::Corrupt { key, source }) => comparison
                    .problems
                    .push(format!("the account `{key}` is not readable: {source}")),
                Err(error) => note_failure(&name, Err(error.into()), comparison),
            }
        }
        after = next;
        if after.is_none() {
            break;
        }
    }
    missing::report(app, logged, &known, comparison).await;
    Ok(())
}

/// Reports an account that could not be compared. It stops no other.
fn note_failure(
    name: &Sha256Digest,
    compared: Result<(), LedgerError>,
    comparison: &mut Comparison,
) {
    if let Err(error) = compared {
        let reason = ErrorChain(&error);
        comparison.not_checked.push(format!(
            "the account `recordings/{name}.json` could not be compared: {reason}"
        ));
    }
}
