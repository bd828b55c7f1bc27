//! Client for a time-stamping authority (RFC 3161) over HTTP, which attests that a digest existed at a time. It
//! receives only the digest: no credential, no header of ours. It must not know what is stamped.

use std::time::Duration;

use bytes::Bytes;
use futures::TryStreamExt as _;
use reqwest::header::CONTENT_TYPE;
use url::Url;

use crate::store::digest::Sha256Digest;

/// The longest that an authority may take to answer.
pub const TIMEOUT: Duration = Duration::from_secs(20);
/// A token with its certificates has several thousand bytes.
const ANSWER_LIMIT: usize = 256 * 1024;

/// The authority that issues stamps.
#[derive(Debug, Clone)]
pub struct TimestampAuthority {
    url: Url,
    client: reqwest::Client,
}

/// Why there is no stamp.
#[derive(Debug, thiserror::Error)]
pub enum StampError {
    #[error("the authority does not answer")]
    Http(#[source] reqwest::Error),
    #[error("the authority answered {0}")]
    Status(reqwest::StatusCode),
    #[error("the authority's answer is longer than {ANSWER_LIMIT} bytes")]
    TooLong,
    #[error(transparent)]
    Token(#[from] timestamp_token::TokenError),
}

impl TimestampAuthority {
    /// # Errors
    /// When there can be no HTTP client.
    pub fn new(url: Url) -> Result<Self, reqwest::Error> {
        // It gets a digest and no credential, and many authorities are reached over plain HTTP, through a proxy too.
        let client = reqwest::Client::builder()
            .timeout(TIMEOUT)
            .redirect(reqwest::redirect::Policy::none())
            .build()?;
        Ok(Self { url, client })
    }

    /// Has a digest stamped. Returns the token, as DER.
    ///
    /// # Errors
    /// When the authority does not respond, refuses, or stamps something else. The signature is not checked here, but
    /// where the token is used.
    pub async fn stamp(&self, sha256: Sha256Digest) -> Result<Vec<u8>, StampError> {
        let nonce: u64 = rand::random();
        let response = self
            .client
            .post(self.url.clone())
            .header(CONTENT_TYPE, "application/timestamp-query")
            .body(timestamp_token::request(sha256.to_bytes(), nonce))
            .send()
            .await
            .map_err(not_answered)?;
        if !response.status().is_success() {
            return Err(StampError::Status(response.status()));
        }
        let mut answer = Vec::new();
        let mut pieces = response.bytes_stream();
        while let Some(piece) = pieces.try_next().await.map_err(not_answered)? {
            let piece: Bytes = piece;
            if answer.len() + piece.len() > ANSWER_LIMIT {
                return Err(StampError::TooLong);
            }
            answer.extend_from_slice(&piece);
        }
        Ok(timestamp_token::token_in(
            &answer,
            sha256.to_bytes(),
            nonce,
        )?)
    }
}

/// Without the URL: its query may hold a secret.
fn not_answered(error: reqwest::Error) -> StampError {
    StampError::Http(error.without_url())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error_chain::ErrorChain;

    #[tokio::test]
    async fn an_authority_that_does_not_answer_is_reported_without_its_query() {
        let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = closed.local_addr().unwrap();
        drop(closed);
        let url = format!("http://{address}/stamp?code=the-secret").parse();
        let authority = TimestampAuthority::new(url.unwrap()).unwrap();
        let error = authority.stamp(Sha256Digest::of(b"")).await.unwrap_err();
        let text = ErrorChain(&error).to_string();
        assert!(text.contains("does not answer"), "{text}");
        assert!(!text.contains("the-secret"), "{text}");
    }
}
