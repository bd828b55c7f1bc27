//! `recording-vault audit verify`: checks the audit log from its beginning to its end.

use std::fmt;

use clap::Subcommand;
use recording_vault::app::App;
use recording_vault::compose;
use recording_vault::config::Config;
use recording_vault::store::audit::AuditReport;
use recording_vault::store::digest::Sha256Digest;
use serde::Serialize;

use super::exit::Exit;
use super::output::Output;

/// The verbs of `audit`.
#[derive(Subcommand)]
pub enum Audit {
    /// Check the log from its beginning to its end, and report every edit, gap and reordering
    Verify {
        /// An end of the log that was noted earlier, `<number>:<sha256>`: it must still be there
        #[arg(long)]
        noted: Option<NotedEnd>,
    },
}

impl Audit {
    /// # Errors
    /// When the ledger's storage fails.
    pub async fn run(self, config: Config, output: Output) -> anyhow::Result<Exit> {
        let Self::Verify { noted } = self;
        let report = verify(&compose::app(config)?, noted.as_ref()).await?;
        output.report(&report)?;
        Ok(Exit::fine_if(report.0.problems.is_empty()))
    }
}

/// An end of the log that was noted earlier: `<number>:<sha256>`.
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

/// What the check found.
#[derive(Debug, Serialize)]
#[serde(transparent)]
pub struct LogReport(AuditReport);

impl fmt::Display for LogReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let report = &self.0;
        for problem in &report.problems {
            writeln!(f, "PROBLEM: {problem}")?;
        }
        let verdict = if report.problems.is_empty() {
            "The audit log is whole."
        } else {
            "The audit log is NOT whole."
        };
        writeln!(
            f,
            "{verdict} {} records in {} documents.",
            report.records, report.documents
        )?;
        write!(
            f,
            "It ends with {}:{} (note it elsewhere; `--noted` compares)",
            report.last, report.last_sha256
        )
    }
}

async fn verify(app: &App, noted: Option<&NotedEnd>) -> anyhow::Result<LogReport> {
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
    Ok(LogReport(report))
}
