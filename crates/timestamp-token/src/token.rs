//! Parses a token: what was stamped, and who signed it. <https://www.rfc-editor.org/rfc/rfc3161#section-2.4.2>

use cms::cert::CertificateChoices;
use cms::signed_data::{SignedData, SignerIdentifier, SignerInfo};
use const_oid::ObjectIdentifier;
use der::asn1::{Int, OctetString};
use der::{Any, AnyRef, Decode as _, Encode as _, Sequence};
use spki::AlgorithmIdentifierOwned;
use x509_cert::Certificate;
use x509_cert::ext::pkix::SubjectKeyIdentifier;
use x509_tsp::TstInfo;

use crate::signature::{self, SHA_256};
use crate::{TokenError, content_info};

const SIGNED_DATA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.7.2");
const TST_INFO: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.16.1.4");
const CONTENT_TYPE: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.3");
const MESSAGE_DIGEST: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.4");
const SIGNING_CERTIFICATE: ObjectIdentifier =
    ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.16.2.12");
const SIGNING_CERTIFICATE_V2: ObjectIdentifier =
    ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.16.2.47");

/// A token.
pub struct Token {
    pub info: TstInfo,
    /// In the order of the token.
    pub certificates: Vec<Certificate>,
    /// What is signed, byte for byte.
    content: Vec<u8>,
    signer: SignerInfo,
}

/// RFC 5035 §3: the certificate that the signer means. Only the hash matters here.
#[derive(Sequence)]
struct SigningCertificateV2 {
    certs: Vec<EssCertIdV2>,
    #[asn1(optional = "true")]
    policies: Option<Any>,
}

#[derive(Sequence)]
struct EssCertIdV2 {
    /// SHA-256 where it is missing.
    #[asn1(optional = "true")]
    hash_algorithm: Option<AlgorithmIdentifierOwned>,
    cert_hash: OctetString,
    #[asn1(optional = "true")]
    issuer_serial: Option<Any>,
}

/// RFC 2634 §5.4, with SHA-1.
#[derive(Sequence)]
struct SigningCertificate {
    certs: Vec<EssCertId>,
    #[asn1(optional = "true")]
    policies: Option<Any>,
}

#[derive(Sequence)]
struct EssCertId {
    cert_hash: OctetString,
    #[asn1(optional = "true")]
    issuer_serial: Option<Any>,
}

/// A number as an INTEGER of DER: without sign.
pub fn integer(number: u64) -> Int {
    let bytes = number.to_be_bytes();
    let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
    let mut digits = bytes[zeros.min(7)..].to_vec();
    if digits[0] & 0x80 != 0 {
        digits.insert(0, 0);
    }
    Int::new(&digits).expect("nine bytes fit")
}

impl Token {
    pub fn read(token: &[u8]) -> Result<Self, TokenError> {
        let unreadable = TokenError::unreadable("the token");
        let outer = content_info(token)?;
        if outer.content_type != SIGNED_DATA {
            return Err(TokenError::Wrong("is not signed data"));
        }
        let signed_data: SignedData = outer.content.decode_as().map_err(&unreadable)?;
        let inner = &signed_data.encap_content_info;
        if inner.econtent_type != TST_INFO {
            return Err(TokenError::Wrong("has no time"));
        }
        let encapsulated = inner
            .econtent
            .as_ref()
            .ok_or(TokenError::Wrong("has no content"))?;
        let octets = encapsulated
            .decode_as::<OctetString>()
            .map_err(&unreadable)?
            .into_bytes();
        let stamped = TstInfo::from_der(&octets).map_err(&unreadable)?;
        let [signer] = signed_data.signer_infos.0.as_slice() else {
            return Err(TokenError::Wrong("has not exactly one signer"));
        };
        let choices = signed_data.certificates.iter().flat_map(|set| set.0.iter());
        let certificates = choices.filter_map(|choice| match choice {
            CertificateChoices::Certificate(certificate) => Some(certificate.clone()),
            CertificateChoices::Other(_) => None,
        });
        Ok(Self {
            info: stamped,
            certificates: certificates.collect(),
            content: octets,
            signer: signer.clone(),
        })
    }

    pub fn check_imprint(&self, sha256: [u8; 32]) -> Result<(), TokenError> {
        let imprint = &self.info.message_imprint;
        if imprint.hash_algorithm.oid == SHA_256 && imprint.hashed_message.as_bytes() == sha256 {
            Ok(())
        } else {
            Err(TokenError::Wrong("stamps something else"))
        }
    }

    /// Checks the signature by the certificate in the token that the signer names, and returns that.
    pub fn check_signature(&self) -> Result<Certificate, TokenError> {
        let certificate = self
            .certificates
            .iter()
            .find(|certificate| self.names(certificate))
            .ok_or(TokenError::Wrong("has no certificate of its signer"))?;
        let attributes = self
            .signer
            .signed_attrs
            .as_ref()
            .ok_or(TokenError::Wrong("has no signed attributes"))?;
        let content_type = self.attribute(CONTENT_TYPE)?;
        if content_type.decode_as::<ObjectIdentifier>() != Ok(TST_INFO) {
            return Err(TokenError::Wrong("is signed as something else"));
        }
        let digest = signature::digest(self.signer.digest_alg.oid, &self.content)?;
        let signed = self.attribute(MESSAGE_DIGEST)?.decode_as::<OctetString>();
        if !signed.is_ok_and(|signed| signed.as_bytes() == digest) {
            return Err(TokenError::Wrong("was changed after it was signed"));
        }
        self.check_meant(certificate)?;
        // RFC 5652 §5.4: with the tag of a SET, not the one that it has in the token.
        let signed = attributes
            .to_der()
            .map_err(TokenError::unreadable("the token"))?;
        signature::Signed {
            message: &signed,
            algorithm: self.signer.signature_algorithm.oid,
            digest: self.signer.digest_alg.oid,
            signature: self.signer.signature.as_bytes(),
        }
        .check(&certificate.tbs_certificate.subject_public_key_info)?;
        Ok(certificate.clone())
    }

    fn names(&self, certificate: &Certificate) -> bool {
        let named = &certificate.tbs_certificate;
        match &self.signer.sid {
            SignerIdentifier::IssuerAndSerialNumber(signer) => {
                signer.issuer == named.issuer && signer.serial_number == named.serial_number
            }
            SignerIdentifier::SubjectKeyIdentifier(signer) => named
                .get::<SubjectKeyIdentifier>()
                .is_ok_and(|found| found.is_some_and(|(_, found)| found == *signer)),
        }
    }

    /// The signer means this certificate, and no other with the same key.
    fn check_meant(&self, certificate: &Certificate) -> Result<(), TokenError> {
        let unreadable = TokenError::unreadable("the token");
        let der = certificate.to_der().map_err(&unreadable)?;
        let (algorithm, hash) = if let Ok(meant) = self.attribute(SIGNING_CERTIFICATE_V2) {
            let meant: SigningCertificateV2 = meant.decode_as().map_err(&unreadable)?;
            let first = meant.certs.into_iter().next();
            let first = first.ok_or(TokenError::Wrong("names no certificate"))?;
            let algorithm = first.hash_algorithm.map_or(SHA_256, |found| found.oid);
            (algorithm, first.cert_hash)
        } else {
            let meant = self.attribute(SIGNING_CERTIFICATE)?;
            let meant: SigningCertificate = meant.decode_as().map_err(&unreadable)?;
            let first = meant.certs.into_iter().next();
            let first = first.ok_or(TokenError::Wrong("names no certificate"))?;
            (signature::SHA_1, first.cert_hash)
        };
        if signature::digest(algorithm, &der)? == hash.as_bytes() {
            Ok(())
        } else {
            Err(TokenError::Wrong(
                "names another certificate than its signer's",
            ))
        }
    }

    fn attribute(&self, oid: ObjectIdentifier) -> Result<AnyRef<'_>, TokenError> {
        let attributes = self.signer.signed_attrs.iter().flat_map(|set| set.iter());
        let found = attributes
            .into_iter()
            .find(|attribute| attribute.oid == oid);
        let value = found.and_then(|attribute| attribute.values.get(0));
        value
            .map(AnyRef::from)
            .ok_or(TokenError::Wrong("lacks a signed attribute"))
    }
}
