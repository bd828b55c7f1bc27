//! What answers in front of the Functions host: App Service Authentication, or something else that refuses requests. It
//! knows no function.

use reqwest::header::{self, HeaderValue};
use reqwest::{Response, StatusCode};
use serde_json::Value;
use url::Url;

use super::Check;

pub(super) const SIGN_IN: &str =
    "App Service Authentication asks for a sign-in, which doctor cannot do";
/// Paths of the platform, such as `/.auth/login/aad`.
const OF_THE_PLATFORM: &str = "/.auth/";

/// Paths of the host itself. It answers a key that does not open them with the bare scheme `Bearer`.
const OF_THE_HOST: [&str; 2] = ["/admin/", "/runtime/webhooks/"];
/// What a challenge says of where to sign in; App Service Authentication names at least one of them.
/// <https://www.rfc-editor.org/rfc/rfc9110#section-11.5>, <https://www.rfc-editor.org/rfc/rfc9728#section-5.1>
const WHERE_TO_SIGN_IN: [&str; 3] = ["realm=", "authorization_uri=", "resource_metadata="];

/// Whether App Service Authentication answers. The Functions host does not redirect, and names no scheme in its own 401 for a
/// function. For a path of its own it does: there, only a challenge that says where to sign in is not the host's.
pub(super) fn asks_for_sign_in(answer: &Response) -> bool {
    match answer.status() {
        StatusCode::UNAUTHORIZED => {
            let mut challenges = answer.headers().get_all(header::WWW_AUTHENTICATE).iter();
            let path = answer.url().path();
            if OF_THE_HOST.iter().any(|start| path.starts_with(start)) {
                challenges.any(says_where_to_sign_in)
            } else {
                challenges.next().is_some()
            }
        }
        StatusCode::FOUND | StatusCode::SEE_OTHER | StatusCode::TEMPORARY_REDIRECT => {
            leads_to_sign_in(answer)
        }
        _ => false,
    }
}

fn says_where_to_sign_in(challenge: &HeaderValue) -> bool {
    let challenge = String::from_utf8_lossy(challenge.as_bytes()).to_ascii_lowercase();
    WHERE_TO_SIGN_IN
        .iter()
        .any(|parameter| challenge.contains(parameter))
}

/// Whether an answer redirects to the platform's own paths, or to an identity provider.
fn leads_to_sign_in(answer: &Response) -> bool {
    let location = answer.headers().get(header::LOCATION);
    let location = location.and_then(|location| location.to_str().ok());
    let target: Option<Url> = location.and_then(|location| answer.url().join(location).ok());
    target.is_some_and(|target| {
        let is_elsewhere = target.host_str() != answer.url().host_str();
        is_elsewhere || target.path().starts_with(OF_THE_PLATFORM)
    })
}

/// Whether something in front of the host refuses a request: the handler refuses with an error object, and the host refuses
/// the key of a function with 401.
pub(super) fn is_refused_in_front(status: StatusCode, body: &Value) -> bool {
    status == StatusCode::FORBIDDEN && body["error"].is_null()
}

/// The check of a path that asks for a sign-in and should not. `why`: why it needs none.
pub(super) fn behind_sign_in(name: &str, path: &str, why: &str) -> Check {
    Check::failed(name, SIGN_IN, exclude(path, why))
}

/// The check of a path that is refused in front of the host.
pub(super) fn refused_in_front(name: &str, path: &str, why: &str) -> Check {
    Check::failed(
        name,
        "something in front of the Functions host answers 403 Forbidden: App Service Authentication, an access restriction, or the platform, because the app is stopped",
        format!(
            "{}; check the app's access restrictions, and that it runs (`az functionapp show --name <app> --resource-group <group> --query state`)",
            exclude(path, why)
        ),
    )
}

fn exclude(path: &str, why: &str) -> String {
    format!(
        "exclude `{path}` from App Service Authentication, as infra/modules/sign-in.bicep does: {why}"
    )
}

#[cfg(test)]
mod tests {
    use reqwest::ResponseBuilderExt as _;
    use serde_json::json;

    use super::*;

    const OF_SIGN_IN: &str = "Bearer realm=\"app.azurewebsites.net\" authorization_uri=\"https://login.microsoftonline.com/t/oauth2/authorize\"";

    #[rstest::rstest]
    #[case::key_of_a_function("/api/vault/summary", &[], false)]
    #[case::sign_in_before_a_function("/api/vault/summary", &[OF_SIGN_IN], true)]
    #[case::key_of_the_hosts_api("/admin/functions", &["Bearer"], false)]
    #[case::key_of_an_extension("/runtime/webhooks/eventgrid", &["Bearer"], false)]
    #[case::each_scheme_of_the_host("/runtime/webhooks/eventgrid", &["Bearer", "Bearer"], false)]
    #[case::sign_in_before_the_hosts_api("/admin/functions", &[OF_SIGN_IN], true)]
    #[case::sign_in_before_an_extension("/runtime/webhooks/eventgrid", &[OF_SIGN_IN], true)]
    #[case::its_metadata("/runtime/webhooks/eventgrid", &["Bearer Resource_Metadata=\"https://app/.well-known/oauth-protected-resource\""], true)]
    #[case::beside_that_of_the_host("/admin/functions", &["Bearer", OF_SIGN_IN], true)]
    fn a_challenge_of_the_host_for_its_own_paths_is_no_sign_in(
        #[case] path: &str,
        #[case] challenges: &[&str],
        #[case] expected: bool,
    ) {
        let url = format!("https://app.azurewebsites.net{path}");
        let answer = axum::http::Response::builder()
            .status(401)
            .url(url.parse().expect("it is a URL"));
        let answer = challenges.iter().fold(answer, |answer, challenge| {
            answer.header("www-authenticate", *challenge)
        });
        let answer: Response = answer.body("").expect("it is an answer").into();
        assert_eq!(asks_for_sign_in(&answer), expected);
    }

    #[rstest::rstest]
    #[case::identity_provider(
        302,
        "https://login.microsoftonline.com/t/oauth2/v2.0/authorize",
        true
    )]
    #[case::path_of_the_platform(302, "/.auth/login/aad?post_login_redirect_uri=%2Fapi", true)]
    #[case::as_a_get(303, "https://login.microsoftonline.com/", true)]
    #[case::same_method(307, "https://login.microsoftonline.com/", true)]
    #[case::path_of_the_app(302, "/api/vault/", false)]
    #[case::another_name_of_the_app(301, "https://vault.contoso.com/api/vault/", false)]
    #[case::no_url(302, "https://", false)]
    fn a_redirect_to_a_sign_in_asks_for_one(
        #[case] status: u16,
        #[case] location: &str,
        #[case] expected: bool,
    ) {
        let answer = axum::http::Response::builder()
            .status(status)
            .header("location", location);
        let answer: Response = answer.body("").expect("it is an answer").into();
        assert_eq!(asks_for_sign_in(&answer), expected);
    }

    #[rstest::rstest]
    #[case::web_page(403, Value::Null, true)]
    #[case::other_json(403, json!({"message": "no"}), true)]
    #[case::of_the_handler(403, json!({"error": {"code": "Forbidden"}}), false)]
    #[case::of_the_host(401, Value::Null, false)]
    fn a_403_without_our_error_object_is_of_something_in_front(
        #[case] status: u16,
        #[case] body: Value,
        #[case] expected: bool,
    ) {
        let status = StatusCode::from_u16(status).unwrap();
        assert_eq!(is_refused_in_front(status, &body), expected);
    }
}
