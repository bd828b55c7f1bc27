//! Tokens of a local authority, made by `openssl ts`.

use std::fs;
use std::path::Path;
use std::process::Command;

use tempfile::TempDir;
use timestamp_token::{TokenError, TrustAnchors, request, token_in, verify};

const SHA_256: [u8; 32] = [7; 32];
const NONCE: u64 = 0x8000_0000_0000_0001;

/// An authority: a root, and a signer that it has issued.
struct Authority {
    folder: TempDir,
}

fn openssl(folder: &Path, arguments: &str) {
    let output = Command::new("openssl")
        .args(arguments.split_whitespace())
        .current_dir(folder)
        .output()
        .expect("openssl is installed");
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "openssl {arguments}: {complaint}");
}

impl Authority {
    /// `key`: as `openssl req -newkey` takes it; `usage`: the purpose of the signer's key.
    fn new(key: &str, usage: &str) -> Self {
        let folder = tempfile::tempdir().expect("there is room for temporary files");
        let path = folder.path();
        let configuration = format!(
            "[req]\ndistinguished_name=name\n[name]\n\
             [ca]\nbasicConstraints=critical,CA:TRUE\n\
             [signer]\nextendedKeyUsage={usage}\n\
             [tsa]\ndefault_tsa=authority\n\
             [authority]\nserial=serial\nsigner_cert=signer.pem\ncerts=ca.pem\nsigner_key=signer.key\n\
             signer_digest=sha256\ndefault_policy=1.2.3.4.1\ndigests=sha256\ness_cert_id_alg=sha256\n"
        );
        fs::write(path.join("tsa.cnf"), configuration).expect("the folder is ours");
        fs::write(path.join("serial"), "01\n").expect("the folder is ours");
        openssl(
            path,
            &format!(
                "req -x509 -newkey {key} -nodes -keyout ca.key -out ca.pem -days 30 -subj /CN=Root -config tsa.cnf -extensions ca"
            ),
        );
        openssl(
            path,
            &format!(
                "req -newkey {key} -nodes -keyout signer.key -out signer.csr -subj /CN=Signer -config tsa.cnf"
            ),
        );
        openssl(
            path,
            "x509 -req -in signer.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 20 -out signer.pem -extfile tsa.cnf -extensions signer",
        );
        Self { folder }
    }

    fn answer(&self, request: &[u8]) -> Vec<u8> {
        let path = self.folder.path();
        fs::write(path.join("query.tsq"), request).expect("the folder is ours");
        openssl(
            path,
            "ts -reply -queryfile query.tsq -config tsa.cnf -out answer.tsr",
        );
        fs::read(path.join("answer.tsr")).expect("it is there")
    }

    fn token(&self) -> Vec<u8> {
        let answer = self.answer(&request(SHA_256, NONCE));
        token_in(&answer, SHA_256, NONCE).expect("it is granted")
    }

    fn anchors(&self) -> TrustAnchors {
        let pem = fs::read(self.folder.path().join("ca.pem")).expect("it is there");
        TrustAnchors::from_pem(&pem).expect("it is a certificate")
    }
}

const TIME_STAMPING: &str = "critical,timeStamping";

#[rstest::rstest]
#[case::rsa("rsa:2048")]
#[case::p256("ec -pkeyopt ec_paramgen_curve:P-256")]
#[case::p384("ec -pkeyopt ec_paramgen_curve:P-384")]
fn a_token_of_a_trusted_authority_holds_for_what_it_stamps_only(#[case] key: &str) {
    let authority = Authority::new(key, TIME_STAMPING);
    let token = authority.token();
    let at = verify(&token, SHA_256, &authority.anchors()).expect("it holds");
    let now = std::time::UNIX_EPOCH.elapsed().expect("it is later");
    assert!(now.abs_diff(at).as_secs() < 60, "{at:?}");
    let other = verify(&token, [8; 32], &authority.anchors());
    assert_eq!(other, Err(TokenError::Wrong("stamps something else")));
}

#[test]
fn a_token_of_an_authority_that_is_not_trusted_does_not_hold() {
    let (authority, other) = (
        Authority::new("rsa:2048", TIME_STAMPING),
        // It has the same names.
        Authority::new("rsa:2048", TIME_STAMPING),
    );
    let verified = verify(&authority.token(), SHA_256, &other.anchors());
    assert_eq!(verified, Err(TokenError::Untrusted));
}

#[test]
fn a_key_that_is_not_for_time_stamps_stamps_nothing() {
    let authority = Authority::new("rsa:2048", TIME_STAMPING);
    let token = authority.token();
    // Its certificate is trusted directly, and is no authority's.
    let signer = fs::read(authority.folder.path().join("ca.pem")).expect("it is there");
    assert!(
        verify(
            &token,
            SHA_256,
            &TrustAnchors::from_pem(&signer).expect("it is one")
        )
        .is_ok()
    );
    let folder = authority.folder.path();
    openssl(
        folder,
        "x509 -req -in signer.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 20 -out other.pem",
    );
    let other = fs::read(folder.join("other.pem")).expect("it is there");
    let other = TrustAnchors::from_pem(&other).expect("it is a certificate");
    assert_eq!(verify(&token, SHA_256, &other), Err(TokenError::Untrusted));
}

#[test]
fn no_changed_byte_of_a_token_goes_unseen() {
    let authority = Authority::new("ec -pkeyopt ec_paramgen_curve:P-256", TIME_STAMPING);
    let (token, anchors) = (authority.token(), authority.anchors());
    let at = verify(&token, SHA_256, &anchors).expect("it holds");
    for position in 0..token.len() {
        let mut changed = token.clone();
        changed[position] ^= 1;
        // What is not signed may change (the version of a structure): never the time.
        if let Ok(found) = verify(&changed, SHA_256, &anchors) {
            assert_eq!(found, at, "byte {position}");
        }
    }
    for length in 0..token.len() {
        assert!(verify(&token[..length], SHA_256, &anchors).is_err());
    }
}

#[test]
fn an_answer_to_another_request_and_a_refusal_are_no_tokens() {
    let authority = Authority::new("rsa:2048", TIME_STAMPING);
    let answer = authority.answer(&request(SHA_256, NONCE));
    let other = token_in(&answer, SHA_256, NONCE + 1);
    assert_eq!(other, Err(TokenError::Wrong("answers another request")));
    let other = token_in(&answer, [8; 32], NONCE);
    assert_eq!(other, Err(TokenError::Wrong("stamps something else")));
    // A SHA-1 is not among the digests that this authority takes.
    let folder = authority.folder.path();
    openssl(
        folder,
        "ts -query -digest da39a3ee5e6b4b0d3255bfef95601890afd80709 -sha1 -out query.tsq",
    );
    let query = fs::read(folder.join("query.tsq")).expect("it is there");
    let refused = token_in(&authority.answer(&query), SHA_256, NONCE);
    assert!(
        matches!(refused, Err(TokenError::Refused { .. })),
        "{refused:?}"
    );
    assert!(token_in(b"<html>", SHA_256, NONCE).is_err());
}
