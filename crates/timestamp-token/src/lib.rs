//! Time-stamp tokens of RFC 3161: the request to an authority, its response, and the validation of a token.
//!
//! It knows no network, no clock and no file: bytes in, bytes out. Structures are read by the crates of RustCrypto; signatures
//! are checked by AWS-LC.

mod chain;
mod signature;
mod token;

use std::time::Duration;

use cms::content_info::ContentInfo;
use der::asn1::{Null, OctetString};
use der::{Any, Decode as _, Encode as _};
use spki::AlgorithmIdentifierOwned;
use x509_tsp::{MessageImprint, TimeStampReq, TimeStampResp, TspVersion};

pub use chain::TrustAnchors;

/// Why there is no token, or why it is invalid.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    #[error("{what} is not readable: {reason}")]
    Unreadable { what: &'static str, reason: String },
    #[error("the authority refused: {status}")]
    Refused { status: String },
    #[error("the token {0}")]
    Wrong(&'static str),
    #[error("no certificate of the trusted authority leads to the token's signer")]
    Untrusted,
}

impl TokenError {
    fn unreadable(what: &'static str) -> impl Fn(der::Error) -> Self {
        move |error| Self::Unreadable {
            what,
            reason: error.to_string(),
        }
    }
}

/// The request for a stamp of a SHA-256. The authority puts its certificates into the token.
///
/// # Panics
/// Never: everything in a request can be encoded.
pub fn request(sha256: [u8; 32], nonce: u64) -> Vec<u8> {
    let request = TimeStampReq {
        version: TspVersion::V1,
        message_imprint: imprint(sha256),
        req_policy: None,
        nonce: Some(token::integer(nonce)),
        cert_req: true,
        extensions: None,
    };
    request.to_der().expect("a request can be encoded")
}

/// Returns the token in an authority's response, if it stamps what was requested.
///
/// # Errors
/// When the authority refused, or its response is to another request. The signature is not checked.
pub fn token_in(answer: &[u8], sha256: [u8; 32], nonce: u64) -> Result<Vec<u8>, TokenError> {
    let answer = TimeStampResp::from_der(answer)
        .map_err(TokenError::unreadable("the authority's answer"))?;
    let Some(token) = answer.time_stamp_token else {
        let status = format!("{:?}", answer.status);
        return Err(TokenError::Refused { status });
    };
    let token = token
        .to_der()
        .map_err(TokenError::unreadable("the token"))?;
    let stamped = token::Token::read(&token)?;
    stamped.check_imprint(sha256)?;
    if stamped.info.nonce != Some(token::integer(nonce)) {
        return Err(TokenError::Wrong("answers another request"));
    }
    Ok(token)
}

/// Checks that a trusted authority has stamped a SHA-256. Returns when, as time since 1970.
///
/// # Errors
/// When the token is for another digest, its signature is invalid, or its signer is not trusted.
pub fn verify(
    token: &[u8],
    sha256: [u8; 32],
    trusted: &TrustAnchors,
) -> Result<Duration, TokenError> {
    let token = token::Token::read(token)?;
    token.check_imprint(sha256)?;
    let signer = token.check_signature()?;
    let at = token.info.gen_time.to_unix_duration();
    trusted.check(&signer, &token.certificates, at)?;
    Ok(at)
}

fn imprint(sha256: [u8; 32]) -> MessageImprint {
    MessageImprint {
        hash_algorithm: AlgorithmIdentifierOwned {
            oid: signature::SHA_256,
            parameters: Some(Any::from(Null)),
        },
        hashed_message: OctetString::new(sha256).expect("32 bytes fit"),
    }
}

fn content_info(token: &[u8]) -> Result<ContentInfo, TokenError> {
    ContentInfo::from_der(token).map_err(TokenError::unreadable("the token"))
}
