//! Digests and signatures by their object identifiers. Others are refused.

use aws_lc_rs::digest as hash;
use aws_lc_rs::signature::{self, UnparsedPublicKey, VerificationAlgorithm};
use const_oid::ObjectIdentifier;
use spki::SubjectPublicKeyInfoOwned;

use crate::TokenError;

pub const SHA_1: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.14.3.2.26");
pub const SHA_256: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.2.1");
const SHA_384: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.2.2");
const SHA_512: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.2.3");

const RSA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");
const SHA_256_WITH_RSA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.11");
const SHA_384_WITH_RSA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.12");
const SHA_512_WITH_RSA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.13");
const ECDSA_WITH_SHA_256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.4.3.2");
const ECDSA_WITH_SHA_384: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.4.3.3");
const ECDSA_WITH_SHA_512: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.4.3.4");
const ED25519: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.101.112");

const P_256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.3.1.7");
const P_384: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.132.0.34");
const P_521: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.132.0.35");

/// A message with its signature.
pub struct Signed<'a> {
    pub message: &'a [u8],
    pub algorithm: ObjectIdentifier,
    /// For algorithms that do not name theirs.
    pub digest: ObjectIdentifier,
    pub signature: &'a [u8],
}

impl Signed<'_> {
    pub fn check(&self, key: &SubjectPublicKeyInfoOwned) -> Result<(), TokenError> {
        let curve = key.algorithm.parameters.as_ref();
        let curve = curve.and_then(|found| found.decode_as::<ObjectIdentifier>().ok());
        let algorithm = algorithm(self.algorithm, self.digest, curve).ok_or(TokenError::Wrong(
            "is signed by an algorithm that is not known",
        ))?;
        let key = key
            .subject_public_key
            .as_bytes()
            .ok_or(TokenError::Wrong("has a key that is not readable"))?;
        UnparsedPublicKey::new(algorithm, key)
            .verify(self.message, self.signature)
            .map_err(|_| TokenError::Wrong("has a signature that does not hold"))
    }
}

pub fn digest(algorithm: ObjectIdentifier, content: &[u8]) -> Result<Vec<u8>, TokenError> {
    let algorithm = match algorithm {
        SHA_1 => &hash::SHA1_FOR_LEGACY_USE_ONLY,
        SHA_256 => &hash::SHA256,
        SHA_384 => &hash::SHA384,
        SHA_512 => &hash::SHA512,
        _ => return Err(TokenError::Wrong("has a digest that is not known")),
    };
    Ok(hash::digest(algorithm, content).as_ref().to_vec())
}

fn algorithm(
    algorithm: ObjectIdentifier,
    digest: ObjectIdentifier,
    curve: Option<ObjectIdentifier>,
) -> Option<&'static dyn VerificationAlgorithm> {
    Some(match (algorithm, digest, curve) {
        (RSA, SHA_256, _) | (SHA_256_WITH_RSA, _, _) => &signature::RSA_PKCS1_2048_8192_SHA256,
        (RSA, SHA_384, _) | (SHA_384_WITH_RSA, _, _) => &signature::RSA_PKCS1_2048_8192_SHA384,
        (RSA, SHA_512, _) | (SHA_512_WITH_RSA, _, _) => &signature::RSA_PKCS1_2048_8192_SHA512,
        (ECDSA_WITH_SHA_256, _, Some(P_256)) => &signature::ECDSA_P256_SHA256_ASN1,
        (ECDSA_WITH_SHA_384, _, Some(P_256)) => &signature::ECDSA_P256_SHA384_ASN1,
        (ECDSA_WITH_SHA_256, _, Some(P_384)) => &signature::ECDSA_P384_SHA256_ASN1,
        (ECDSA_WITH_SHA_384, _, Some(P_384)) => &signature::ECDSA_P384_SHA384_ASN1,
        (ECDSA_WITH_SHA_512, _, Some(P_521)) => &signature::ECDSA_P521_SHA512_ASN1,
        (ED25519, _, _) => &signature::ED25519,
        _ => return None,
    })
}
