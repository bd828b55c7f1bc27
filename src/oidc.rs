//! Bearer tokens that others send us: signature, issuer, audience and lifetime, by the sender's OpenID configuration.

use std::sync::Arc;
use std::time::Duration;

use jsonwebtoken::jwk::JwkSet;
use jsonwebtoken::{AlgorithmFamily, DecodingKey, Validation, decode, decode_header};
use serde::Deserialize;
use tokio::sync::Mutex;
use tokio::time::Instant;
use url::Url;

/// Keys are rotated over days; an unknown key is looked for sooner.
const KEYS_LAST: Duration = Duration::from_hours(6);
/// A key that is not known makes us look again, but nobody can make us look more often.
const LOOK_AGAIN_AFTER: Duration = Duration::from_secs(30);
const FETCH_TIMEOUT: Duration = Duration::from_secs(10);
/// What the clocks of two machines may be apart.
const LEEWAY: Duration = Duration::from_mins(2);
const LONGEST_DOCUMENT: usize = 256 << 10;

/// Checks tokens of one issuer for one audience.
pub struct TokenValidator {
    configuration_url: Url,
    audience: String,
    client: reqwest::Client,
    state: Mutex<KeysState>,
    /// The application that tokens have to be issued to, where any of the issuer's would be too many.
    caller: Option<String>,
}

#[derive(Default)]
struct KeysState {
    keys: Option<Arc<Keys>>,
    failed_at: Option<Instant>,
}

/// Who a token was issued to: `azp` in version 2 of Microsoft Entra's tokens, `appid` in version 1.
#[derive(Deserialize)]
struct Claims {
    azp: Option<String>,
    appid: Option<String>,
}

struct Keys {
    issuer: String,
    set: JwkSet,
    fetched_at: Instant,
}

/// Why a caller is not let in.
#[derive(Debug, thiserror::Error)]
pub enum InvalidToken {
    #[error("there is no bearer token")]
    Missing,
    #[error("the token is not valid")]
    Invalid(#[source] jsonwebtoken::errors::Error),
    #[error("the token is signed with a key that its issuer does not publish")]
    UnknownKey,
    #[error("the token was issued to another application")]
    OtherCaller,
    /// Nothing is wrong with the caller: later it may be let in.
    #[error("the issuer's keys could not be fetched")]
    NoKeys(#[source] KeysError),
}

/// Why the issuer's keys are not there.
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
}

/// The members of an OpenID configuration that matter here.
#[derive(Deserialize)]
struct Configuration {
    issuer: String,
    jwks_uri: Url,
}

impl TokenValidator {
    /// Sets up; fetches nothing before the first token comes.
    ///
    /// # Errors
    /// When the platform offers no TLS.
    pub fn new(configuration_url: Url, audience: String) -> Result<Self, reqwest::Error> {
        let client = reqwest::Client::builder()
            .timeout(FETCH_TIMEOUT)
            .redirect(reqwest::redirect::Policy::none())
            .build()?;
        Ok(Self {
            configuration_url,
            audience,
            client,
            state: Mutex::default(),
            caller: None,
        })
    }

    /// Lets in only tokens that were issued to this application.
    #[must_use]
    pub fn issued_to(self, caller: String) -> Self {
        Self {
            caller: Some(caller),
            ..self
        }
    }

    /// Checks the value of an `Authorization` header.
    ///
    /// # Errors
    /// When there is no token, when it is not right, or when the issuer's keys cannot be had.
    pub async fn validate(&self, authorization: Option<&str>) -> Result<(), InvalidToken> {
        let token = authorization
            .and_then(bearer)
            .ok_or(InvalidToken::Missing)?;
        let header = decode_header(token).map_err(InvalidToken::Invalid)?;
        let kid = header.kid.unwrap_or_default();
        let mut keys = match self.keys(KEYS_LAST).await {
            Ok(keys) => keys,
            Err(error) => self.known_keys().await.ok_or(InvalidToken::NoKeys(error))?,
        };
        if keys.set.find(&kid).is_none() {
            // It may be a new key: only an answer of the issuer tells that it is nobody's.
            keys = self
                .keys(LOOK_AGAIN_AFTER)
                .await
                .map_err(InvalidToken::NoKeys)?;
        }
        let key = keys.set.find(&kid).ok_or(InvalidToken::UnknownKey)?;
        let key = DecodingKey::from_jwk(key).map_err(InvalidToken::Invalid)?;
        // Never the symmetric family: a public key must not pass as a shared secret.
        let mut validation = Validation::new_for_family(AlgorithmFamily::Rsa);
        validation.leeway = LEEWAY.as_secs();
        validation.validate_nbf = true;
        validation.set_audience(&[&self.audience]);
        validation.set_issuer(&[&keys.issuer]);
        validation.set_required_spec_claims(&["exp", "aud", "iss"]);
        let claims = decode::<Claims>(token, &key, &validation)
            .map_err(InvalidToken::Invalid)?
            .claims;
        match (&self.caller, claims.azp.or(claims.appid)) {
            (Some(wanted), issued_to) if issued_to.as_ref() != Some(wanted) => {
                Err(InvalidToken::OtherCaller)
            }
            (Some(_) | None, _) => Ok(()),
        }
    }

    /// The issuer's keys, not older than `at_most`. One fetch at a time, and none soon after one that failed.
    async fn keys(&self, at_most: Duration) -> Result<Arc<Keys>, KeysError> {
        // Held over the fetch: whoever else needs the keys waits for the same answer.
        let mut state = self.state.lock().await;
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
        match self.fetch().await {
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

    /// Old keys are better than none.
    async fn known_keys(&self) -> Option<Arc<Keys>> {
        self.state.lock().await.keys.clone()
    }

    async fn fetch(&self) -> Result<Keys, KeysError> {
        let configuration: Configuration = self.document(self.configuration_url.clone()).await?;
        if configuration.jwks_uri.scheme() != "https"
            && !crate::net::is_loopback(&configuration.jwks_uri)
        {
            return Err(KeysError::Insecure);
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
        let mut response = response.map_err(KeysError::Fetch)?;
        let mut body = Vec::new();
        while let Some(piece) = response.chunk().await.map_err(KeysError::Fetch)? {
            if body.len() + piece.len() > LONGEST_DOCUMENT {
                return Err(KeysError::TooLong);
            }
            body.extend_from_slice(&piece);
        }
        serde_json::from_slice(&body).map_err(KeysError::Unreadable)
    }
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
