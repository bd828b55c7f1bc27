//! Checks what only the Functions host knows: which functions are loaded, and whether its Event Grid endpoint responds.

use reqwest::{Client, Method, StatusCode};
use serde_json::{Value, json};
use uuid::Uuid;

use super::Check;
use super::front::{SIGN_IN, asks_for_sign_in, behind_sign_in};
use super::target::{ExportVia, Handler};

const FUNCTIONS: &str = "functions";
const TRIGGER: &str = "Event Grid trigger";
/// The trigger that receives events of Event Grid.
const TRIGGERED: &str = "RecordingFileStatusUpdated";
const TRIGGER_PATH: &str = "/runtime/webhooks/eventgrid";
/// The functions of this app. Without the first two nothing is exported by itself.
const NEEDED: [&str; 13] = [
    TRIGGERED,
    "ExportSweep",
    "ApiDescription",
    "EventGridWebhook",
    "Metrics",
    "RecordingCallbacks",
    "RecordingControl",
    "RecordingReads",
    "TelephonyActivities",
    "Vault",
    "VaultActions",
    "VaultPage",
    "VaultPlay",
];
/// Needed as well where `EXPORT_QUEUE_URL` is set.
const OF_QUEUE: &str = "ExportChunk";
const WHERE: &str = "az functionapp function list --name <app> --resource-group <group> --query \"[].{name:name,isDisabled:isDisabled}\"";

/// What to do about a host that answered a moment ago.
const LOOK: &str = "run it again; if it does not answer then either, look at the host's log";

impl Handler {
    /// Whether a Functions host answers, and not the handler itself.
    pub(super) async fn is_host(&self, client: &Client) -> bool {
        let request = self.request(client, Method::GET, "/admin/functions", &[]);
        let answer = request.send().await;
        answer.is_ok_and(|answer| answer.status() != StatusCode::NOT_FOUND)
    }

    /// Checks which functions the host has loaded; the host requires the master key for this.
    pub(super) async fn functions(&self, client: &Client) -> Check {
        let request = self.request(client, Method::GET, "/admin/functions", &[]);
        let Ok(answer) = request.send().await else {
            return Check::failed(FUNCTIONS, "the host did not answer", LOOK);
        };
        if asks_for_sign_in(&answer) {
            return Check::not_checked(FUNCTIONS, SIGN_IN);
        }
        match answer.status() {
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Check::not_checked(
                FUNCTIONS,
                "FUNCTIONS_KEY is not the master key, which the host lists its functions for (`az functionapp keys list`)",
            ),
            status if status.is_success() => match answer.json::<Value>().await {
                Ok(Value::Array(functions)) => of_functions(&functions, self.export),
                Ok(_) | Err(_) => {
                    Check::not_checked(FUNCTIONS, "the answer of the host cannot be read")
                }
            },
            status => Check::not_checked(
                FUNCTIONS,
                format!("there is no Functions host at this address: it answers {status}"),
            ),
        }
    }

    /// The handshake of a subscription to the trigger; for the system key `eventgrid_extension`, or the master key.
    pub(super) async fn trigger(&self, client: &Client) -> Check {
        let code = Uuid::new_v4().to_string();
        let event = json!([{
            "id": Uuid::new_v4(), "topic": "/recording-vault/doctor", "subject": "", "data": {"validationCode": code},
            "eventType": "Microsoft.EventGrid.SubscriptionValidationEvent", "eventTime": "2026-01-01T00:00:00Z",
            "metadataVersion": "1", "dataVersion": "2",
        }]);
        let query = [("functionName", TRIGGERED)];
        let request = self
            .request(client, Method::POST, TRIGGER_PATH, &query)
            .header("aeg-event-type", "SubscriptionValidation")
            .json(&event);
        let Ok(answer) = request.send().await else {
            return Check::failed(TRIGGER, "the host did not answer", LOOK);
        };
        if asks_for_sign_in(&answer) {
            let why = "Event Grid cannot sign in there, and the host asks for a system key";
            return behind_sign_in(TRIGGER, TRIGGER_PATH, why);
        }
        let status = answer.status();
        if matches!(status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) {
            return Check::not_checked(
                TRIGGER,
                "FUNCTIONS_KEY is neither the system key `eventgrid_extension` nor the master key, which its handshake needs (`az functionapp keys list`)",
            );
        }
        let text = answer.text().await.unwrap_or_default();
        let answered: Value = serde_json::from_str(&text).unwrap_or_default();
        if answered["validationResponse"] == code.as_str() {
            return Check::fine(TRIGGER, "the validation code comes back");
        }
        if text.contains("cannot find function") {
            let says = format!("the host has not loaded {TRIGGERED}, or it is disabled");
            return Check::failed(
                TRIGGER,
                says,
                format!("look which functions it has: `{WHERE}`"),
            );
        }
        if status == StatusCode::NOT_FOUND {
            return Check::not_checked(TRIGGER, "there is no Functions host at this address");
        }
        Check::failed(
            TRIGGER,
            format!("it answers {status}, and not with the validation code"),
            format!("check whether it is disabled: `{WHERE}`, and look at the host's log"),
        )
    }
}

fn of_functions(functions: &[Value], export: ExportVia) -> Check {
    let of_name = |name: &str| functions.iter().find(|function| function["name"] == name);
    let is_disabled = |function: &Value| {
        let marks = [&function["isDisabled"], &function["config"]["disabled"]];
        marks
            .into_iter()
            .any(|mark| *mark == true || *mark == "true")
    };
    let of_queue = match export {
        ExportVia::Queue => Some(OF_QUEUE),
        ExportVia::Event => None,
    };
    let missing: Vec<&str> = NEEDED
        .into_iter()
        .chain(of_queue)
        .filter(|name| of_name(name).is_none())
        .collect();
    if !missing.is_empty() {
        return Check::failed(
            FUNCTIONS,
            format!("the host has not loaded {}", missing.join(", ")),
            "publish all of `dist/`, and check the host's log for the reason: a setting that a binding names and that is missing keeps a function from being loaded",
        );
    }
    let disabled: Vec<&str> = functions
        .iter()
        .filter(|function| is_disabled(function))
        .filter_map(|function| function["name"].as_str())
        .collect();
    if disabled.is_empty() {
        let count = functions.len();
        return Check::fine(
            FUNCTIONS,
            format!("{count} are loaded, and none is disabled"),
        );
    }
    Check::failed(
        FUNCTIONS,
        format!("disabled: {}", disabled.join(", ")),
        "enable them: `az functionapp config appsettings delete --name <app> --resource-group <group> --setting-names AzureWebJobs.<function>.Disabled`",
    )
}

#[cfg(test)]
mod tests {
    use super::super::Outcome;
    use super::*;

    #[test]
    fn functions_that_are_missing_or_disabled_are_named() {
        let needed = || NEEDED.map(|name| json!({"name": name})).to_vec();
        let of_functions = |functions: &[Value]| of_functions(functions, ExportVia::Event);
        assert_eq!(of_functions(&needed()).result, Outcome::Fine);
        for (missing, name) in NEEDED.into_iter().enumerate() {
            let mut functions = needed();
            functions.remove(missing);
            let without = of_functions(&functions);
            assert_eq!(without.result, Outcome::Failed);
            assert!(without.says.ends_with(name), "{}", without.says);
        }
        for mark in [
            json!({"isDisabled": true}),
            json!({"config": {"disabled": true}}),
        ] {
            let mut functions = needed();
            for (name, value) in mark.as_object().unwrap() {
                functions[1][name] = value.clone();
            }
            let check = of_functions(&functions);
            assert_eq!(check.says, "disabled: ExportSweep");
        }
    }

    #[test]
    fn where_there_is_a_queue_its_function_is_needed() {
        let mut functions = NEEDED.map(|name| json!({"name": name})).to_vec();
        let check = of_functions(&functions, ExportVia::Queue);
        assert!(
            check.says.ends_with("not loaded ExportChunk"),
            "{}",
            check.says
        );
        functions.push(json!({"name": OF_QUEUE}));
        assert_eq!(
            of_functions(&functions, ExportVia::Queue).result,
            Outcome::Fine
        );
    }

    #[test]
    fn every_function_of_the_package_is_looked_for() {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("functions");
        let found = std::fs::read_dir(folder).unwrap();
        let mut found: Vec<String> = found
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        found.sort();
        let mut known: Vec<&str> = NEEDED.into_iter().chain([OF_QUEUE]).collect();
        known.sort_unstable();
        assert_eq!(found, known);
    }
}
