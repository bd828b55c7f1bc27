//! What must be true of recording control when everything has come to its end.

use recording_vault::control::state::RecordingState;
use recording_vault::store::document_store::DocumentStore as _;

use super::acs::{AcsRecording, AcsState};
use super::process::{FIRST, consent_of, request_id};
use super::run::{BeforeCall, ControlCase};
use super::world::{ControlWorld, Told};

const ALL: usize = 10_000;

/// What is wrong.
pub async fn check(case: &ControlCase, world: &ControlWorld) -> Vec<String> {
    let recordings = world.acs.recordings().clone();
    let mut problems = Vec::new();
    let running = recordings
        .iter()
        .filter(|known| known.state != AcsState::Ended);
    if running.count() > 1 {
        problems.push("two recordings of one call run".to_owned());
    }
    let starts_make = match case.before {
        BeforeCall::NotRecorded => 1,
        BeforeCall::Ended => 2,
        // A stop that comes in between makes room for another.
        BeforeCall::Running
        | BeforeCall::Paused
        | BeforeCall::PauseIsOver
        | BeforeCall::DayIsOver
        | BeforeCall::PauseUndone
        | BeforeCall::ResumeUndone => recordings.len(),
    };
    if recordings.len() > starts_make {
        problems.push(format!("{} recordings were made", recordings.len()));
    }
    problems.extend(starts(world, &recordings));
    for recording in &recordings {
        problems.extend(agreement(world, recording).await);
        problems.extend(consent(case, world, recording).await);
    }
    let first = recordings.iter().find(|known| known.id == FIRST);
    // A bot's commands take effect in their order, whenever their results are told.
    if let Some(first) = first.filter(|_| !case.action.is_of_a_bot()) {
        problems.extend(pauses(world, first));
    }
    problems.extend(commands(world).await);
    problems
}

/// Every command of a bot was carried out, and the same one always has the same result.
async fn commands(world: &ControlWorld) -> Vec<String> {
    let mut problems: Vec<String> = world
        .keys("telephony-open/")
        .await
        .into_iter()
        .map(|_| "a bot's command is open for ever".to_owned())
        .collect();
    let told = world.told().into_iter().filter_map(|told| match told {
        Told::Answered { command, result } => Some((command, result)),
        Told::Started { .. }
        | Told::Paused { .. }
        | Told::Resumed
        | Told::Stopped
        | Told::Announced => None,
    });
    let told: Vec<_> = told.collect();
    for (at, (command, result)) in told.iter().enumerate() {
        let mut before = told[..at].iter().filter(|(other, _)| other == command);
        if before.any(|(_, other)| other != result) {
            problems.push(format!("{command} has two results"));
        }
    }
    problems
}

/// A caller who gets a recording for a start gets the one that ACS made for that start.
fn starts(world: &ControlWorld, recordings: &[AcsRecording]) -> Vec<String> {
    let told = world.told().into_iter().filter_map(|told| match told {
        Told::Started { caller, id } => Some((caller, id)),
        Told::Paused { .. }
        | Told::Resumed
        | Told::Stopped
        | Told::Announced
        | Told::Answered { .. } => None,
    });
    let is_wrong = |(caller, id): &(&str, String)| {
        let made = recordings.iter().find(|made| made.id == *id);
        made.is_none_or(|made| made.request_id != request_id(caller).to_string())
    };
    told.filter(is_wrong)
        .map(|(caller, id)| format!("the start of {caller} gave {id}, which is another's"))
        .collect()
}

/// The register says of a recording what ACS does.
async fn agreement(world: &ControlWorld, recording: &AcsRecording) -> Option<String> {
    let Some(account) = world.account(&recording.id).await else {
        return Some("the register does not know the recording".to_owned());
    };
    let expected = match recording.state {
        AcsState::Active => RecordingState::Active,
        AcsState::Paused => RecordingState::Paused,
        AcsState::Ended => RecordingState::Stopped,
    };
    let state = account.state();
    (state != expected).then(|| {
        format!(
            "the register says {state:?}, and at ACS it is {:?}",
            recording.state
        )
    })
}

/// The evidence on whose ground ACS made a recording is kept: in its account, or by its call where its process died.
async fn consent(
    case: &ControlCase,
    world: &ControlWorld,
    recording: &AcsRecording,
) -> Option<String> {
    let callers = ["P", "A", "B"];
    let caller = callers
        .into_iter()
        .find(|caller| request_id(caller).to_string() == recording.request_id)?;
    let evidence = consent_of(caller);
    if let Some(account) = world.account(&recording.id).await {
        let kept = account.consent.map(|consent| consent.given_by);
        return (kept.as_ref() != Some(&evidence))
            .then(|| format!("the recording of {caller} has the consent {kept:?}"));
    }
    let keys = world
        .store
        .list("", None, ALL)
        .await
        .expect("the store works");
    for key in keys {
        let found = world.store.find(&key).await.expect("the store works");
        let is_kept =
            found.is_some_and(|found| String::from_utf8_lossy(&found.content).contains(&evidence));
        if is_kept {
            return None;
        }
    }
    Some(format!(
        "the consent of {caller} is lost; {}",
        case.action_name()
    ))
}

/// The state at ACS agrees with the last answers: promised ends of pauses came, no pause was ended that was to go on, and nothing
/// that arrives late undoes what was decided after it.
fn pauses(world: &ControlWorld, recording: &AcsRecording) -> Option<String> {
    let possible = world.orders.possible_states(world.now());
    let is_possible = possible.is_empty() || possible.contains(&recording.state);
    (!is_possible).then(|| {
        format!(
            "by the answers to callers it is {possible:?}, and at ACS it is {:?}",
            recording.state
        )
    })
}
