//! Time stamps of checkpoints: which authorities are trusted, and what a stamp proves.

use std::path::PathBuf;

use anyhow::Context as _;
use jiff::{SignedDuration, Timestamp};
use recording_vault::app::App;
use recording_vault::store::audit::{CheckpointRef, CheckpointStamp};
use serde::Serialize;
use timestamp_token::TrustAnchors;

/// The outcome for all stamps.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct StampsReport {
    /// Stamps that are valid.
    pub hold: u64,
    /// Stamps that were not checked, because no authority is trusted.
    pub not_checked: u64,
    /// The newest checkpoint with a valid stamp.
    pub newest: Option<StampedCheckpoint>,
    #[serde(skip)]
    pub problems: Vec<String>,
}

/// A checkpoint that existed at a time, as an authority says.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct StampedCheckpoint {
    pub checkpoint: CheckpointRef,
    pub at: Timestamp,
}

/// Reads the certificates that are trusted.
///
/// # Errors
/// When the file is not readable, or has no certificate.
pub fn trusted(file: Option<PathBuf>) -> anyhow::Result<Option<TrustAnchors>> {
    let Some(file) = file else { return Ok(None) };
    let pem = std::fs::read(&file).with_context(|| format!("could not read {}", file.display()))?;
    let anchors = TrustAnchors::from_pem(&pem);
    Ok(Some(
        anchors.with_context(|| format!("{}", file.display()))?,
    ))
}

/// Checks all stamps.
///
/// # Errors
/// When the ledger fails.
pub async fn check(app: &App, trusted: Option<&TrustAnchors>) -> anyhow::Result<StampsReport> {
    let mut report = StampsReport::default();
    for stamp in app.ledger.audit().stamps().await? {
        let Some(trusted) = trusted else {
            report.not_checked += 1;
            continue;
        };
        match checked(app, &stamp, trusted).await? {
            StampCheck::Holds(stamped) => {
                report.hold += 1;
                let number = |stamped: &StampedCheckpoint| stamped.checkpoint.number;
                if report.newest.as_ref().map(number) <= Some(number(&stamped)) {
                    report.newest = Some(stamped);
                }
            }
            StampCheck::Broken { reason } => {
                let name = &stamp.name;
                report
                    .problems
                    .push(format!("the timestamp `{name}` is not valid: {reason}"));
            }
        }
    }
    Ok(report)
}

enum StampCheck {
    Holds(StampedCheckpoint),
    Broken { reason: String },
}

async fn checked(
    app: &App,
    stamp: &CheckpointStamp,
    trusted: &TrustAnchors,
) -> anyhow::Result<StampCheck> {
    let broken = |reason: String| Ok(StampCheck::Broken { reason });
    let Some(number) = stamp.number else {
        return broken("its name has no checkpoint".to_owned());
    };
    let Some((checkpoint, _)) = app.ledger.audit().find_checkpoint(number).await? else {
        return broken(format!("checkpoint {number} is missing"));
    };
    let sha256 = checkpoint.sha256.to_bytes();
    let since_1970 = match timestamp_token::verify(&stamp.token, sha256, trusted) {
        Ok(since_1970) => since_1970,
        Err(error) => return broken(error.to_string()),
    };
    let at = SignedDuration::try_from(since_1970)
        .ok()
        .and_then(|since| Timestamp::UNIX_EPOCH.checked_add(since).ok());
    match at {
        Some(at) => Ok(StampCheck::Holds(StampedCheckpoint { checkpoint, at })),
        None => broken("its time is none".to_owned()),
    }
}
