//! The operator's verbs at the command line.

pub mod checking;
pub mod keeping;
pub mod people;

use std::process::ExitCode;

use jiff::civil::Date;
use recording_vault::compose;
use recording_vault::config::Config;
use recording_vault::recording::DocumentId;
use recording_vault::vault::VaultUrl;
use recording_vault::verbs::audit::{self as auditing, NotedEnd};
use recording_vault::verbs::index as indexing;
use recording_vault::verbs::list::{self as listing, Wanted};
use recording_vault::verbs::rebuild as rebuilding;
use recording_vault::verbs::replay::{self, Kept, ReplayReport};
use recording_vault::verbs::{Print, report as reporting, retry as retrying};

/// Something could not be read, or is not known.
const EXIT_INCOMPLETE: u8 = 2;

fn print(json: bool) -> Print {
    if json { Print::Json } else { Print::Text }
}

pub async fn replay(config: Config, from: &[String], json: bool) -> anyhow::Result<ExitCode> {
    let mut stores = Vec::new();
    for name in from {
        let url = name
            .contains("://")
            .then(|| name.parse::<VaultUrl>())
            .transpose()?;
        stores.push(
            url.map(|url| compose::storage_at(&config, &url))
                .transpose()?,
        );
    }
    let app = compose::app(config)?;
    let mut report = ReplayReport::default();
    for (name, store) in from.iter().zip(&stores) {
        let kept = store.as_deref().map_or(Kept::File(name), Kept::Container);
        replay::run(&app, kept, &mut report).await?;
    }
    print(json).report(&report);
    Ok(if report.unreadable.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(EXIT_INCOMPLETE)
    })
}

pub async fn report(config: Config, day: Option<Date>, json: bool) -> anyhow::Result<ExitCode> {
    let report = reporting::run(&compose::app(config)?, day).await?;
    print(json).report(&report);
    Ok(if report.incomplete == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(EXIT_INCOMPLETE)
    })
}

pub async fn list(config: Config, wanted: Wanted, json: bool) -> anyhow::Result<ExitCode> {
    print(json).report(&listing::run(&compose::app(config)?, &wanted).await?);
    Ok(ExitCode::SUCCESS)
}

pub async fn show(config: Config, document: &DocumentId, json: bool) -> anyhow::Result<ExitCode> {
    match listing::show(&compose::app(config)?, document).await? {
        Some(shown) => {
            print(json).report(&shown);
            Ok(ExitCode::SUCCESS)
        }
        None => {
            crate::complain(&format!("{document} is not in the ledger\n"));
            Ok(ExitCode::from(EXIT_INCOMPLETE))
        }
    }
}

pub async fn accept(
    config: Config,
    documents: Vec<DocumentId>,
    json: bool,
) -> anyhow::Result<ExitCode> {
    let report = retrying::accept(&compose::app(config)?, documents).await?;
    print(json).report(&report);
    Ok(if report.unknown.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(EXIT_INCOMPLETE)
    })
}

pub async fn audit_verify(
    config: Config,
    noted: Option<NotedEnd>,
    json: bool,
) -> anyhow::Result<ExitCode> {
    let verified = auditing::verify(&compose::app(config)?, noted.as_ref()).await?;
    print(json).report(&verified);
    Ok(if verified.0.problems.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(EXIT_INCOMPLETE)
    })
}

pub async fn rebuild(
    config: Config,
    documents: Vec<DocumentId>,
    json: bool,
) -> anyhow::Result<ExitCode> {
    let report = rebuilding::run(&compose::app(config)?, documents).await?;
    print(json).report(&report);
    let is_complete = report.without_receipt.is_empty() && report.not_held.is_empty();
    Ok(if is_complete {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(EXIT_INCOMPLETE)
    })
}

pub async fn index(config: Config, json: bool) -> anyhow::Result<ExitCode> {
    let report = indexing::run(&compose::app(config)?).await?;
    print(json).report(&report);
    Ok(if report.0.problems.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(EXIT_INCOMPLETE)
    })
}

pub async fn retry(
    config: Config,
    documents: Vec<DocumentId>,
    json: bool,
) -> anyhow::Result<ExitCode> {
    let report = retrying::run(&compose::app(config)?, documents).await?;
    print(json).report(&report);
    Ok(if report.unknown.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(EXIT_INCOMPLETE)
    })
}
