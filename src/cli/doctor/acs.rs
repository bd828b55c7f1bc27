//! Identity and ACS: is a token available where one is needed, does ACS accept it, or our key, and who else may receive it?

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use reqwest::StatusCode;

use super::advice::Principal;
use super::{Check, SignIn, Targets, advice, within, within_of};
use crate::cli::settings::GivenSettings;
use azure_core::credentials::TokenCredential as _;
use recording_vault::acs::client::CallRecordingClient;
use recording_vault::acs::credential::TOKEN_SCOPE;
use recording_vault::acs::error::{AcsError, AcsErrorAnswer};
use recording_vault::acs::guard::CONTENT_DOMAINS;
use recording_vault::acs::operation::RecordingAddress;
use recording_vault::config::{Platform, SettingsFrom};
use recording_vault::error_chain::ErrorChain;
use recording_vault::identity::{Identity, IdentityConfig, UsedLogin};
use recording_vault::recording::RecordingId;
use recording_vault::vault::VaultUrl;

const ACS: &str = "ACS";
const STORAGE_SCOPE: &str = "https://storage.azure.com/.default";

/// Where there is a managed identity, its endpoint is on the same machine; the Azure CLI takes seconds to start.
const TOKEN_DEADLINE: Duration = Duration::from_secs(20);

/// A recording that cannot exist: base64url of its two ids, both nil.
const NO_RECORDING: &str = "eyJQbGF0Zm9ybUVuZHBvaW50SWQiOiIwMDAwMDAwMC0wMDAwLTAwMDAtMDAwMC0wMDAwMDAwMDAwMDAiLCJSZXNvdXJjZVNwZWNpZmljSWQiOiIwMDAwMDAwMC0wMDAwLTAwMDAtMDAwMC0wMDAwMDAwMDAwMDAifQ";

/// "Invalid argument": ACS may refuse the form of that id.
const INVALID_ARGUMENT: &str = "8523";
/// ACS's codes are numbers of this length; those of 2021-04 are not published.
const CODE_DIGITS: usize = 4;

/// Whether the identity returns the tokens that are needed, and whose they are.
pub(super) async fn tokens(targets: &Targets, given: &GivenSettings) -> (Vec<Check>, Principal) {
    let needs_acs = matches!(targets.sign_in, SignIn::ManagedIdentity);
    let needs_storage = targets
        .storages()
        .any(|(_, url)| VaultUrl::needs_identity(url));
    let scopes = [
        (needs_acs, ACS, TOKEN_SCOPE),
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
    let principal = if is_yours.load(Ordering::Relaxed) {
        Principal::You
    } else {
        of_managed_identity(given.from, &given.variables)
    };
    (checks, principal)
}

/// Whose managed identity returns tokens here: the app's only where this process runs in the app.
fn of_managed_identity(from: SettingsFrom, variables: &[(String, String)]) -> Principal {
    let platform = Platform::of(from, |name| {
        let mut variables = variables.iter();
        variables.find_map(|(given, value)| (given == name).then_some(value.as_str()))
    });
    match platform {
        Some(Platform::Azure) => Principal::App,
        Some(Platform::Lambda) | None => Principal::ThisMachine,
    }
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

/// Asks ACS for the state of a recording that cannot exist. Its own answer "not found" shows that it accepts our signature or
/// token.
pub(super) async fn sign_in(
    targets: &Targets,
    principal: Principal,
    client: &CallRecordingClient,
) -> Check {
    let recording_id: RecordingId = NO_RECORDING.parse().expect("it is an id");
    let address = RecordingAddress {
        recording_id: &recording_id,
        conversation_id: Some("none"),
    };
    within(ACS, async {
        match client.state(address).await {
            Ok(_) => {
                let what = credential(&targets.sign_in);
                Check::fine(ACS, format!("it accepts our {what}"))
            }
            Err(error) => of_error(&error, targets, principal),
        }
    })
    .await
}

fn of_error(error: &AcsError, targets: &Targets, principal: Principal) -> Check {
    let says = ErrorChain(error).to_string();
    let Some((status, answer)) = error.answer() else {
        return Check::failed(ACS, says, advice::acs_network(&targets.acs));
    };
    if let Some(code) = accepting_code(status, answer) {
        let what = credential(&targets.sign_in);
        return Check::fine(
            ACS,
            format!("it accepts our {what}: for a recording that cannot exist it answers {code}"),
        );
    }
    match status {
        StatusCode::UNAUTHORIZED => match targets.sign_in {
            SignIn::AccessKey(_) => Check::failed(ACS, says, advice::access_key()),
            SignIn::ManagedIdentity => {
                Check::failed(ACS, says, advice::acs_role(principal, &targets.acs))
            }
        },
        StatusCode::FORBIDDEN => {
            Check::failed(ACS, says, advice::acs_role(principal, &targets.acs))
        }
        status if status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS => {
            Check::failed(
                ACS,
                says,
                "try again; if it still fails, check Azure's service health",
            )
        }
        _ => {
            let remedy = "check that ACS_ENDPOINT is the endpoint of an ACS resource, and ACS_API_VERSION a version that it knows";
            Check::failed(ACS, says, remedy)
        }
    }
}

/// Returns ACS's code, if an answer about a recording that cannot exist shows that ACS accepts the credential. Front ends
/// answer 400 and 404 too, before they check it: to an API version that they do not know, for one.
fn accepting_code(status: StatusCode, answer: &AcsErrorAnswer) -> Option<&str> {
    let code = answer.code.as_deref()?;
    let has_digits = code.len() == CODE_DIGITS && code.bytes().all(|byte| byte.is_ascii_digit());
    let is_accepting = match status {
        StatusCode::NOT_FOUND => has_digits || answer.is_of_2021,
        StatusCode::BAD_REQUEST => code == INVALID_ARGUMENT,
        _ => false,
    };
    is_accepting.then_some(code)
}

fn credential(sign_in: &SignIn) -> &'static str {
    match sign_in {
        SignIn::AccessKey(_) => "key",
        SignIn::ManagedIdentity => "token",
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[rstest::rstest]
    #[case::not_found(404, Some("8522"), false, true)]
    #[case::not_found_of_2021(404, Some("NotFound"), true, true)]
    #[case::its_id_is_refused(400, Some("8523"), false, true)]
    #[case::unknown_version(400, Some("UnsupportedApiVersion"), false, false)]
    #[case::unknown_version_of_2021(400, Some("UnsupportedApiVersion"), true, false)]
    #[case::other_code(400, Some("8501"), false, false)]
    #[case::of_a_gateway(404, Some("ResourceNotFound"), false, false)]
    #[case::its_status_as_code(404, Some("404"), false, false)]
    #[case::web_page(404, None, false, false)]
    #[case::refused(401, Some("7509"), false, false)]
    #[case::failing(500, Some("8523"), false, false)]
    fn only_an_answer_of_acs_itself_about_the_recording_shows_that_it_accepts_the_credential(
        #[case] status: u16,
        #[case] code: Option<&str>,
        #[case] is_of_2021: bool,
        #[case] expected: bool,
    ) {
        let answer = AcsErrorAnswer {
            code: code.map(str::to_owned),
            is_of_2021,
            ..AcsErrorAnswer::default()
        };
        let status = StatusCode::from_u16(status).unwrap();
        assert_eq!(accepting_code(status, &answer).is_some(), expected);
    }

    #[rstest::rstest]
    #[case::app(SettingsFrom::Environment, &["WEBSITE_SITE_NAME"], Principal::App)]
    #[case::app_of_flex(SettingsFrom::Environment, &["LEGION_SERVICE_HOST"], Principal::App)]
    #[case::virtual_machine(SettingsFrom::Environment, &[], Principal::ThisMachine)]
    #[case::func_start(
        SettingsFrom::Environment,
        &["WEBSITE_SITE_NAME", "FUNCTIONS_CORETOOLS_ENVIRONMENT"],
        Principal::ThisMachine
    )]
    #[case::file(SettingsFrom::File, &["WEBSITE_SITE_NAME"], Principal::ThisMachine)]
    #[case::app_elsewhere(SettingsFrom::AzureApp, &[], Principal::ThisMachine)]
    fn a_managed_identity_is_the_apps_in_the_app_only(
        #[case] from: SettingsFrom,
        #[case] names: &[&str],
        #[case] expected: Principal,
    ) {
        let variables: Vec<(String, String)> = names
            .iter()
            .map(|name| ((*name).to_owned(), "x".to_owned()))
            .collect();
        assert_eq!(of_managed_identity(from, &variables), expected);
    }
}
