//! Authorization: HMAC-SHA256 recomputed from the request, or a bearer token. Written independently of the handler's
//! signer, so that one checks the other.

use axum::http::{HeaderMap, Method, Uri};
use base64::Engine as _;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD};
use hmac::{Hmac, KeyInit as _, Mac as _};
use jiff::Timestamp;
use jiff::fmt::rfc2822::DateTimeParser;
use sha2::{Digest as _, Sha256};

use crate::world::World;

/// How far a request's date may be off; not known of ACS, taken from App Configuration's sister scheme.
const SKEW_SECONDS: i64 = 15 * 60;

/// Why a request is refused, with the code of the control plane.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Denied {
    Missing,
    BadSignature,
    BadToken,
}

/// Checks a request's authorization.
pub fn check(
    world: &World,
    method: &Method,
    uri: &Uri,
    headers: &HeaderMap,
    body: &[u8],
) -> Result<(), Denied> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let authorization = text("authorization").ok_or(Denied::Missing)?;
    if let Some(token) = authorization.strip_prefix("Bearer ") {
        return if is_token_for_acs(world, token) {
            Ok(())
        } else {
            Err(Denied::BadToken)
        };
    }
    let parameters = authorization
        .strip_prefix("HMAC-SHA256 ")
        .ok_or(Denied::BadSignature)?;
    let (signed_headers, signature) = parameters
        .split_once("&Signature=")
        .ok_or(Denied::BadSignature)?;
    let date_header = match signed_headers.strip_prefix("SignedHeaders=") {
        Some("x-ms-date;host;x-ms-content-sha256") => "x-ms-date",
        Some("date;host;x-ms-content-sha256") => "date",
        Some(_) | None => return Err(Denied::BadSignature),
    };
    let date = text(date_header).ok_or(Denied::BadSignature)?;
    let sent_at = DateTimeParser::new()
        .parse_timestamp(date)
        .map_err(|_| Denied::BadSignature)?;
    if (Timestamp::now().as_second() - sent_at.as_second()).abs() > SKEW_SECONDS {
        return Err(Denied::BadSignature);
    }
    let content_sha256 = BASE64_STANDARD.encode(Sha256::digest(body));
    if text("x-ms-content-sha256") != Some(&content_sha256) {
        return Err(Denied::BadSignature);
    }
    let signature = BASE64_STANDARD
        .decode(signature)
        .map_err(|_| Denied::BadSignature)?;
    let path_and_query = uri.path_and_query().map_or("/", |path| path.as_str());
    // The SDKs sign the endpoint's own text, which on content hosts is not the Host header; and they differ about the
    // query of a content URL.
    let mut hosts: Vec<&str> = world.authorities.iter().map(String::as_str).collect();
    hosts.extend(text("host"));
    hosts.extend(text("x-ms-host"));
    let paths = if uri.path().starts_with("/v1/objects/") {
        vec![path_and_query, uri.path()]
    } else {
        vec![path_and_query]
    };
    let matches = paths.iter().any(|path| {
        hosts.iter().any(|host| {
            let string_to_sign = format!("{method}\n{path}\n{date};{host};{content_sha256}");
            verifies(world, string_to_sign.as_bytes(), &signature)
        })
    });
    if matches {
        Ok(())
    } else {
        Err(Denied::BadSignature)
    }
}

fn verifies(world: &World, signed: &[u8], signature: &[u8]) -> bool {
    let key = BASE64_STANDARD
        .decode(&world.options.access_key)
        .unwrap_or_default();
    let mut mac = Hmac::<Sha256>::new_from_slice(&key).expect("HMAC takes a key of any length");
    mac.update(signed);
    mac.verify_slice(signature).is_ok()
}

/// A JWT for the audience of ACS that has not expired. Its signature is not checked.
fn is_token_for_acs(world: &World, token: &str) -> bool {
    if world.options.bearer_token.as_deref() == Some(token) {
        return true;
    }
    let claims = token
        .split('.')
        .nth(1)
        .and_then(|part| BASE64_URL_SAFE_NO_PAD.decode(part).ok());
    let claims =
        claims.and_then(|claims| serde_json::from_slice::<serde_json::Value>(&claims).ok());
    claims.is_some_and(|claims| {
        let audience = claims["aud"]
            .as_str()
            .unwrap_or_default()
            .trim_end_matches('/');
        audience == "https://communication.azure.com"
            && claims["exp"]
                .as_i64()
                .is_some_and(|exp| exp > Timestamp::now().as_second())
    })
}
