//! From the signer of a token to an authority that is trusted, as of the time in the token.

use std::time::Duration;

use const_oid::ObjectIdentifier;
use der::Encode as _;
use x509_cert::Certificate;
use x509_cert::ext::pkix::{BasicConstraints, ExtendedKeyUsage};

use crate::TokenError;
use crate::signature::Signed;

const TIME_STAMPING: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.3.8");
/// No authority uses a longer chain.
const LONGEST: usize = 8;

/// The certificates of authorities that are trusted.
#[derive(Debug, Clone)]
pub struct TrustAnchors(Vec<Certificate>);

impl TrustAnchors {
    /// Reads certificates in PEM, one after the other.
    ///
    /// # Errors
    /// When there is none, or one is not readable.
    pub fn from_pem(pem: &[u8]) -> Result<Self, TokenError> {
        let what = "the certificate of the trusted authority";
        let found = Certificate::load_pem_chain(pem).map_err(TokenError::unreadable(what))?;
        if found.is_empty() {
            return Err(TokenError::Unreadable {
                what,
                reason: "there is none".to_owned(),
            });
        }
        Ok(Self(found))
    }

    /// Checks that `signer` may stamp, and that its issuers lead to one that is trusted; all of them valid `at` that time.
    pub(crate) fn check(
        &self,
        signer: &Certificate,
        others: &[Certificate],
        at: Duration,
    ) -> Result<(), TokenError> {
        check_purpose(signer)?;
        let mut current = signer;
        for _ in 0..LONGEST {
            check_validity(current, at)?;
            if self.0.contains(current) {
                return Ok(());
            }
            let candidates = self.0.iter().chain(others);
            let issuer = candidates
                .filter(|candidate| {
                    candidate.tbs_certificate.subject == current.tbs_certificate.issuer
                })
                .find(|candidate| may_issue(candidate) && has_issued(candidate, current));
            current = issuer.ok_or(TokenError::Untrusted)?;
        }
        Err(TokenError::Untrusted)
    }
}

/// RFC 3161 §2.3: the key is for time stamps only, and that is critical.
fn check_purpose(signer: &Certificate) -> Result<(), TokenError> {
    let usage = signer.tbs_certificate.get::<ExtendedKeyUsage>();
    match usage.map_err(TokenError::unreadable("the signer's certificate"))? {
        Some((true, usage)) if usage.0 == [TIME_STAMPING] => Ok(()),
        Some(_) | None => Err(TokenError::Wrong(
            "is signed by a key that is not for time stamps",
        )),
    }
}

fn check_validity(certificate: &Certificate, at: Duration) -> Result<(), TokenError> {
    let validity = &certificate.tbs_certificate.validity;
    let from = validity.not_before.to_unix_duration();
    let until = validity.not_after.to_unix_duration();
    if (from..=until).contains(&at) {
        Ok(())
    } else {
        Err(TokenError::Wrong(
            "has a certificate that was not valid at its time",
        ))
    }
}

fn may_issue(certificate: &Certificate) -> bool {
    let constraints = certificate.tbs_certificate.get::<BasicConstraints>();
    constraints.is_ok_and(|found| found.is_some_and(|(_, found)| found.ca))
}

fn has_issued(issuer: &Certificate, certificate: &Certificate) -> bool {
    let Ok(message) = certificate.tbs_certificate.to_der() else {
        return false;
    };
    let Some(signature) = certificate.signature.as_bytes() else {
        return false;
    };
    let algorithm = certificate.signature_algorithm.oid;
    Signed {
        message: &message,
        algorithm,
        digest: algorithm,
        signature,
    }
    .check(&issuer.tbs_certificate.subject_public_key_info)
    .is_ok()
}
