//! Every single call to the register while a bot's commands are carried out, failed, failed after it took effect, and killed
//! at: sent again, or swept, each command is carried out once and has its result.

use std::sync::Arc;
use std::time::Duration;

use acs_simulator::Simulator;
use jiff::Timestamp;
use recording_vault::acs::{AcsCredential, AcsHttp, CallRecordingClient};
use recording_vault::clock::{Clock, ManualClock};
use recording_vault::control::telephony::{AfterResponse, Telephony};
use recording_vault::control::{ControlPolicy, RecordingControl};
use recording_vault::export::Budget;
use recording_vault::vault::memory::MemoryDocumentStore;
use serde_json::{Value, json};

use crate::support::simulation::{Fault, Plan, planned};

const ACTIONS: [&str; 4] = ["start", "pause", "resume", "stop"];

/// An instance on the durable state.
fn instance(
    simulator: &Simulator,
    store: &Arc<MemoryDocumentStore>,
    clock: &Arc<ManualClock>,
    plan: &Arc<Plan>,
) -> Arc<Telephony> {
    let endpoint = simulator.http_url().parse().expect("it is on this machine");
    let key = acs_simulator::Options::ACCESS_KEY
        .parse()
        .expect("it is base64");
    let clock: Arc<dyn Clock> = Arc::<ManualClock>::clone(clock);
    let http = AcsHttp::new(endpoint, AcsCredential::AccessKey(key), Arc::clone(&clock))
        .expect("there is TLS");
    let client = CallRecordingClient::new(http, "2026-03-12".parse().expect("it is known"));
    let policy = ControlPolicy {
        requires_consent: false,
        missing_after: Duration::from_mins(30),
    };
    let control = Arc::new(RecordingControl::new(
        client,
        planned(store, plan),
        clock,
        policy,
    ));
    Arc::new(Telephony::new(control, planned(store, plan), None))
}

/// The four commands, one after the other; the result of each that was answered.
async fn send(
    telephony: &Arc<Telephony>,
    conversation: &str,
    server_call_id: &Value,
) -> Vec<Option<Value>> {
    let mut results = Vec::new();
    for action in ACTIONS {
        let name = format!("channel/vnd.microsoft.telephony.recording.{action}");
        let value = json!({"commandId": action, "data": {"serverCallId": server_call_id}});
        let activity = json!({"type": "command", "name": name, "value": value, "deliveryMode": "expectReplies"});
        let taken = telephony
            .take(
                conversation,
                activity.to_string().as_bytes(),
                AfterResponse::Continues,
            )
            .await;
        results.push(
            taken
                .ok()
                .and_then(|taken| taken.result)
                .map(|result| result["value"].clone()),
        );
        if results.last() == Some(&None) {
            // A bot does not go on before it knows.
            break;
        }
    }
    results
}

/// Time passes fast, for five minutes: ACS knows clocks that are wrong by a quarter of an hour.
async fn passing(clock: &ManualClock) {
    let mut ticks = tokio::time::interval(Duration::from_millis(100));
    for _ in 0..300 {
        ticks.tick().await;
        clock.advance(Duration::from_secs(1));
    }
}

/// One run with a fault at call `number`; whether the run got that far.
async fn run(simulator: &Simulator, number: usize, fault: Fault) -> bool {
    let call = reqwest::Client::new()
        .post(format!("{}/admin/calls", simulator.http_url()))
        .json(&json!({}));
    let call: Value = call
        .send()
        .await
        .expect("the simulator answers")
        .json()
        .await
        .expect("a call is JSON");
    let store = Arc::new(MemoryDocumentStore::default());
    let clock = Arc::new(ManualClock::starting_at(Timestamp::now()));
    let plan = Plan::at(number, fault);
    // Commands are told apart by their conversation: ACS takes the same start again for the same.
    let conversation = format!("{fault:?} {number}");
    let first = instance(simulator, &store, &clock, &plan);
    tokio::select! {
        () = passing(&clock) => {}
        _ = send(&first, &conversation, &call["serverCallId"]) => {}
        () = plan.killed() => {}
    }
    // Whoever had begun something is dead by then.
    clock.advance(Duration::from_mins(2));
    let second = instance(simulator, &store, &clock, &Plan::calm());
    second
        .sweep(Budget::of(Duration::from_secs(30)))
        .await
        .expect("the store works again");
    let results = tokio::select! {
        () = passing(&clock) => panic!("{fault:?} at call {number}: no result"),
        results = send(&second, &conversation, &call["serverCallId"]) => results,
    };
    let what = format!("{fault:?} at call {number}: {results:?}");
    let id = results[0].as_ref().expect(&what)["data"]["recordingId"].clone();
    let states: Vec<_> = results
        .iter()
        .flatten()
        .map(|result| result["data"]["recordingState"].clone())
        .collect();
    assert_eq!(states[1..], ["paused", "active", "stopped"], "{what}");
    assert!(
        results
            .iter()
            .flatten()
            .all(|result| result["data"]["recordingId"] == id),
        "{what}"
    );
    plan.calls() > number
}

#[tokio::test]
async fn no_failure_and_no_kill_doubles_or_drops_a_command() {
    let simulator = Simulator::start(acs_simulator::Options::default())
        .await
        .expect("ports are free");
    for fault in [
        Fault::FailBefore,
        Fault::FailAfter,
        Fault::KillBefore,
        Fault::KillAfter,
    ] {
        let mut number = 0;
        while run(&simulator, number, fault).await {
            number += 1;
        }
        assert!(
            number > 40,
            "the four commands ask the register {number} times"
        );
    }
}
