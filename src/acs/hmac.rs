//! ACS's HMAC-SHA256 request signature. Pure.
//!
//! <https://learn.microsoft.com/azure/communication-services/tutorials/hmac-header-tutorial>; reproduces the vectors that
//! the official Python and JavaScript SDKs make (`tests/fixtures/hmac`).

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::{Digest as _, Sha256};

use super::credential::AccessKey;

/// Which header carries the date.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DateHeader {
    /// `x-ms-date`, since 2021-11.
    XMsDate,
    /// `Date`, the generation of 2021-04.
    Date,
}

impl DateHeader {
    pub fn name(self) -> &'static str {
        match self {
            Self::XMsDate => "x-ms-date",
            Self::Date => "date",
        }
    }
}

/// What a signature covers. Path, query and host exactly as they are sent: encoding them again breaks it.
#[derive(Debug, Clone, Copy)]
pub struct Signed<'a> {
    pub method: &'a str,
    pub path_and_query: &'a str,
    /// IMF-fixdate, GMT.
    pub date: &'a str,
    pub date_header: DateHeader,
    /// The ACS endpoint's authority, even when the request is sent to a content host.
    pub host: &'a str,
    pub content_sha256: &'a str,
}

/// Base64 of the SHA-256 of a body: the value of `x-ms-content-sha256`.
pub fn content_sha256(body: &[u8]) -> String {
    BASE64_STANDARD.encode(Sha256::digest(body))
}

impl Signed<'_> {
    fn string_to_sign(&self) -> String {
        format!(
            "{}\n{}\n{};{};{}",
            self.method, self.path_and_query, self.date, self.host, self.content_sha256
        )
    }

    /// The value of the `Authorization` header.
    pub fn authorization(&self, key: &AccessKey) -> String {
        let mut mac =
            Hmac::<Sha256>::new_from_slice(key.expose()).expect("HMAC takes a key of any length");
        mac.update(self.string_to_sign().as_bytes());
        let signature = BASE64_STANDARD.encode(mac.finalize().into_bytes());
        let date_header = self.date_header.name();
        format!(
            "HMAC-SHA256 SignedHeaders={date_header};host;x-ms-content-sha256&Signature={signature}"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;

    #[derive(Deserialize)]
    struct Vector {
        form: String,
        accesskey: String,
        method: String,
        path_and_query: String,
        host: String,
        date: String,
        body: String,
        content_sha256: String,
        string_to_sign: String,
        authorization: String,
    }

    #[test]
    fn every_vector_of_the_official_sdks_is_reproduced() {
        let vectors: Vec<Vector> =
            serde_json::from_str(include_str!("../../tests/fixtures/hmac/hmac_vectors.json"))
                .unwrap();
        assert_eq!(vectors.len(), 13);
        for vector in vectors {
            let content_sha256 = content_sha256(vector.body.as_bytes());
            assert_eq!(content_sha256, vector.content_sha256);
            let signed = Signed {
                method: &vector.method,
                path_and_query: &vector.path_and_query,
                date: &vector.date,
                date_header: if vector.form == "x-ms-date" {
                    DateHeader::XMsDate
                } else {
                    DateHeader::Date
                },
                host: &vector.host,
                content_sha256: &content_sha256,
            };
            assert_eq!(signed.string_to_sign(), vector.string_to_sign);
            assert_eq!(
                signed.authorization(&vector.accesskey.parse().unwrap()),
                vector.authorization
            );
        }
    }

    #[test]
    fn the_hash_of_an_empty_body_is_the_documented_one() {
        assert_eq!(
            content_sha256(b""),
            "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="
        );
    }
}
