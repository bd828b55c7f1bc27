//! `recording-vault audit verify`: is the audit log whole?

use std::fmt;

use serde::Serialize;

use crate::app::App;
use crate::store::audit::AuditReport;
use crate::store::digest::Sha256Digest;
use crate::store::document_store::StoreError;

/// An end of the log that somebody noted: `<number>:<sha256>`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotedEnd {
    pub number: u64,
    pub sha256: Sha256Digest,
}

impl std::str::FromStr for NotedEnd {
    type Err = &'static str;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const EXPECTED: &str = "expected <number>:<sha256>, as `audit verify` prints it";
        let (number, sha256) = text.split_once(':').ok_or(EXPECTED)?;
        let sha256 = Sha256Digest::try_from(sha256.to_owned()).map_err(|_| EXPECTED)?;
        Ok(Self {
            number: number.parse().map_err(|_| EXPECTED)?,
            sha256,
        })
    }
}

/// What the log is like.
#[derive(Debug, Serialize)]
#[serde(transparent)]
pub struct Verified(pub AuditReport);

impl fmt::Display for Verified {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let report = &self.0;
        for problem in &report.problems {
            writeln!(f, "PROBLEM: {problem}")?;
        }
        let judgement = if report.problems.is_empty() {
            "The audit log is whole."
        } else {
            "The audit log is NOT whole."
        };
        writeln!(
            f,
            "{judgement} {} records in {} documents.",
            report.records, report.documents
        )?;
        write!(
            f,
            "It ends with {}:{} (note it elsewhere; `--noted` compares)",
            report.last, report.last_sha256
        )
    }
}

/// Follows the log from its beginning to its end.
///
/// # Errors
/// When the ledger's storage fails.
pub async fn verify(app: &App, noted: Option<&NotedEnd>) -> Result<Verified, StoreError> {
    let audit = app.ledger.audit();
    let mut report = audit.verify().await?;
    if let Some(noted) = noted
        && audit.digest_of(noted.number).await? != Some(noted.sha256)
    {
        report.problems.push(format!(
            "document {} is not the one that was noted",
            noted.number
        ));
    }
    Ok(Verified(report))
}
