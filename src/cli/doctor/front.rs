//! What answers in front of the Functions host: App Service Authentication, or something else that refuses requests. It
//! knows no function.

use reqwest::{Response, StatusCode, header};
use serde_json::Value;
use url::Url;

use super::Check;

pub(super) const SIGN_IN: &str =
    "App Service Authentication asks for a sign-in, which doctor cannot do";
/// Paths of the platform, such as `/.auth/login/aad`.
const OF_THE_PLATFORM: &str = "/.auth/";

/// Whether App Service Authentication answers: the Functions host names no scheme in its own 401, and does not redirect.
pub(super) fn asks_for_sign_in(answer: &Response) -> bool {
    match answer.status() {
        StatusCode::UNAUTHORIZED => answer.headers().contains_key(header::WWW_AUTHENTICATE),
        StatusCode::FOUND | StatusCode::SEE_OTHER | StatusCode::TEMPORARY_REDIRECT => {
            leads_to_sign_in(answer)
        }
        _ => false,
    }
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

/// Whether neither handler nor host refuses a request: the handler refuses with an error object, and the host with 401.
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
    use serde_json::json;

    use super::*;

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
