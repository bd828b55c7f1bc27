//! The webhook: a CloudEvent in structured mode, signed according to Standard Webhooks. It must not know the content of
//! events.
//!
//! <https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md>

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use jiff::Timestamp;
use sha2::Sha256;
use url::Url;

use super::{CloudEvent, NotTaken};

const PREFIX: &str = "whsec_";
/// Length of a secret that the specification requires.
const KEY_BYTES: std::ops::RangeInclusive<usize> = 24..=64;
/// Standard Webhooks advises 15 to 30 s.
const DEADLINE: Duration = Duration::from_secs(15);

/// Signs events. Has no `Display`, and its `Debug` is redacted.
#[derive(Clone)]
pub struct WebhookSecret(Vec<u8>);

/// Problem of a secret. Never repeats the secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "is not `whsec_` and 24 to 64 bytes in base64; make one: echo whsec_$(openssl rand -base64 32)"
)]
pub struct InvalidSecret;

impl FromStr for WebhookSecret {
    type Err = InvalidSecret;
    fn from_str(text: &str) -> Result<Self, InvalidSecret> {
        let encoded = text.trim().strip_prefix(PREFIX).ok_or(InvalidSecret)?;
        let key = BASE64_STANDARD.decode(encoded).map_err(|_| InvalidSecret)?;
        KEY_BYTES
            .contains(&key.len())
            .then_some(Self(key))
            .ok_or(InvalidSecret)
    }
}

impl fmt::Debug for WebhookSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("WebhookSecret(…)")
    }
}

impl WebhookSecret {
    /// The value of `webhook-signature`.
    fn signature(&self, id: &str, seconds: i64, body: &str) -> String {
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.0).expect("any length is a key");
        mac.update(format!("{id}.{seconds}.{body}").as_bytes());
        format!("v1,{}", BASE64_STANDARD.encode(mac.finalize().into_bytes()))
    }
}

/// Where events are posted, and how they are signed. The URL may contain a secret of the receiver: it is never logged.
#[derive(Clone)]
pub struct WebhookConfig {
    pub url: Url,
    pub secret: WebhookSecret,
}

impl fmt::Debug for WebhookConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let origin = self.url.origin().ascii_serialization();
        f.debug_tuple("WebhookConfig").field(&origin).finish()
    }
}

/// Posts events.
pub struct Webhook {
    config: WebhookConfig,
    client: reqwest::Client,
}

impl Webhook {
    /// Sets up; sends nothing.
    ///
    /// # Errors
    /// When TLS cannot be set up.
    pub fn new(config: WebhookConfig) -> Result<Self, reqwest::Error> {
        let client = crate::http_client::builder()
            .timeout(DEADLINE)
            .redirect(reqwest::redirect::Policy::none())
            .build()?;
        Ok(Self { config, client })
    }

    /// Posts an event; done when it is answered with 2xx.
    ///
    /// # Errors
    /// When the receiver does not take it.
    pub async fn send(&self, event: &CloudEvent, now: Timestamp) -> Result<(), NotTaken> {
        let body = serde_json::to_string(event).expect("an event has string keys only");
        let seconds = now.as_second();
        let signature = self.config.secret.signature(&event.id, seconds, &body);
        let request = self
            .client
            .post(self.config.url.clone())
            .header(
                "content-type",
                "application/cloudevents+json; charset=utf-8",
            )
            .header("webhook-id", &event.id)
            .header("webhook-timestamp", seconds)
            .header("webhook-signature", signature)
            .body(body);
        let response = request
            .send()
            .await
            .map_err(|error| NotTaken::Unavailable(Box::new(error.without_url())))?;
        if response.status().is_success() {
            Ok(())
        } else {
            Err(NotTaken::Answered(response.status().as_u16()))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_is_that_of_the_specifications_libraries() {
        // The vector of the reference libraries' own tests.
        let secret: WebhookSecret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw".parse().unwrap();
        let signature = secret.signature(
            "msg_p5jXN8AQM9LWM0D4loKWxJek",
            1_614_265_330,
            r#"{"test": 2432232314}"#,
        );
        assert_eq!(signature, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[rstest::rstest]
    #[case("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")]
    #[case("whsec_c2hvcnQ=")]
    #[case("whsec_***")]
    #[case("")]
    fn another_text_is_no_secret_and_is_not_repeated(#[case] text: &str) {
        let problem = text.parse::<WebhookSecret>().unwrap_err();
        assert!(text.is_empty() || !problem.to_string().contains(text));
    }
}
