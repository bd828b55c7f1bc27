//! The zip that is deployed: unpacked, it runs under the host.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use deploy_package::{archive, glibc, script_root};
use functions_host::{Console, Host};
use serde_json::Value;
use tempfile::TempDir;

use crate::support::world::BINARY;

/// What `cargo xtask package` does with the release binary, done with the one that tests build.
fn zip() -> Vec<u8> {
    let folder = tempfile::tempdir().expect("there is room for temporary files");
    let dist = folder.path().join("dist");
    script_root::assemble(
        Path::new(env!("CARGO_MANIFEST_DIR")),
        Path::new(BINARY),
        &dist,
        script_root::Functions::Usual,
    )
    .expect("everything is there");
    fs::write(
        dist.join("local.settings.json"),
        r#"{"Values": {"ACS_ACCESS_KEY": "c2VjcmV0"}}"#,
    )
    .expect("it is ours");
    archive::pack(&dist).expect("everything is there")
}

fn unpacked(zip: &[u8]) -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().expect("there is room for temporary files");
    archive::unpack_into(zip, folder.path()).expect("it is a zip");
    let root = folder.path().to_owned();
    (folder, root)
}

#[tokio::test]
async fn the_unpacked_zip_runs_under_the_host_and_a_function_answers() {
    let zip = zip();
    let (_folder, root) = unpacked(&zip);

    let mode = fs::metadata(root.join("recording-vault"))
        .expect("the binary is in it")
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o755);
    assert!(
        !root.join("local.settings.json").exists(),
        "keys have no place in what is deployed"
    );
    let functions = |folder: &Path| {
        let entries = fs::read_dir(folder)
            .expect("the folder is readable")
            .map(|entry| entry.expect("it is readable"));
        let mut names: Vec<_> = entries
            .filter(|entry| entry.path().is_dir())
            .map(|entry| entry.file_name())
            .collect();
        names.sort();
        names
    };
    let mut usual = functions(&Path::new(env!("CARGO_MANIFEST_DIR")).join("functions"));
    usual.retain(|name| name != "ExportChunk");
    assert_eq!(
        functions(&root),
        usual,
        "the function of the queue is there only where it is asked for"
    );

    let state = tempfile::tempdir().expect("there is room for temporary files");
    let vault = format!("file://{}/vault", state.path().display());
    let settings = [
        ("FUNCTIONS_WORKER_RUNTIME", "custom"),
        ("AzureWebJobsStorage", "UseDevelopmentStorage=true"),
        ("ACS_ENDPOINT", "https://contoso.communication.azure.com"),
        ("ACS_ACCESS_KEY", "c2VjcmV0"),
        ("VAULT_URL", &vault),
        ("EXPORT_SWEEP_SCHEDULE", "06:00:00"),
    ];
    let options = functions_host::Options {
        environment: settings
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect(),
        console: Console::new(|_| ()),
        state_dir: Some(state.path().join("host")),
        ..functions_host::Options::new(root)
    };
    let host = Host::start(options)
        .await
        .expect("the host accepts what was in the zip");
    host.ready().await.expect("the handler starts");
    let answer = reqwest::get(format!("{}/api/openapi.json", host.url()))
        .await
        .expect("the host answers");
    assert_eq!(answer.status(), 200);
    let description: Value = answer.json().await.expect("a function answers with JSON");
    assert_eq!(description["info"]["version"], env!("CARGO_PKG_VERSION"));
}

/// The binary of a test may ask for more than the platform has; that it is *told* what it asks for is what counts here.
#[test]
fn the_binary_tells_which_glibc_it_asks_for() {
    let binary = fs::read(BINARY).expect("the binary is built");
    let any = glibc::GlibcVersion { major: 3, minor: 0 };
    let asked = glibc::check(&binary, any)
        .expect("it is a binary for the platform")
        .expect("it is linked dynamically");
    assert_eq!(
        glibc::check(&binary, glibc::CEILING).is_ok(),
        asked <= glibc::CEILING
    );
}
