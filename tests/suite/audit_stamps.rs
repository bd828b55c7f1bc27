//! Time stamps of the audit log, by a local authority: `openssl ts` behind HTTP.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use axum::body::Bytes;
use axum::http::StatusCode;
use axum::routing::post;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::net::TcpListener;

use crate::support::world::{World, document_ids, files_by_path};

const CONFIGURATION: &str = "\
[req]
distinguished_name=name
[name]
[ca]
basicConstraints=critical,CA:TRUE
[signer]
extendedKeyUsage=critical,timeStamping
[tsa]
default_tsa=authority
[authority]
serial=serial
signer_cert=signer.pem
certs=ca.pem
signer_key=signer.key
signer_digest=sha256
default_policy=1.2.3.4.1
digests=sha256
ess_cert_id_alg=sha256
";

fn openssl(folder: &Path, arguments: &str) {
    let output = Command::new("openssl")
        .args(arguments.split_whitespace())
        .current_dir(folder)
        .output()
        .expect("openssl is installed");
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "openssl {arguments}: {complaint}");
}

/// An authority with keys of its own.
pub(crate) struct Authority {
    folder: TempDir,
    pub(crate) url: String,
}

impl Authority {
    pub(crate) async fn new() -> Self {
        let folder = tempfile::tempdir().expect("there is room for temporary files");
        let path = folder.path().to_owned();
        std::fs::write(path.join("tsa.cnf"), CONFIGURATION).expect("the folder is ours");
        std::fs::write(path.join("serial"), "01\n").expect("the folder is ours");
        for arguments in [
            "req -x509 -newkey rsa:2048 -nodes -keyout ca.key -out ca.pem -days 30 -subj /CN=Root -config tsa.cnf -extensions ca",
            "req -newkey rsa:2048 -nodes -keyout signer.key -out signer.csr -subj /CN=Signer -config tsa.cnf",
            "x509 -req -in signer.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 20 -out signer.pem -extfile tsa.cnf -extensions signer",
        ] {
            openssl(&path, arguments);
        }
        let listener = TcpListener::bind("127.0.0.1:0")
            .await
            .expect("a port is free");
        let address = listener.local_addr().expect("it is bound");
        let turn = Arc::new(tokio::sync::Mutex::new(()));
        let answer = post(move |query: Bytes| {
            let (path, turn) = (path.clone(), Arc::clone(&turn));
            async move {
                let _turn = turn.lock().await;
                std::fs::write(path.join("query.tsq"), &query).map_err(|_| StatusCode::GONE)?;
                openssl(
                    &path,
                    "ts -reply -queryfile query.tsq -config tsa.cnf -out answer.tsr",
                );
                std::fs::read(path.join("answer.tsr")).map_err(|_| StatusCode::GONE)
            }
        });
        let routes = axum::Router::new().route("/", answer);
        tokio::spawn(async move { axum::serve(listener, routes).await });
        Self {
            folder,
            url: format!("http://{address}/"),
        }
    }

    pub(crate) fn certificate(&self) -> String {
        self.folder.path().join("ca.pem").display().to_string()
    }
}

async fn export(world: &World) -> String {
    let plan = json!({"call": {"chunks": [{"durationMs": 1000}]}});
    let event = world.recording(plan).await;
    world.event(&event).await;
    world.sweep().await;
    document_ids(&event)[0].clone()
}

fn verify(world: &World, arguments: &[&str]) -> (Option<i32>, Value) {
    let output = Command::new(env!("CARGO_BIN_EXE_recording-vault"))
        .args(["audit", "verify", "--json"])
        .args(arguments)
        .envs(world.settings())
        .output()
        .expect("the binary runs");
    let text = String::from_utf8_lossy(&output.stdout);
    let report = serde_json::from_str(&text)
        .unwrap_or_else(|_| panic!("{text}\n{}", String::from_utf8_lossy(&output.stderr)));
    (output.status.code(), report)
}

#[tokio::test]
async fn a_stamp_says_when_a_checkpoint_existed_and_one_of_a_rewritten_log_does_not_hold() {
    let authority = Authority::new().await;
    let world = World::with(&[("TIMESTAMP_URL", &authority.url)]).await;
    export(&world).await;
    // The first checkpoint is there now; the next sweep has it stamped.
    export(&world).await;
    export(&world).await;
    let audit = world.vault.with_file_name("vault-ledger").join("audit");
    let stamps: Vec<String> = files_by_path(&audit.join("timestamps"))
        .into_keys()
        .collect();
    let [stamp] = stamps.as_slice() else {
        panic!("one stamp a day, and not {stamps:?}");
    };
    assert!(stamp.ends_with("-000000000001.tst"), "{stamp}");

    let (code, report) = verify(&world, &[]);
    assert_eq!(
        (code, &report["stamps"]["notChecked"]),
        (Some(1), &json!(1)),
        "{report}"
    );
    let certificate = authority.certificate();
    let trust = ["--timestamp-ca", certificate.as_str()];
    let (code, report) = verify(&world, &trust);
    assert_eq!(
        (code, &report["stamps"]["hold"]),
        (Some(0), &json!(1)),
        "{report}"
    );
    assert_eq!(report["stamps"]["newest"]["checkpoint"]["number"], 1);
    // What any tool needs lies in the two files.
    let first = audit.join("checkpoints/000000000001.json");
    let stamp = audit.join("timestamps").join(stamp);
    let (token, data) = (stamp.display(), first.display());
    openssl(
        &audit,
        &format!("ts -verify -token_in -in {token} -data {data} -CAfile {certificate}"),
    );

    let other = Authority::new().await;
    let (code, report) = verify(&world, &["--timestamp-ca", &other.certificate()]);
    assert_eq!(code, Some(2), "another authority's certificate: {report}");

    let edited = std::fs::read_to_string(&first).expect("it is there");
    std::fs::write(&first, edited.replace("\"open\"", "\"closed\"")).expect("the folder is ours");
    let (code, report) = verify(&world, &trust);
    let problems = report["problems"].to_string();
    assert!(
        code == Some(2) && problems.contains("stamps something else"),
        "{problems}"
    );
}

#[tokio::test]
async fn a_stamp_that_was_removed_or_renamed_to_another_day_is_found() {
    let authority = Authority::new().await;
    let world = World::with(&[("TIMESTAMP_URL", &authority.url)]).await;
    for _ in 0..3 {
        export(&world).await;
    }
    let folder = world
        .vault
        .with_file_name("vault-ledger")
        .join("audit/timestamps");
    let name = files_by_path(&folder).into_keys().next();
    let name = name.expect("there is a stamp");
    let certificate = authority.certificate();
    let trust = ["--timestamp-ca", certificate.as_str()];
    assert_eq!(verify(&world, &trust).0, Some(0), "as it was");

    // A sweep names the newest stamp, so a copy under another name does not replace it.
    let renamed = "20260101-000000000001.tst";
    std::fs::copy(folder.join(&name), folder.join(renamed)).expect("the folder is ours");
    let (code, report) = verify(&world, &trust);
    let problems = report["problems"].to_string();
    assert!(
        code == Some(2) && problems.contains("and its name says 2026-01-01"),
        "{problems}"
    );

    std::fs::remove_dir_all(&folder).expect("the folder is ours");
    for arguments in [&trust[..], &[]] {
        let (code, report) = verify(&world, arguments);
        let problems = report["problems"].to_string();
        assert!(
            code == Some(2) && problems.contains("which the last sweep names, is missing"),
            "{problems}"
        );
    }
}

#[tokio::test]
async fn an_authority_that_is_away_stops_no_sweep() {
    let listener = TcpListener::bind("127.0.0.1:0")
        .await
        .expect("a port is free");
    let url = format!("http://{}/", listener.local_addr().expect("it is bound"));
    drop(listener);
    let world = World::with(&[("TIMESTAMP_URL", &url)]).await;
    export(&world).await;
    export(&world).await;
    let (code, report) = verify(&world, &[]);
    assert_eq!(
        (code, &report["stamps"]["hold"]),
        (Some(0), &json!(0)),
        "{report}"
    );
    assert!(
        world
            .console()
            .contains("Could not get a timestamp for the audit log")
    );
}
