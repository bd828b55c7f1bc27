//! Timer triggers: no overlap, one catch-up, a status that survives restarts.

use std::path::PathBuf;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use timer_schedule::Schedule;

use crate::app::{FunctionApp, Trigger};
use crate::invocation::{Invoker, Members};
use crate::raw_json::raw;

/// The status the host keeps in its storage account; here in a file.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Status {
    last: Timestamp,
    next: Timestamp,
    last_updated: Timestamp,
}

/// Runs one timer for as long as the host lives.
pub async fn run(
    invoker: Invoker,
    function: String,
    state_dir: Option<PathBuf>,
    mut draining: tokio::sync::watch::Receiver<bool>,
) {
    let Some((binding, schedule, run_on_startup, use_monitor)) = timer(&invoker.app, &function)
    else {
        return;
    };
    let path = state_dir.map(|folder| folder.join(format!("{function}.status")));
    let is_monitored = use_monitor && !schedule.is_below_a_minute(Timestamp::now());
    let mut status = match &path {
        Some(path) if is_monitored => read(path).await,
        Some(_) | None => None,
    };
    let now = Timestamp::now();
    let is_past_due = status.as_ref().is_some_and(|status| status.next < now);
    let mut due = if is_past_due || run_on_startup {
        Some(now)
    } else {
        schedule.next(now)
    };
    let mut past_due = is_past_due;
    while let Some(at) = due {
        let wait =
            std::time::Duration::try_from(at.duration_since(Timestamp::now())).unwrap_or_default();
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            _ = draining.wait_for(|draining| *draining) => return,
        }
        let info = json!({
            "Schedule": {"AdjustForDST": true},
            "ScheduleStatus": if is_monitored { status_json(status.as_ref(), at) } else { Value::Null },
            "IsPastDue": past_due,
        });
        let data = Members::from_iter([(binding.clone(), raw(&info))]);
        // A failure is logged and ignored; the timer still fires at the next occurrence.
        let _ = invoker
            .invoke(&function, "Timer fired", data, Members::new())
            .await;
        let now = Timestamp::now();
        let next = schedule.next(now.max(at));
        if let (true, Some(next)) = (is_monitored, next) {
            let updated = Status {
                last: at,
                next,
                last_updated: now,
            };
            if let Some(path) = &path {
                write(path, &updated).await;
            }
            status = Some(updated);
        }
        // A run that outlasted its interval is followed by one run at once, not by all that were missed.
        let missed = schedule.next(at).filter(|missed| *missed <= now);
        past_due = missed.is_some();
        due = missed.map(|_| now).or(next);
    }
}

fn timer(app: &FunctionApp, function: &str) -> Option<(String, Schedule, bool, bool)> {
    app.functions
        .iter()
        .find(|candidate| candidate.name == function)
        .and_then(|function| match &function.trigger {
            Trigger::Timer {
                binding,
                schedule,
                run_on_startup,
                use_monitor,
            } => Some((
                binding.clone(),
                schedule.clone(),
                *run_on_startup,
                *use_monitor,
            )),
            Trigger::Http { .. } | Trigger::EventGrid { .. } => None,
        })
}

async fn read(path: &std::path::Path) -> Option<Status> {
    serde_json::from_slice(&tokio::fs::read(path).await.ok()?).ok()
}

/// If this fails, the timer is past due after the next start, or forgets that it was: nothing worse.
async fn write(path: &std::path::Path, status: &Status) {
    if let Some(folder) = path.parent() {
        let _ = tokio::fs::create_dir_all(folder).await;
    }
    let _ = tokio::fs::write(path, serde_json::to_vec(status).unwrap_or_default()).await;
}

/// At an invocation `Next` is the occurrence it is for; a timer that never ran says year 1.
fn status_json(status: Option<&Status>, occurrence: Timestamp) -> Value {
    let never = "0001-01-01T00:00:00".to_owned();
    let (last, last_updated) = status.map_or((never.clone(), never), |status| {
        (status.last.to_string(), status.last_updated.to_string())
    });
    json!({"Last": last, "Next": occurrence.to_string(), "LastUpdated": last_updated})
}
