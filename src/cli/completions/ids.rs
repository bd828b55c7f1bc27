//! Completions from the ledger: documents, recordings, calls, cases. None if the ledger cannot be read in time.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::time::Duration;

use clap_complete::engine::CompletionCandidate;
use recording_vault::app::App;
use recording_vault::catalogue::list::ListFilter;
use recording_vault::compose;

use super::super::settings::SettingsSource;
use super::super::shell_user;

/// Short, because a user waits at the shell.
const DEADLINE: Duration = Duration::from_secs(2);
/// More completions would not help a user.
const MOST: usize = 100;

pub fn documents(begun: &OsStr) -> Vec<CompletionCandidate> {
    let after = format!("chunks/{}", begun.to_string_lossy());
    candidates(begun, async |app| {
        let (documents, _) = app.ledger.documents(Some(&after)).await.ok()?;
        Some(documents.into_iter().map(|id| id.to_string()).collect())
    })
}

pub fn recordings(begun: &OsStr) -> Vec<CompletionCandidate> {
    candidates(begun, async |app| {
        let rows = newest(app).await?;
        Some(rows.into_iter().map(|row| row.recording_id).collect())
    })
}

pub fn calls(begun: &OsStr) -> Vec<CompletionCandidate> {
    candidates(begun, async |app| {
        let rows = newest(app).await?;
        Some(rows.into_iter().filter_map(|row| row.call_id).collect())
    })
}

pub fn cases(begun: &OsStr) -> Vec<CompletionCandidate> {
    candidates(begun, async |app| {
        let holds = app.ledger.holds().all().await.ok()?;
        let cases = holds.holds.into_iter().flat_map(|hold| hold.cases);
        Some(cases.map(|case| case.tag.to_string()).collect())
    })
}

async fn newest(app: &App) -> Option<Vec<recording_vault::catalogue::row::Row>> {
    let filter = ListFilter {
        top: MOST,
        ..ListFilter::default()
    };
    Some(
        app.catalogue
            .list(&filter, &shell_user::operator())
            .await
            .ok()?
            .recordings,
    )
}

/// The completions that begin with the word on the command line.
fn candidates(
    begun: &OsStr,
    words: impl AsyncFnOnce(&App) -> Option<Vec<String>>,
) -> Vec<CompletionCandidate> {
    let begun = begun.to_string_lossy();
    let words: BTreeSet<String> = known(words).into_iter().flatten().collect();
    words
        .into_iter()
        .filter(|word| word.starts_with(&*begun))
        .take(MOST)
        .map(CompletionCandidate::new)
        .collect()
}

fn known(words: impl AsyncFnOnce(&App) -> Option<Vec<String>>) -> Option<Vec<String>> {
    let config = SettingsSource::default().read().ok()?.config().ok()?;
    let runtime = tokio::runtime::Runtime::new().ok()?;
    let found = runtime.block_on(async {
        let app = compose::app(config).ok()?;
        tokio::time::timeout(DEADLINE, words(&app)).await.ok()?
    });
    // Tasks that still run, such as a DNS lookup, must not keep the user waiting.
    runtime.shutdown_background();
    found
}
