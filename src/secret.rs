//! Secrets that callers present to us, or that we send without knowing their meaning.

use std::collections::HashMap;
use std::fmt;
use std::str::FromStr;

use percent_encoding::percent_decode_str;
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

/// A secret that is shared with authorized callers. Has no `Display`, and its `Debug` is redacted.
#[derive(Clone)]
pub struct SharedSecret([u8; 32]);

impl SharedSecret {
    pub fn new(text: &str) -> Self {
        Self(Sha256::digest(text).into())
    }

    /// Whether `given` is the secret; compares in constant time.
    pub fn is(&self, given: &str) -> bool {
        let given: [u8; 32] = Sha256::digest(given).into();
        self.0.ct_eq(&given).into()
    }
}

impl fmt::Debug for SharedSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SharedSecret(…)")
    }
}

/// Headers of requests, such as keys of a service. Has no `Display`, and its `Debug` is redacted.
#[derive(Clone, Default)]
pub struct SecretHeaders(HashMap<String, String>);

/// Error for text that is not a list of headers; does not repeat the text, because it is secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("is not a list such as name=value,name2=value2, values percent-encoded")]
pub struct InvalidHeaders;

impl SecretHeaders {
    pub fn expose(&self) -> &HashMap<String, String> {
        &self.0
    }
}

impl FromStr for SecretHeaders {
    type Err = InvalidHeaders;
    fn from_str(text: &str) -> Result<Self, InvalidHeaders> {
        let is_token = |name: &str| {
            !name.is_empty()
                && name
                    .chars()
                    .all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c))
        };
        let header = |pair: &str| {
            let (name, value) = pair.split_once('=')?;
            let value = percent_decode_str(value.trim())
                .decode_utf8()
                .ok()?
                .into_owned();
            let is_text = !value.chars().any(char::is_control);
            (is_token(name.trim()) && is_text).then(|| (name.trim().to_owned(), value))
        };
        let pairs = text.split(',').filter(|pair| !pair.trim().is_empty());
        pairs
            .map(header)
            .collect::<Option<HashMap<_, _>>>()
            .map(Self)
            .ok_or(InvalidHeaders)
    }
}

impl fmt::Debug for SecretHeaders {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretHeaders(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_secret_itself_is_it_and_it_does_not_show_itself() {
        let secret = SharedSecret::new("s3cret");
        assert!(secret.is("s3cret") && !secret.is("s3cre") && !secret.is(""));
        assert_eq!(format!("{secret:?}"), "SharedSecret(…)");
    }
}
