//! Compares the register's accounts with their records in the audit log: what was started has an account, and what an
//! account says was decided has a record.

use std::collections::{BTreeMap, BTreeSet};

use futures::StreamExt as _;
use recording_vault::app::App;
use recording_vault::control::entry::RegisteredRecording;
use recording_vault::recording::RecordingId;
use recording_vault::store::audit::{AuditAction, AuditRecord};
use recording_vault::store::digest::Sha256Digest;
use recording_vault::store::documents::DocumentError;
use recording_vault::store::index::recording_name;

use super::findings::Comparison;

/// Accounts that are read together.
const AT_ONCE: usize = 16;

/// What the log says of recordings, by the names of their accounts.
#[derive(Debug, Default)]
pub struct LoggedAccounts {
    started: BTreeMap<Sha256Digest, LoggedEnd>,
    erased: BTreeSet<Sha256Digest>,
    acknowledged: BTreeSet<Sha256Digest>,
}

/// Whether a recording that was started was stopped at ACS. One that ended by itself was not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum LoggedEnd {
    Open,
    Stopped,
}

impl LoggedAccounts {
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
            AuditAction::Acknowledged => {
                self.acknowledged.extend(name_of(&record.subject));
            }
            AuditAction::PersonErasing => {
                let recordings = record.detail["recordings"].as_array();
                let ids = recordings.into_iter().flatten();
                let names = ids.filter_map(|id| name_of(id.as_str()?));
                self.erased.extend(names);
            }
            _ => {}
        }
    }

    fn compare(
        &self,
        name: &Sha256Digest,
        account: &RegisteredRecording,
        comparison: &mut Comparison,
    ) {
        let id = &account.recording_id;
        if recording_name(id) != *name {
            comparison.problems.push(format!(
                "the account `recordings/{name}.json` is that of another recording"
            ));
            return;
        }
        if account.erased.is_some() && !self.erased.contains(name) {
            comparison.unrecorded(format!(
                "the account of recording {id} says that it was erased, and no record says so"
            ));
        }
        if account.acknowledged.is_some() && !self.acknowledged.contains(name) {
            comparison.unrecorded(format!(
                "the account of recording {id} says that its problems were acknowledged, and no record says so"
            ));
        }
        if account.is_running() && self.started.get(name) == Some(&LoggedEnd::Stopped) {
            comparison.not_checked.push(format!(
                "the account of recording {id} says that it runs, and the log that it was stopped: the account was changed \
                 back, or the process that stopped it ended before it wrote that"
            ));
        }
    }
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
/// When the register's storage fails.
pub async fn compare(
    app: &App,
    logged: &LoggedAccounts,
    comparison: &mut Comparison,
) -> Result<(), DocumentError> {
    let register = app.control.register();
    let mut missing: BTreeSet<Sha256Digest> = logged.started.keys().copied().collect();
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
            missing.remove(&name);
            match found {
                Ok(Some(account)) => logged.compare(&name, &account, comparison),
                Ok(None) => {}
                Err(DocumentError::Corrupt { key, .. }) => comparison
                    .problems
                    .push(format!("the account `{key}` is not readable")),
                Err(error) => return Err(error),
            }
        }
        after = next;
        if after.is_none() {
            break;
        }
    }
    report_missing(app, missing, comparison).await
}

async fn report_missing(
    app: &App,
    missing: BTreeSet<Sha256Digest>,
    comparison: &mut Comparison,
) -> Result<(), DocumentError> {
    let register = app.control.register();
    for name in missing {
        // It may have been written meanwhile.
        if register.by_name(&name.to_string()).await?.is_some() {
            continue;
        }
        let what = format!(
            "the recording of the account `recordings/{name}.json` was started, and the register has no account of it"
        );
        if register.has_unsettled_starts().await? {
            comparison.not_checked.push(format!(
                "{what}; a start is not settled yet, and may be its"
            ));
        } else {
            comparison.problems.push(what);
        }
    }
    Ok(())
}
