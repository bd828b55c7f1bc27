//! Identity and ACS: is a token available where one is needed, does ACS accept it, or our key, and who else may receive it?

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use reqwest::StatusCode;

use super::advice::Principal;
use super::{Check, SignIn, Targets, advice, within, within_of};
use azure_core::credentials::TokenCredential as _;
use recording_vault::acs::client::CallRecordingClient;
use recording_vault::acs::credential::TOKEN_SCOPE;
use recording_vault::acs::guard::CONTENT_DOMAINS;
use recording_vault::acs::operation::RecordingAddress;
use recording_vault::config::SettingsFrom;
use recording_vault::error_chain::ErrorChain;
use recording_vault::identity::{Identity, IdentityConfig, UsedLogin};
use recording_vault::recording::RecordingId;
use recording_vault::vault::VaultUrl;

const STORAGE_SCOPE: &str = "https://storage.azure.com/.default";

/// Where there is a managed identity, its endpoint is on the same machine; the Azure CLI takes seconds to start.
const TOKEN_DEADLINE: Duration = Duration::from_secs(20);

/// A recording that cannot exist: base64url of its two ids, both nil.
const NO_RECORDING: &str = "eyJQbGF0Zm9ybUVuZHBvaW50SWQiOiIwMDAwMDAwMC0wMDAwLTAwMDAtMDAwMC0wMDAwMDAwMDAwMDAiLCJSZXNvdXJjZVNwZWNpZmljSWQiOiIwMDAwMDAwMC0wMDAwLTAwMDAtMDAwMC0wMDAwMDAwMDAwMDAifQ";

/// Whether the identity returns the tokens that are needed, and whose they are.
pub(super) async fn tokens(targets: &Targets, from: SettingsFrom) -> (Vec<Check>, Principal) {
    let needs_acs = matches!(targets.sign_in, SignIn::ManagedIdentity);
    let needs_storage = targets
        .storages()
        .any(|(_, url)| VaultUrl::needs_identity(url));
    let scopes = [
        (needs_acs, "ACS", TOKEN_SCOPE),
        (needs_storage, "storage", STORAGE_SCOPE),
    ];
    let needed: Vec<_> = scopes
        .into_iter()
        .filter(|(is_needed, _, _)| *is_needed)
        .collect();
    if needed.is_empty() {
        let not_needed = Check::fine(
            "identity",
            "not needed: an access key, SAS or directory is used instead",
        );
        return (vec![not_needed], Principal::App);
    }
    let is_yours = AtomicBool::new(false);
    let asking = needed.into_iter().map(async |(_, what, scope)| {
        let name = format!("identity for {what}");
        within_of(
            TOKEN_DEADLINE,
            &name,
            &advice::identity(),
            token(&name, &targets.identity, scope, &is_yours),
        )
        .await
    });
    let checks = futures::future::join_all(asking).await;
    let principal = match (is_yours.load(Ordering::Relaxed), from) {
        (true, _) => Principal::You,
        (false, SettingsFrom::Environment) => Principal::App,
        (false, SettingsFrom::File | SettingsFrom::AzureApp) => Principal::ThisMachine,
    };
    (checks, principal)
}

/// `is_yours` becomes true if the token is that of the Azure CLI.
async fn token(name: &str, config: &IdentityConfig, scope: &str, is_yours: &AtomicBool) -> Check {
    let asked = match Identity::new(config) {
        Ok(identity) => (identity.get_token(&[scope], None).await).map(|_| identity.used()),
        Err(error) => Err(error),
    };
    match asked {
        Ok(Some(UsedLogin::AzureCli)) => {
            is_yours.store(true, Ordering::Relaxed);
            Check::fine(
                name,
                "there is no managed identity here; the login of the Azure CLI returns a token",
            )
        }
        Ok(Some(UsedLogin::ManagedIdentity) | None) => {
            Check::fine(name, "the managed identity returns a token")
        }
        Err(error) => {
            let says = format!("there is no token: {}", ErrorChain(&error));
            Check::failed(name, says, advice::identity())
        }
    }
}

/// Asks ACS for the state of a recording that cannot exist. The answer "not found" shows that ACS accepts our signature or token.
pub(super) async fn sign_in(
    targets: &Targets,
    principal: Principal,
    client: &CallRecordingClient,
) -> Check {
    const NAME: &str = "ACS";
    let recording_id: RecordingId = NO_RECORDING.parse().expect("it is an id");
    let address = RecordingAddress {
        recording_id: &recording_id,
        conversation_id: Some("none"),
    };
    let what = match targets.sign_in {
        SignIn::AccessKey(_) => "key",
        SignIn::ManagedIdentity => "token",
    };
    within(NAME, async {
        let Err(error) = client.state(address).await else {
            return Check::fine(NAME, format!("it accepts our {what}"));
        };
        let says = ErrorChain(&error).to_string();
        let Some((status, answer)) = error.answer() else {
            return Check::failed(NAME, says, advice::acs_network(&targets.acs));
        };
        match status {
            StatusCode::NOT_FOUND | StatusCode::BAD_REQUEST if answer.code.is_some() => Check::fine(
                NAME,
                format!(
                    "it accepts our {what}: for a recording that cannot exist it answers {}",
                    answer.code.as_deref().unwrap_or_default()
                ),
            ),
            StatusCode::UNAUTHORIZED => match targets.sign_in {
                SignIn::AccessKey(_) => Check::failed(NAME, says, advice::access_key()),
                SignIn::ManagedIdentity => Check::failed(NAME, says, advice::acs_role(principal, &targets.acs)),
            },
            StatusCode::FORBIDDEN => Check::failed(NAME, says, advice::acs_role(principal, &targets.acs)),
            status if status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS => {
                Check::failed(NAME, says, "try again; if it still fails, check Azure's service health")
            }
            _ => {
                let remedy = "check that ACS_ENDPOINT is the endpoint of an ACS resource, and ACS_API_VERSION a version that it knows";
                Check::failed(NAME, says, remedy)
            }
        }
    })
    .await
}

/// Which hosts may receive our credentials.
pub(super) fn content_hosts(targets: &Targets) -> Check {
    let own: Vec<String> = CONTENT_DOMAINS
        .iter()
        .map(|domain| format!("*{domain}"))
        .collect();
    let own = format!(
        "our credentials go to ACS's own recording storage only ({})",
        own.join(", ")
    );
    if targets.content_hosts.is_empty() {
        return if recording_vault::address::is_loopback(&targets.acs.join("/")) {
            Check::failed(
                "content hosts",
                "ACS_ENDPOINT is on this machine, and ACS_CONTENT_HOSTS names no host: files of a simulator are refused",
                "set ACS_CONTENT_HOSTS to the simulator's address, such as http://127.0.0.1:8081",
            )
        } else {
            Check::fine("content hosts", own)
        };
    }
    let more: Vec<String> = targets
        .content_hosts
        .iter()
        .map(|host| {
            if host.is_plain() {
                format!("{host} (plain http, good for tests only)")
            } else {
                host.to_string()
            }
        })
        .collect();
    Check::fine(
        "content hosts",
        format!(
            "{own}, and, by ACS_CONTENT_HOSTS, to {}: be sure that these are Microsoft's",
            more.join(", ")
        ),
    )
}
