//! What must be true of a run: right after its parties ended, and when everything has come to its end.

mod files;
pub mod people;

use std::collections::BTreeSet;
use std::sync::Arc;

use recording_vault::control::register::RecordingRegister;
use recording_vault::export::{ChunkState, LedgerEntry, OnAnomaly};
use recording_vault::store::audit::AuditLog;
use recording_vault::store::document_store::DocumentStore as _;

use super::action::{Action, Done};
use super::disturbance::Disturbance;
use super::event::Event;
use super::facts::Fact;
use super::process::MISSING_AFTER;
use super::run::Case;
use super::stores::short;
use super::world::{World, document};

const ALL: usize = 10_000;

/// A process that nobody interfered with says that it did what was asked, also when the answer to its own write was lost.
pub fn answers(case: &Case, done: Option<&Done>) -> Vec<String> {
    if case.other.is_some() {
        return Vec::new();
    }
    let action = case.scenario.action;
    let disturbance = case.target.as_ref().map(|target| target.disturbance);
    match done {
        None | Some(Done::Done) => Vec::new(),
        // What is held is not removed.
        Some(Done::NothingToDo(_))
            if case.scenario.held.is_some() && action == Action::ApplyRetention =>
        {
            Vec::new()
        }
        Some(Done::NothingToDo(said)) => vec![format!("{action} was done, and says: {said}")],
        // A storage that fails is said to fail.
        Some(Done::Failed(_)) if disturbance == Some(Disturbance::AnswerLost) => Vec::new(),
        Some(Done::Failed(said)) => vec![format!("{action} fails: {said}")],
    }
}

/// An entry that is open has its marker, whatever became of those who opened it.
pub async fn before_healing(world: &World) -> Vec<String> {
    let entry = world.entry().await;
    let Some(entry) = entry.filter(|entry| !entry.state.is_settled()) else {
        return Vec::new();
    };
    let open = world.ledger().open_chunks(None, ALL).await;
    let (open, _) = open.expect("the ledger works");
    let has_marker = open.iter().any(|chunk| chunk.document_id == document());
    problem(!has_marker, || {
        format!("the entry is {} and has no marker", entry.state.name())
    })
}

/// Notes what is missing of a copy that is held.
pub async fn held_copies(world: &World) {
    if !world.facts.is_held_before(u64::MAX) {
        return;
    }
    let facts = world.facts.all();
    let entry = world.entry().await;
    let is_copied = entry.is_some_and(|entry| entry.state.receipt().is_some());
    let there: BTreeSet<String> = world.home.files().keys().map(ToString::to_string).collect();
    for (_, fact) in facts {
        let Fact::CopyRemoved { name, .. } = fact else {
            continue;
        };
        if !is_copied || !there.contains(&name) {
            let file = name.rsplit('/').next().unwrap_or_default();
            let broken = format!("{file} was removed although it is held");
            world.facts.note(Fact::Broken(broken));
        }
    }
}

/// Everything that must be true at the end.
pub async fn at_the_end(case: &Case, world: &World) -> Vec<String> {
    let facts = world.facts.all();
    let broken = facts.into_iter().filter_map(|(_, fact)| match fact {
        Fact::Broken(what) => Some(what),
        Fact::Acknowledged(_)
        | Fact::Held(_)
        | Fact::HoldWritten(_)
        | Fact::Released(_)
        | Fact::Accepted
        | Fact::RemovalBegun
        | Fact::Removed
        | Fact::Erased
        | Fact::SourceDeleted { .. }
        | Fact::CopyRemoved { .. } => None,
    });
    let mut problems: Vec<String> = broken.collect();
    problems.extend(deletions(world));
    let Some(entry) = world.entry().await else {
        problems.push("no entry is in the ledger".to_owned());
        return problems;
    };
    problems.extend(end_state(world, &entry));
    problems.extend(files::check(world, &entry));
    problems.extend(lists(case, world, &entry).await);
    problems.extend(audit_log(world).await);
    problems
}

/// Deletions at ACS that were sent while the recording was held.
fn deletions(world: &World) -> Vec<String> {
    let facts = world.facts.all();
    let mut problems = Vec::new();
    for (_, fact) in &facts {
        let Fact::SourceDeleted { sent } = fact else {
            continue;
        };
        if world.facts.is_held_before(*sent) {
            problems.push("deleted at ACS although it is held".to_owned());
        }
    }
    problems
}

/// What the events told and the operators asked for is what became of the chunk.
fn end_state(world: &World, entry: &LedgerEntry) -> Vec<String> {
    let (facts, state) = (&world.facts, entry.state.name());
    let is_removed = matches!(entry.state, ChunkState::Removed { .. });
    if facts.has(&Fact::Removed) {
        return problem(!is_removed, || format!("it was removed, and is {state}"));
    }
    if is_removed && facts.has(&Fact::RemovalBegun) {
        return Vec::new();
    }
    let Some(receipt) = entry.state.receipt() else {
        return vec![format!("it has no copy: it is {state}")];
    };
    let is_told = |tells: fn(Event) -> bool| facts.acknowledged().any(tells);
    let (metadata, delete) = (is_told(Event::names_metadata), is_told(Event::names_delete));
    let is_spared = receipt.anomaly().is_some()
        && world.settings.anomalies == OnAnomaly::Keep
        && !facts.has(&Fact::Accepted);
    let is_deleted = matches!(entry.state, ChunkState::SourceDeleted { .. });
    let mut problems = problem(metadata && receipt.metadata().is_none(), || {
        "an event told where its metadata is, and it is not exported".to_owned()
    });
    problems.extend(problem(
        metadata && delete && !is_spared && !is_deleted,
        || format!("its source can be deleted, and it is {state}"),
    ));
    problems.extend(problem(is_deleted && world.source.has(&document()), || {
        "the ledger says that its source is deleted, and ACS has it".to_owned()
    }));
    problems.extend(problem(!entry.state.is_settled(), || {
        format!("it is {state} for ever")
    }));
    problems
}

fn problem(is_wrong: bool, what: impl FnOnce() -> String) -> Vec<String> {
    if is_wrong { vec![what()] } else { Vec::new() }
}

/// The index has the markers of what account and entry say, and no others; nothing is open.
async fn lists(case: &Case, world: &World, entry: &LedgerEntry) -> Vec<String> {
    let there = keys(world, "catalogue/").await;
    let register = RecordingRegister::new(world.store.clone(), MISSING_AFTER);
    let account = register.find(&entry.chunk.filed_under()).await;
    let account = account.expect("the store works");
    let mut expected = entry.markers();
    expected.extend(
        account
            .iter()
            .flat_map(recording_vault::control::entry::RegisteredRecording::markers),
    );
    let mut problems = Vec::new();
    for key in expected.difference(&there) {
        problems.push(format!("the marker {} is missing", short(key)));
    }
    // A kill, a write whose outcome is unknown, or one that arrives when nobody waits for it any more, may leave one too
    // many: whoever reads skips it.
    let may_leave = case.target.iter().chain(&case.second).any(|target| {
        let is_marker = target.request.name.starts_with("put catalogue/");
        let how = target.disturbance;
        how.kills()
            || how == Disturbance::AnswerLost
            || (is_marker && how == Disturbance::AppliedAgainLate)
    });
    for key in there.difference(&expected).filter(|_| !may_leave) {
        problems.push(format!("the marker {} is stale", short(key)));
    }
    for key in keys(world, "open/").await {
        problems.push(format!("{} is left", short(&key)));
    }
    problems
}

async fn keys(world: &World, prefix: &str) -> BTreeSet<String> {
    let keys = world.store.list(prefix, None, ALL).await;
    keys.expect("the store works").into_iter().collect()
}

async fn audit_log(world: &World) -> Vec<String> {
    let log = AuditLog::new(world.store.clone(), Arc::clone(&world.clock));
    log.verify().await.expect("the store works").problems
}
