//! `recording-vault doctor` under the stand-in host: which functions a key opens, which are loaded, and a handler that hangs.

use functions_host::{Host, Keys};
use serde_json::Value;
use tokio::net::TcpListener;

use crate::doctor::{Place, assert_failed, check};
use crate::support::command::{report, run};
use crate::support::issuer::{self, Issuer};
use crate::support::world::World;

/// What doctor reports of a host, with this key.
async fn examined(world: &World, host: &Host, key: &str) -> (Option<i32>, Value) {
    let mut settings = world.settings().clone();
    settings.insert("FUNCTIONS_KEY".to_owned(), key.to_owned());
    let arguments = ["doctor", "--json", "--url", &host.url()];
    let output = run(&settings, &arguments).await;
    (output.status.code(), report(&output))
}

fn keys(of_function: &str) -> Keys {
    let mut keys = Keys::of_host("host-key");
    keys.master = Some("master-key".to_owned());
    let key = "function-key".to_owned();
    keys.functions.insert(of_function.to_owned(), key);
    keys
}

#[tokio::test]
async fn a_key_that_opens_one_function_is_named_with_that_function() {
    let world = World::new().await;
    for function in [
        "RecordingReads",
        "RecordingControl",
        "Vault",
        "VaultActions",
        "Metrics",
    ] {
        let host = world
            .host_with(|options| options.keys = keys(function))
            .await;
        let (code, found) = examined(&world, &host, "function-key").await;
        assert_eq!(code, Some(2), "{function}");
        let says = format!("one of the function {function} only");
        assert_failed(&found, "function key", &says, "put a host key");
    }
}

#[tokio::test]
async fn a_host_key_opens_every_function_and_tells_nothing_of_those_that_are_loaded() {
    let world = World::new().await;
    let host = world
        .host_with(|options| options.keys = keys("Vault"))
        .await;
    let (_, found) = examined(&world, &host, "host-key").await;
    assert_eq!(check(&found, "function key")["result"], "fine");
    for name in ["functions", "Event Grid trigger"] {
        assert_eq!(check(&found, name)["result"], "notChecked", "{name}");
    }
}

/// For its own paths the host's 401 has a scheme, as that of App Service Authentication does.
#[rstest::rstest]
#[case::no_key("")]
#[case::wrong_key("wrong-key")]
#[case::key_of_a_function("function-key")]
#[tokio::test]
async fn a_key_that_the_hosts_own_paths_refuse_is_no_sign_in(#[case] key: &str) {
    let world = World::new().await;
    let host = world
        .host_with(|options| options.keys = keys("EventGridWebhook"))
        .await;
    let (_, found) = examined(&world, &host, key).await;
    for (name, needed) in [
        ("functions", "is not the master key"),
        ("Event Grid trigger", "eventgrid_extension"),
    ] {
        let check = check(&found, name);
        assert_eq!(check["result"], "notChecked", "{check}");
        let says = check["says"].as_str().expect("it says why");
        assert!(says.contains(needed), "{says}");
    }
}

/// The handler alone, and a host without keys, accept any key.
#[tokio::test]
async fn a_key_that_nothing_asks_for_is_not_called_right() {
    let world = World::new().await;
    let handler = world.handler_url().await;
    for (url, key, says) in [
        (handler.as_str(), "WRONGKEY", "there is no Functions host"),
        (&world.host.url(), "WRONGKEY", "the host asks for no key"),
        (&world.host.url(), "", "the host asks for no key"),
    ] {
        let mut settings = world.settings().clone();
        settings.insert("FUNCTIONS_KEY".to_owned(), key.to_owned());
        let found = report(&run(&settings, &["doctor", "--json", "--url", url]).await);
        let check = check(&found, "function key");
        assert_eq!(check["result"], "notChecked", "{check}");
        assert!(
            check["says"]
                .as_str()
                .is_some_and(|text| text.contains(says)),
            "{check}"
        );
    }
}

#[tokio::test]
async fn a_key_of_one_function_is_said_not_to_open_the_webhook() {
    let world = World::new().await;
    let host = world
        .host_with(|options| options.keys = keys("Vault"))
        .await;
    let (_, found) = examined(&world, &host, "function-key").await;
    for webhook in ["webhook, Event Grid schema", "webhook, CloudEvents"] {
        let says = "does not open EventGridWebhook";
        assert_failed(&found, webhook, says, "put a host key");
    }
    assert!(
        !found.to_string().contains("not one of this app"),
        "{found}"
    );
}

#[tokio::test]
async fn functions_that_are_disabled_or_not_loaded_are_named_to_the_master_key() {
    let world = World::new().await;
    let (disabled, without_schedule) = ("RecordingFileStatusUpdated", "ExportSweep");
    let host = world.host_with(|options| {
        options.keys = keys("Vault");
        let name = format!("AzureWebJobs.{disabled}.Disabled");
        options.environment.insert(name, "true".to_owned());
        options.environment.remove("EXPORT_SWEEP_SCHEDULE");
    });
    let (code, found) = examined(&world, &host.await, "master-key").await;
    assert_eq!(code, Some(2));
    for name in [disabled, without_schedule] {
        assert_failed(&found, "functions", name, "");
    }
    let trigger = "Event Grid trigger";
    assert_failed(&found, trigger, disabled, "az functionapp function list");
}

#[tokio::test]
async fn functions_that_the_settings_disable_are_named_without_any_key() {
    let disabled = ("AzureWebJobs.ExportSweep.Disabled", "true");
    let (code, found) = Place::with(&[disabled]).await.examined(&[]).await;
    assert_eq!(code, Some(2));
    let remedy = "--setting-names AzureWebJobs.ExportSweep.Disabled";
    assert_failed(&found, "disabled functions", "ExportSweep", remedy);
}

#[tokio::test]
async fn a_wrong_secret_of_the_webhook_is_not_called_a_wrong_key() {
    let world = World::with(&[("EVENT_GRID_SECRET", "the-right-secret-of-the-app")]).await;
    let mut settings = world.settings().clone();
    for (secret, says) in [
        ("another-secret-of-this-shell", "is not the app's"),
        ("", "here it is not set"),
    ] {
        settings.insert("EVENT_GRID_SECRET".to_owned(), secret.to_owned());
        let arguments = ["doctor", "--json", "--url", &world.host.url()];
        let found = report(&run(&settings, &arguments).await);
        for webhook in ["webhook, Event Grid schema", "webhook, CloudEvents"] {
            assert_failed(&found, webhook, says, "EVENT_GRID_SECRET");
        }
    }
}

/// Neither handshake shows whether a delivery with a token is accepted.
#[tokio::test]
async fn no_handshake_passes_for_a_check_of_tokens() {
    let issuer = Issuer::start().await;
    let openid_url = issuer.openid_url();
    let world = World::with(&[
        ("EVENT_GRID_AUDIENCE", issuer::AUDIENCE),
        ("EVENT_GRID_OPENID_URL", &openid_url),
    ])
    .await;
    let (_, found) = examined(&world, &world.host, "any-key").await;
    for webhook in ["webhook, Event Grid schema", "webhook, CloudEvents"] {
        let check = check(&found, webhook);
        assert_eq!(check["result"], "notChecked", "{check}");
    }
    assert_eq!(check(&found, "tokens of Event Grid")["result"], "fine");
}

#[tokio::test]
async fn an_issuer_of_many_tenants_fails_the_check_of_tokens() {
    let issuer = Issuer::start_named("https://login.microsoftonline.com/{tenantid}/v2.0").await;
    let openid_url = issuer.openid_url();
    let settings = [
        ("EVENT_GRID_AUDIENCE", issuer::AUDIENCE),
        ("EVENT_GRID_OPENID_URL", &openid_url),
    ];
    let (code, found) = Place::with(&settings).await.examined(&[]).await;
    assert_eq!(code, Some(2));
    let says = "is a template for many tenants";
    assert_failed(
        &found,
        "tokens of Event Grid",
        says,
        "EVENT_GRID_OPENID_URL",
    );
}

#[tokio::test]
async fn a_handler_that_hangs_is_not_to_be_started() {
    let listener = TcpListener::bind("127.0.0.1:0").await;
    let listener = listener.expect("a port is free");
    let url = format!("http://{}", listener.local_addr().expect("it is bound"));
    tokio::spawn(async move {
        let mut connections = Vec::new();
        while let Ok(connection) = listener.accept().await {
            connections.push(connection);
        }
    });
    let (code, found) = Place::with(&[]).await.examined(&["--url", &url]).await;
    assert_eq!(code, Some(2));
    assert_failed(
        &found,
        "handler",
        "does not answer in time",
        "it runs and hangs",
    );
    let remedy = check(&found, "handler")["remedy"].to_string();
    assert!(!remedy.contains("start it"), "{remedy}");
}
