//! Validates bearer tokens of callers: signature, issuer, audience and lifetime, by the issuer's OpenID configuration.

use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use jiff::Timestamp;
use jsonwebtoken::jwk::{Jwk, JwkSet, PublicKeyUse};
use jsonwebtoken::{Algorithm, AlgorithmFamily, DecodingKey, Validation, decode, decode_header};
use serde::Deserialize;
use tokio::time::Instant;
use url::Url;
use uuid::Uuid;

use crate::error_chain::ErrorChain;

/// Keys are rotated over days; an unknown key triggers an earlier fetch.
const KEYS_LAST: Duration = Duration::from_hours(6);
/// Older keys are not used before they are fetched again.
const KEYS_KNOWN_FOR: Duration = Duration::from_hours(24);
/// Characters of a stranger's issuer or audience that are shown.
const SHOWN_CHARS: usize = 200;
/// An unknown key makes us fetch the keys again, at most this often.
const LOOK_AGAIN_AFTER: Duration = Duration::from_secs(30);
const FETCH_TIMEOUT: Duration = Duration::from_secs(10);
/// Allowed difference between the clocks of two machines.
const LEEWAY: Duration = Duration::from_mins(2);
const LONGEST_DOCUMENT: usize = 256 << 10;

/// Checks tokens of one issuer for one audience.
pub struct TokenValidator {
    keys: Arc<IssuerKeys>,
    audience: String,
    /// The application that tokens have to be issued to, where any of the issuer's would be too many.
    caller: Option<String>,
}

/// The issuer's keys, as they were fetched.
struct IssuerKeys {
    configuration_url: Url,
    client: reqwest::Client,
    /// Never held over a fetch: a slow key server delays no caller whose key is cached.
    state: Mutex<KeysState>,
    /// One fetch at a time; all callers that need it wait for the same answer.
    fetching: tokio::sync::Mutex<()>,
}

#[derive(Default)]
struct KeysState {
    keys: Option<Arc<Keys>>,
    failed_at: Option<Instant>,
}

/// Who a token was issued to: `azp` in version 2 of Microsoft Entra's tokens, `appid` in version 1.
#[derive(Deserialize)]
struct Claims {
    iss: String,
    aud: Audiences,
    exp: f64,
    nbf: Option<f64>,
    azp: Option<String>,
    appid: Option<String>,
}

/// RFC 7519, section 4.1.3: a token has one audience, or several.
#[derive(Deserialize)]
#[serde(untagged)]
enum Audiences {
    One(String),
    Several(Vec<String>),
}

struct Keys {
    issuer: String,
    set: JwkSet,
    fetched_at: Instant,
}

/// Why a caller is refused.
#[derive(Debug, thiserror::Error)]
pub enum InvalidToken {
    #[error("there is no bearer token")]
    Missing,
    #[error("the token is not valid")]
    Invalid(#[source] jsonwebtoken::errors::Error),
    #[error("the token {0}")]
    Unsupported(&'static str),
    #[error("the token is signed with a key that its issuer does not publish")]
    UnknownKey,
    #[error("the token is of the issuer `{found}`; expected `{expected}`")]
    WrongIssuer { found: String, expected: String },
    #[error("the token is for another audience, `{found}`")]
    WrongAudience { found: String },
    #[error("the token was issued to another application")]
    OtherCaller,
    /// Everything else is valid: a sender's queue, or a clock, may be the reason.
    #[error("the token has expired, or is not valid yet; check this machine's clock")]
    NotNow,
    /// Nothing is wrong with the token: the same caller may be authorized later.
    #[error("the issuer's keys could not be fetched")]
    NoKeys(#[source] KeysError),
}

/// Why the issuer's keys are missing.
#[derive(Debug, thiserror::Error)]
pub enum KeysError {
    #[error("could not fetch an OpenID document")]
    Fetch(#[source] reqwest::Error),
    #[error("fetching an OpenID document failed a moment ago")]
    FailedBefore,
    #[error("an OpenID document is not readable")]
    Unreadable(#[source] serde_json::Error),
    #[error("an OpenID document is longer than {LONGEST_DOCUMENT} bytes")]
    TooLong,
    #[error("the OpenID configuration names keys at a place that is not https")]
    Insecure,
    #[error(
        "the issuer `{0}` is a template for many tenants, and no token has it: the URL of its configuration must name one tenant, not `common` or `organizations`"
    )]
    ManyTenants(String),
}

/// The members of an OpenID configuration that are used here.
#[derive(Deserialize)]
struct Configuration {
    issuer: String,
    jwks_uri: Url,
}

impl TokenValidator {
    /// Sets up; fetches nothing before the first token arrives.
    ///
    /// # Errors
    /// When the platform offers no TLS.
    pub fn new(configuration_url: Url, audience: String) -> Result<Self, reqwest::Error> {
        let client = crate::http_client::builder()
            .timeout(FETCH_TIMEOUT)
            .redirect(reqwest::redirect::Policy::none())
            .build()?;
        Ok(Self {
            keys: Arc::new(IssuerKeys {
                configuration_url,
                client,
                state: Mutex::default(),
                fetching: tokio::sync::Mutex::default(),
            }),
            audience,
            caller: None,
        })
    }

    /// Accepts only tokens that were issued to this application.
    #[must_use]
    pub fn issued_to(self, caller: String) -> Self {
        Self {
            caller: Some(caller),
            ..self
        }
    }

    /// Fetches the issuer's keys, and keeps none of them: for a check of the configuration.
    ///
    /// # Errors
    /// When they cannot be fetched.
    pub async fn fetch_keys(&self) -> Result<(), KeysError> {
        self.keys.fetch().await.map(drop)
    }

    /// Checks the value of an `Authorization` header at this time.
    ///
    /// # Errors
    /// When there is no token, when it is invalid, or when the issuer's keys cannot be fetched.
    pub async fn validate(
        &self,
        authorization: Option<&str>,
        now: Timestamp,
    ) -> Result<(), InvalidToken> {
        let token = authorization
            .and_then(bearer)
            .ok_or(InvalidToken::Missing)?;
        let header = decode_header(token).map_err(InvalidToken::Invalid)?;
        // RFC 7515, section 4.1.11: a critical header that is not understood invalidates the token.
        if header.crit.is_some() {
            return Err(InvalidToken::Unsupported(
                "names critical extensions, and none is understood",
            ));
        }
        let kid = header.kid.as_deref().unwrap_or_default();
        let keys = IssuerKeys::with(&self.keys, kid).await?;
        let key = keys.signing_key(kid).ok_or(InvalidToken::UnknownKey)?;
        if !is_for(key, header.alg) {
            return Err(InvalidToken::Unsupported(
                "is signed by another algorithm than its key is for",
            ));
        }
        let key = DecodingKey::from_jwk(key).map_err(InvalidToken::Invalid)?;
        // Never the symmetric family: a public key must not pass as a shared secret.
        let mut validation = Validation::new_for_family(AlgorithmFamily::Rsa);
        validation.set_required_spec_claims(&["exp", "aud", "iss"]);
        // These three are checked below: their errors differ from that for a forged token.
        validation.validate_aud = false;
        validation.validate_exp = false;
        validation.validate_nbf = false;
        let claims = decode::<Claims>(token, &key, &validation)
            .map_err(InvalidToken::Invalid)?
            .claims;
        self.check(&claims, &keys.issuer, now)
    }

    fn check(&self, claims: &Claims, issuer: &str, now: Timestamp) -> Result<(), InvalidToken> {
        if claims.iss != issuer {
            return Err(InvalidToken::WrongIssuer {
                found: shortened(&claims.iss),
                expected: issuer.to_owned(),
            });
        }
        let audiences = claims.aud.names();
        let is_ours = audiences
            .iter()
            .any(|audience| is_same_id(audience, &self.audience));
        if !is_ours {
            return Err(InvalidToken::WrongAudience {
                found: shortened(&audiences.join(", ")),
            });
        }
        let issued_to = claims.azp.as_deref().or(claims.appid.as_deref());
        let is_caller = self
            .caller
            .as_deref()
            .is_none_or(|caller| issued_to.is_some_and(|given| is_same_id(given, caller)));
        if !is_caller {
            return Err(InvalidToken::OtherCaller);
        }
        #[expect(clippy::cast_precision_loss, reason = "seconds of our time are exact")]
        let now = now.as_second() as f64;
        let leeway = LEEWAY.as_secs_f64();
        // Written so that NaN is refused.
        let has_begun = claims.nbf.is_none_or(|nbf| nbf <= now + leeway);
        let is_current = claims.exp >= now - leeway;
        if has_begun && is_current {
            Ok(())
        } else {
            Err(InvalidToken::NotNow)
        }
    }
}

impl Audiences {
    fn names(&self) -> &[String] {
        match self {
            Self::One(name) => std::slice::from_ref(name),
            Self::Several(names) => names,
        }
    }
}

/// Whether two ids are one: an id that Microsoft Entra assigns has no case.
fn is_same_id(one: &str, other: &str) -> bool {
    let assigned = [one, other].map(Uuid::try_parse);
    one == other || matches!(assigned, [Ok(one), Ok(other)] if one == other)
}

fn shortened(text: &str) -> String {
    text.chars().take(SHOWN_CHARS).collect()
}

impl Keys {
    fn signing_key(&self, kid: &str) -> Option<&Jwk> {
        let is_signing = |key: &&Jwk| {
            key.common.key_id.as_deref() == Some(kid)
                && key
                    .common
                    .public_key_use
                    .as_ref()
                    .is_none_or(|it| *it == PublicKeyUse::Signature)
        };
        self.set.keys.iter().find(is_signing)
    }
}

/// Whether a key may be used with the algorithm that a token names; one that names none is for all of its family.
fn is_for(key: &Jwk, algorithm: Algorithm) -> bool {
    key.common
        .key_algorithm
        .is_none_or(|own| own == algorithm.into())
}

impl IssuerKeys {
    /// Keys among which `kid` is, if the issuer has it. Waits for a fetch only where it is not known.
    async fn with(this: &Arc<Self>, kid: &str) -> Result<Arc<Keys>, InvalidToken> {
        let known = this.known();
        let Some(keys) = known.filter(|keys| keys.signing_key(kid).is_some()) else {
            // It may be a new key: only the issuer's answer shows that it is unknown.
            return this
                .fresh(LOOK_AGAIN_AFTER)
                .await
                .map_err(InvalidToken::NoKeys);
        };
        let age = keys.fetched_at.elapsed();
        if age >= KEYS_KNOWN_FOR {
            // Old keys are better than none.
            return Ok(this.fresh(KEYS_LAST).await.unwrap_or(keys));
        }
        if age >= KEYS_LAST && this.fetching.try_lock().is_ok() {
            let this = Arc::clone(this);
            tokio::spawn(async move {
                if let Err(error) = this.fresh(KEYS_LAST).await {
                    tracing::warn!(error = %ErrorChain(&error), "An issuer's keys could not be fetched; the known ones are used");
                }
            });
        }
        Ok(keys)
    }

    fn known(&self) -> Option<Arc<Keys>> {
        self.state().keys.clone()
    }

    fn state(&self) -> MutexGuard<'_, KeysState> {
        self.state
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// The issuer's keys, not older than `at_most`. One fetch at a time, and none soon after one that failed.
    async fn fresh(&self, at_most: Duration) -> Result<Arc<Keys>, KeysError> {
        let _one_at_a_time = self.fetching.lock().await;
        {
            let state = self.state();
            if let Some(keys) = state
                .keys
                .as_ref()
                .filter(|keys| keys.fetched_at.elapsed() < at_most)
            {
                return Ok(Arc::clone(keys));
            }
            if state
                .failed_at
                .is_some_and(|failed_at| failed_at.elapsed() < LOOK_AGAIN_AFTER)
            {
                return Err(KeysError::FailedBefore);
            }
        }
        let fetched = self.fetch().await;
        let mut state = self.state();
        match fetched {
            Ok(keys) => {
                let keys = Arc::new(keys);
                *state = KeysState {
                    keys: Some(Arc::clone(&keys)),
                    failed_at: None,
                };
                Ok(keys)
            }
            Err(error) => {
                state.failed_at = Some(Instant::now());
                Err(error)
            }
        }
    }

    async fn fetch(&self) -> Result<Keys, KeysError> {
        let configuration: Configuration = self.document(self.configuration_url.clone()).await?;
        if configuration.jwks_uri.scheme() != "https"
            && !crate::address::is_loopback(&configuration.jwks_uri)
        {
            return Err(KeysError::Insecure);
        }
        // `{tenantid}`: <https://learn.microsoft.com/entra/identity-platform/access-tokens#multitenant-applications>
        if configuration.issuer.contains('{') {
            return Err(KeysError::ManyTenants(shortened(&configuration.issuer)));
        }
        let set = self.document(configuration.jwks_uri).await?;
        Ok(Keys {
            issuer: configuration.issuer,
            set,
            fetched_at: Instant::now(),
        })
    }

    async fn document<T: serde::de::DeserializeOwned>(&self, url: Url) -> Result<T, KeysError> {
        let response = self
            .client
            .get(url)
            .send()
            .await
            .and_then(reqwest::Response::error_for_status);
        let mut response = response.map_err(not_fetched)?;
        let mut body = Vec::new();
        while let Some(piece) = response.chunk().await.map_err(not_fetched)? {
            if body.len() + piece.len() > LONGEST_DOCUMENT {
                return Err(KeysError::TooLong);
            }
            body.extend_from_slice(&piece);
        }
        serde_json::from_slice(&body).map_err(KeysError::Unreadable)
    }
}

/// Without the URL: its query may hold a secret.
fn not_fetched(error: reqwest::Error) -> KeysError {
    KeysError::Fetch(error.without_url())
}

fn bearer(authorization: &str) -> Option<&str> {
    let (scheme, token) = authorization.trim().split_once(' ')?;
    scheme
        .eq_ignore_ascii_case("bearer")
        .then_some(token.trim())
        .filter(|token| !token.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_issuer_that_does_not_answer_is_reported_without_its_query() {
        let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = closed.local_addr().unwrap();
        drop(closed);
        let url = format!("http://{address}/openid?code=the-secret").parse();
        let validator = TokenValidator::new(url.unwrap(), "audience".to_owned()).unwrap();
        let error = validator.fetch_keys().await.unwrap_err();
        assert!(matches!(error, KeysError::Fetch(_)), "{error:?}");
        let text = ErrorChain(&error).to_string();
        assert!(!text.contains("the-secret"), "{text}");
    }

    #[rstest::rstest]
    #[case("Bearer abc", Some("abc"))]
    #[case("bearer  abc", Some("abc"))]
    #[case("Basic abc", None)]
    #[case("Bearer ", None)]
    #[case("abc", None)]
    fn the_token_follows_its_scheme(#[case] authorization: &str, #[case] token: Option<&str>) {
        assert_eq!(bearer(authorization), token);
    }
}
