//! Connects the host to the ACS simulator: its content host is admitted, its events are subscribed to.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use functions_host::Host;
use serde_json::{Value, json};

const CONTENT_HOSTS: &str = "ACS_CONTENT_HOSTS";
const BETWEEN_TRIES: Duration = Duration::from_secs(1);
/// After this many tries without an answer, a line says what is missing.
const QUIET_TRIES: u32 = 3;

/// Adds the simulator to the content hosts that the environment or local.settings.json admits.
pub fn admit(environment: &mut BTreeMap<String, String>, script_root: &Path, acs: &str) {
    let of_file = || {
        let text = std::fs::read(script_root.join("local.settings.json")).ok()?;
        let settings: Value = serde_json::from_slice(&text).ok()?;
        settings["Values"][CONTENT_HOSTS]
            .as_str()
            .map(str::to_owned)
    };
    let before = environment.get(CONTENT_HOSTS).cloned().or_else(of_file);
    let before = before.unwrap_or_default();
    let acs = acs.trim_end_matches('/');
    let is_admitted = before.split(',').any(|host| host.trim() == acs);
    let hosts = if is_admitted {
        before
    } else if before.trim().is_empty() {
        acs.to_owned()
    } else {
        format!("{before},{acs}")
    };
    environment.insert(CONTENT_HOSTS.to_owned(), hosts);
}

/// Waits for the handler, then subscribes the first Event Grid function, as often as it takes.
pub fn subscribe(host: &Host, acs: String) -> impl Future<Output = ()> + Send + 'static {
    let functions = host.event_grid_functions();
    let url = functions
        .first()
        .map(|function| host.event_grid_url(function));
    let name = functions.first().map(|name| (*name).to_owned());
    let ready = host.when_ready();
    async move {
        let (Some(url), Some(name)) = (url, name) else {
            println!("No function has an Event Grid trigger: nothing was subscribed to {acs}");
            return;
        };
        if ready.await.is_err() {
            return;
        }
        let acs = acs.trim_end_matches('/');
        let subscriptions = format!("{acs}/admin/event-subscriptions");
        let client = reqwest::Client::new();
        let mut tries = 0;
        loop {
            let request = client.post(&subscriptions).json(&json!({"url": url}));
            match request.send().await {
                Ok(answer) if answer.status().is_success() => break,
                Ok(answer) => {
                    let status = answer.status();
                    println!("The simulator at {acs} refused the subscription: {status}");
                    return;
                }
                Err(_) => tries += 1,
            }
            if tries == QUIET_TRIES {
                println!(
                    "No simulator answers at {acs}. Start it: cargo run -p acs-simulator -- --any-call"
                );
            }
            tokio::time::sleep(BETWEEN_TRIES).await;
        }
        println!("{name} is subscribed to the events of {acs}");
    }
}
