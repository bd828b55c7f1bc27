//! Timestamps of a package, checked with the certificates of their authority.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

use super::forged_log::{copy_of, list_again};
use super::{all_text, export_recordings, packed, packed_of, verify, verify_in};
use crate::audit_stamps::Authority;
use crate::support::world::World;

/// A package with a timestamp.
async fn stamped() -> (tempfile::TempDir, Authority) {
    let authority = Authority::new().await;
    let world = World::with(&[("TIMESTAMP_URL", &authority.url)]).await;
    let ids = export_recordings(&world, 3).await;
    let (package, code, problems) = packed_of(&world, &[&ids[0]]).await;
    assert_eq!((code, problems), (Some(0), Vec::new()));
    (package, authority)
}

#[tokio::test]
async fn the_script_says_what_the_newest_valid_timestamp_covers() {
    let (package, authority) = stamped().await;
    let (code, said) = verify(package.path());
    assert_eq!(code, Some(0), "{said}");
    assert!(
        said.contains("1 timestamp was not checked: set TIMESTAMP_CA"),
        "{said}"
    );

    // A relative path is relative to the caller's folder, not to the package.
    let certificate = authority.certificate();
    let certificate = Path::new(&certificate);
    let folder = certificate.parent().expect("it is in a folder");
    let script = package.path().join("verify.sh");
    let (code, said) = verify_in(folder, &script, &[("TIMESTAMP_CA", "ca.pem")]);
    assert_eq!(code, Some(0), "{said}");
    assert!(
        said.contains("1 timestamp is valid, the newest of checkpoint 1 at "),
        "{said}"
    );
    assert!(said.contains(" GMT: it covers "), "{said}");

    let another = Authority::new().await;
    let trust = [("TIMESTAMP_CA", &another.certificate()[..])];
    let (code, said) = verify_in(folder, &script, &trust);
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("is not a valid timestamp"), "{said}");

    // A timestamp of another checkpoint proves nothing of this one.
    let forged = copy_of(package.path());
    let stamps = forged.path().join("audit/timestamps");
    let stamp = super::only_file(&stamps);
    let name = stamp
        .file_name()
        .expect("it has a name")
        .to_string_lossy()
        .into_owned();
    let other = name.replace("000000000001", "000000000002");
    fs::rename(&stamp, stamps.join(other)).expect("it can be moved");
    list_again(forged.path());
    let script = forged.path().join("verify.sh");
    let (code, said) = verify_in(folder, &script, &[("TIMESTAMP_CA", "ca.pem")]);
    assert_eq!(code, Some(2), "{said}");
}

#[tokio::test]
async fn certificates_or_a_tool_that_is_missing_make_the_check_impossible_and_not_wrong() {
    let package = packed().await;
    let script = package.path().join("verify.sh");
    let no_certificate = package.path().join("index.html").display().to_string();
    for trust in ["nothing.pem", "/nothing/ca.pem", &no_certificate] {
        let (code, said) = verify_in(Path::new("/"), &script, &[("TIMESTAMP_CA", trust)]);
        assert_eq!(code, Some(1), "{trust}: {said}");
        assert!(said.contains("TIMESTAMP_CA"), "{trust}: {said}");
    }
    let tools = tempfile::tempdir().expect("there is room for temporary files");
    let names = [
        "basename",
        "cat",
        "comm",
        "cut",
        "dirname",
        "find",
        "grep",
        "join",
        "mktemp",
        "rm",
        "sed",
        "sha256sum",
        "sort",
        "tr",
        "wc",
    ];
    for name in names {
        let tool = ["/usr/bin", "/bin"].map(|folder| Path::new(folder).join(name));
        let tool = tool
            .iter()
            .find(|path| path.exists())
            .expect("coreutils are installed");
        symlink(tool, tools.path().join(name)).expect("it can be linked");
    }
    let without_openssl = |trust: &str| {
        Command::new("/bin/sh")
            .arg(&script)
            .env_clear()
            .env("PATH", tools.path())
            .env("TIMESTAMP_CA", trust)
            .output()
            .expect("there is a shell")
    };
    let output = without_openssl("");
    assert_eq!(output.status.code(), Some(0), "{}", all_text(&output));
    let output = without_openssl("ca.pem");
    assert_eq!(output.status.code(), Some(1), "{}", all_text(&output));
    assert!(
        all_text(&output).contains("openssl is required"),
        "{}",
        all_text(&output)
    );
}

#[tokio::test]
async fn a_package_without_a_timestamp_says_so() {
    let package = packed().await;
    let authority = Authority::new().await;
    let script = package.path().join("verify.sh");
    for trust in [String::new(), authority.certificate()] {
        let (code, said) = verify_in(Path::new("/"), &script, &[("TIMESTAMP_CA", &trust)]);
        assert_eq!(code, Some(0), "{said}");
        assert!(
            said.contains("No timestamp covers these records."),
            "{said}"
        );
    }
}
