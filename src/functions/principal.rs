//! The caller of an HTTP function, and what the caller's app roles allow. The host has already checked the function
//! key; app roles restrict what the key allows, and never extend it. Knows no route.
//!
//! | App Service Authentication (`WEBSITE_AUTH_ENABLED`) | `X-MS-CLIENT-PRINCIPAL*` | app roles |
//! |---|---|---|
//! | on | set by the platform, which removes what a caller sends: the name is verified | restrict the key |
//! | off | may be sent by any caller: the name is a claim | ignored |
//!
//! <https://learn.microsoft.com/azure/app-service/configure-authentication-user-identities>

use std::convert::Infallible;
use std::sync::Arc;

use axum::extract::{FromRequestParts, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use percent_encoding::percent_decode_str;
use serde::Deserialize;
use serde_json::Value;

use super::problem::Problem;
use crate::app::App;
use crate::control::requester::Requester;
use crate::store::audit::{Invocation, Operator, Principal};

/// The claims of the signed-in caller, as base64 of JSON.
pub const CLAIMS: &str = "x-ms-client-principal";
pub const NAME: &str = "x-ms-client-principal-name";
pub const ID: &str = "x-ms-client-principal-id";
/// A name that the caller gives, percent-encoded; the page asks for it if no user is signed in.
pub const CLAIMED_NAME: &str = "x-operator-name";
/// The id of an invocation, the same if the host sends the request again.
pub const INVOCATION: &str = "x-azure-functions-invocationid";
/// Longer names are truncated.
const NAME_CHARS: usize = 256;
/// Claim types of app roles, besides the one that the claims name themselves.
const ROLE_TYPES: [&str; 2] = [
    "roles",
    "http://schemas.microsoft.com/ws/2008/06/identity/claims/role",
];
const READ_ROLE: &str = "Recordings.Read";
const OPERATE_ROLE: &str = "Recordings.Operate";

/// What a function lets its callers do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Right {
    Read,
    /// Includes [`Right::Read`].
    Operate,
}

/// What the app roles of a caller allow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Roles {
    /// No user is signed in, or the platform signs nobody in: only the key counts.
    NotApplicable,
    Known(Option<Right>),
    Unreadable,
}

/// The caller of a function.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// `None`: a holder of a key who gave no name.
    pub principal: Option<Principal>,
    /// Set for a request that changes something.
    invocation: Option<Invocation>,
    roles: Roles,
}

/// `X-MS-CLIENT-PRINCIPAL`.
#[derive(Deserialize)]
struct Claims {
    #[serde(default)]
    claims: Vec<Claim>,
    role_typ: Option<String>,
}

#[derive(Deserialize)]
struct Claim {
    typ: String,
    val: String,
}

impl Caller {
    /// `signs_in`: whether the platform signs callers in.
    pub fn of(headers: &HeaderMap, signs_in: bool) -> Self {
        let (name, claimed) = (name_of(headers), claimed_name(headers));
        if !signs_in {
            return Self {
                principal: claimed.or(name).map(Principal::Claimed),
                invocation: None,
                roles: Roles::NotApplicable,
            };
        }
        let verified = name.map(Principal::Verified);
        Self {
            principal: verified.or(claimed.map(Principal::Claimed)),
            invocation: None,
            roles: roles_of(headers),
        }
    }

    /// # Errors
    /// When the caller's app roles do not include the right.
    fn check(&self, right: Right) -> Result<(), Problem> {
        let refused =
            |code, message: String| Err(Problem::new(StatusCode::FORBIDDEN, code, message));
        let role = match right {
            Right::Read => READ_ROLE,
            Right::Operate => OPERATE_ROLE,
        };
        match self.roles {
            Roles::NotApplicable | Roles::Known(Some(Right::Operate)) => Ok(()),
            Roles::Known(Some(Right::Read)) if right == Right::Read => Ok(()),
            Roles::Known(_) => {
                let name = self.name();
                let name = name.unwrap_or_else(|| "The signed-in caller".to_owned());
                let message = format!(
                    "{name} does not have the app role {role}. Ask an administrator to assign it in Microsoft Entra ID, then sign in again."
                );
                refused("RoleMissing", message)
            }
            Roles::Unreadable => {
                let message = format!(
                    "The claims of the signed-in caller are not readable, so the app role {role} is unknown. Sign in again."
                );
                refused("PrincipalUnreadable", message)
            }
        }
    }

    /// The detail of an audit record, with the door and the principal added.
    pub fn sign(&self, detail: Value) -> Value {
        self.clone().operator().sign(detail)
    }

    pub fn operator(self) -> Operator {
        Operator::Api {
            principal: self.principal,
            invocation: self.invocation,
        }
    }

    pub fn requester(self) -> Requester {
        Requester::Api {
            principal: self.principal,
            invocation: self.invocation,
        }
    }

    /// Returns the name for display, with a mark if it is not verified.
    pub fn name(&self) -> Option<String> {
        self.principal.as_ref().map(Principal::label)
    }
}

impl FromRequestParts<Arc<App>> for Caller {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Infallible> {
        let mut caller = Self::of(&parts.headers, app.platform_signs_in);
        if !parts.method.is_safe() {
            let invocation = parts.headers.get(INVOCATION);
            caller.invocation = invocation.map(|id| Invocation::of(id.as_bytes()));
        }
        Ok(caller)
    }
}

/// Refuses callers whose app roles do not include reading.
pub async fn readers_only(caller: Caller, request: Request, next: Next) -> Response {
    admitted(&caller, Right::Read, request, next).await
}

/// Refuses callers whose app roles do not include acting.
pub async fn operators_only(caller: Caller, request: Request, next: Next) -> Response {
    admitted(&caller, Right::Operate, request, next).await
}

async fn admitted(caller: &Caller, right: Right, request: Request, next: Next) -> Response {
    match caller.check(right) {
        Ok(()) => next.run(request).await,
        Err(problem) => problem.into_response(),
    }
}

fn name_of(headers: &HeaderMap) -> Option<String> {
    [NAME, ID].into_iter().find_map(|header| {
        let value = headers.get(header)?;
        plain(&String::from_utf8_lossy(value.as_bytes()))
    })
}

fn claimed_name(headers: &HeaderMap) -> Option<String> {
    let text = headers.get(CLAIMED_NAME)?.to_str().ok()?;
    plain(&percent_decode_str(text).decode_utf8_lossy())
}

/// A name of one line.
fn plain(name: &str) -> Option<String> {
    let name: String = name.trim().chars().filter(|c| !c.is_control()).collect();
    (!name.is_empty()).then(|| name.chars().take(NAME_CHARS).collect())
}

fn roles_of(headers: &HeaderMap) -> Roles {
    let mut values = headers.get_all(CLAIMS).iter();
    let Some(first) = values.next() else {
        // The platform sends claims with each name: a name without them is not from a caller without an account.
        let is_named = headers.contains_key(NAME) || headers.contains_key(ID);
        return if is_named {
            Roles::Unreadable
        } else {
            Roles::NotApplicable
        };
    };
    // The platform sends one header; a second one comes from another sender.
    let claims = match values.next() {
        None => parsed(first.as_bytes()),
        Some(_) => None,
    };
    claims.map_or(Roles::Unreadable, |claims| Roles::Known(claims.right()))
}

fn parsed(value: &[u8]) -> Option<Claims> {
    let json = BASE64_STANDARD.decode(value.trim_ascii()).ok()?;
    serde_json::from_slice(&json).ok()
}

impl Claims {
    fn right(&self) -> Option<Right> {
        let is_role = |claim: &&Claim| {
            ROLE_TYPES.contains(&&claim.typ[..]) || self.role_typ.as_ref() == Some(&claim.typ)
        };
        let mut roles = self.claims.iter().filter(is_role);
        if roles.clone().any(|claim| claim.val == OPERATE_ROLE) {
            return Some(Right::Operate);
        }
        roles
            .any(|claim| claim.val == READ_ROLE)
            .then_some(Right::Read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderName;
    use serde_json::json;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs
            .iter()
            .map(|(name, value)| (HeaderName::from_static(name), value.parse().unwrap()))
            .collect()
    }

    fn claims(value: &Value) -> String {
        BASE64_STANDARD.encode(value.to_string())
    }

    fn with_roles(roles: &[&str]) -> String {
        let claims_of = roles
            .iter()
            .map(|role| json!({"typ": "roles", "val": role}));
        claims(&json!({"auth_typ": "aad", "claims": claims_of.collect::<Vec<_>>()}))
    }

    fn rights(headers: &HeaderMap) -> [bool; 2] {
        let caller = Caller::of(headers, true);
        [Right::Read, Right::Operate].map(|right| caller.check(right).is_ok())
    }

    #[test]
    fn a_platform_that_signs_nobody_in_verifies_no_name_and_no_role() {
        let sent = headers(&[(NAME, "ada"), (CLAIMS, &with_roles(&[]))]);
        let caller = Caller::of(&sent, false);
        assert_eq!(caller.principal, Some(Principal::Claimed("ada".to_owned())));
        assert!(caller.check(Right::Operate).is_ok());
        assert_eq!(
            Caller::of(&sent, true).principal,
            Some(Principal::Verified("ada".to_owned()))
        );
    }

    #[test]
    fn a_claimed_name_is_percent_encoded_and_never_replaces_a_verified_one() {
        let sent = headers(&[(CLAIMED_NAME, "Zo%C3%AB%0A%20 ")]);
        for signs_in in [true, false] {
            assert_eq!(
                Caller::of(&sent, signs_in).principal,
                Some(Principal::Claimed("Zoë".to_owned()))
            );
        }
        let both = headers(&[(CLAIMED_NAME, "eve"), (NAME, "ada")]);
        assert_eq!(
            Caller::of(&both, true).principal,
            Some(Principal::Verified("ada".to_owned()))
        );
        let nothing = headers(&[(CLAIMED_NAME, "%20")]);
        assert_eq!(Caller::of(&nothing, true).principal, None);
    }

    #[test]
    fn app_roles_narrow_what_a_key_opens() {
        let of = |roles: &[&str]| rights(&headers(&[(CLAIMS, &with_roles(roles))]));
        assert_eq!(of(&[READ_ROLE]), [true, false]);
        assert_eq!(of(&[OPERATE_ROLE]), [true, true]);
        assert_eq!(of(&[OPERATE_ROLE, READ_ROLE]), [true, true]);
        assert_eq!(of(&[]), [false, false]);
        assert_eq!(
            of(&["recordings.operate", "Recordings.ReadAll"]),
            [false, false]
        );
        assert_eq!(rights(&headers(&[])), [true, true], "nobody is signed in");
    }

    #[rstest::rstest]
    #[case::name(&[(NAME, "ada")])]
    #[case::id(&[(ID, "29bd5ea9")])]
    #[case::empty(&[(NAME, "")])]
    fn a_signed_in_name_without_claims_allows_nothing(#[case] sent: &[(&'static str, &str)]) {
        assert_eq!(rights(&headers(sent)), [false, false]);
        let caller = Caller::of(&headers(sent), false);
        assert!(
            caller.check(Right::Operate).is_ok(),
            "nobody signs callers in"
        );
    }

    #[test]
    fn a_role_is_a_claim_of_a_role_type() {
        let of = |value: Value| rights(&headers(&[(CLAIMS, &claims(&value))]));
        let named = json!({"claims": [{"typ": "x", "val": READ_ROLE}], "role_typ": "x"});
        assert_eq!(of(named), [true, false]);
        let long = json!({"claims": [{"typ": ROLE_TYPES[1], "val": OPERATE_ROLE}]});
        assert_eq!(of(long), [true, true]);
        let name = json!({"claims": [{"typ": "name", "val": OPERATE_ROLE}], "role_typ": "roles"});
        assert_eq!(of(name), [false, false]);
    }

    #[test]
    fn claims_that_are_not_readable_allow_nothing() {
        for unreadable in ["", "%%%", "bm8=", "e30", &claims(&json!({"claims": 7}))] {
            assert_eq!(
                rights(&headers(&[(CLAIMS, unreadable)])),
                [false, false],
                "{unreadable}"
            );
        }
        let operator = with_roles(&[OPERATE_ROLE]);
        let two = headers(&[(CLAIMS, &with_roles(&[])), (CLAIMS, &operator)]);
        assert_eq!(rights(&two), [false, false]);
    }
}
