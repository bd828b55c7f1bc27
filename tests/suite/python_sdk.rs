//! The official Python SDK, unmodified, runs every recording operation against our simulator.

use std::net::{Ipv4Addr, SocketAddr};
use std::process::Command;

use acs_simulator::{Options, Simulator};

#[tokio::test]
async fn the_official_python_sdk_runs_every_recording_operation_against_the_simulator() {
    #[expect(clippy::disallowed_methods, reason = "how xtask tells the tests")]
    let python = std::env::var("TEST_PYTHON")
        .expect("TEST_PYTHON is not set: run the tests by `cargo xtask test`");
    let options = Options {
        https: Some(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))),
        content_base: Some("https://us-storage.asm.skype.com".to_owned()),
        ..Options::default()
    };
    let simulator = Simulator::start(options).await.expect("ports are free");
    let ca_file = tempfile::NamedTempFile::new().expect("there is room for temporary files");
    std::fs::write(
        ca_file.path(),
        simulator.ca_pem().expect("the TLS door has a CA"),
    )
    .expect("the file is ours");
    let endpoint = simulator.https_url().expect("the TLS door is open");
    let mut command = Command::new(python);
    command
        .arg(concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/tests/python-sdk/recording_operations.py"
        ))
        .args([&endpoint, Options::ACCESS_KEY])
        .arg(ca_file.path())
        .arg(simulator.http_url());
    let output = tokio::task::spawn_blocking(move || command.output())
        .await
        .expect("it does not panic")
        .expect("Python runs");
    let printed = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success(),
        "{printed}\n{}",
        String::from_utf8_lossy(&output.stderr)
    );
    assert_eq!(
        printed
            .lines()
            .filter(|line| line.starts_with("ok: "))
            .count(),
        22,
        "{printed}"
    );
}
