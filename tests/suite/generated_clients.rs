//! Clients that are generated from `docs/openapi.json`, one in TypeScript and one in Python, work against the handler.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::json;

use crate::support::world::World;

const KEY: &str = "key-of-a-client";
const ANNA: &str = "8:acs:29bd5ea9_00000001";

fn given(name: &str) -> PathBuf {
    #[expect(clippy::disallowed_methods, reason = "how xtask tells the tests")]
    let value = std::env::var(name);
    value
        .unwrap_or_else(|_| panic!("{name} is not set: run the tests by `cargo xtask test`"))
        .into()
}

fn top() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// A vault with one recording, whose API may change something.
async fn world() -> World {
    let world = World::with_key(Some(KEY), &[("OPERATOR_ACTIONS", "on")]).await;
    let call = json!({"participants": [ANNA], "chunks": [{"durationMs": 1000}]});
    let event = world.recording(json!({ "call": call })).await;
    world.event(&event).await;
    world.sweep().await;
    world
}

/// Runs a program that has to succeed; what it printed.
async fn run(mut command: Command) -> String {
    let shown = format!("{command:?}");
    let output = tokio::task::spawn_blocking(move || command.output());
    let output = output.await.expect("it does not panic");
    let output = output.unwrap_or_else(|error| panic!("{shown}: {error}"));
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        output.status.success(),
        "{shown}\n{printed}\n{}",
        String::from_utf8_lossy(&output.stderr)
    );
    printed
}

fn node(script: &Path) -> Command {
    let mut command = Command::new("node");
    command.arg(script);
    command
}

fn facts(printed: &str) -> usize {
    printed
        .lines()
        .filter(|line| line.starts_with("ok: "))
        .count()
}

#[tokio::test]
async fn a_client_generated_for_typescript_is_type_checked_and_works() {
    let sources = given("TEST_TYPESCRIPT_CLIENT");
    let folder = tempfile::tempdir().expect("there is room");
    let packages = sources.join("node_modules");
    for name in ["client.ts", "tsconfig.json", "package.json"] {
        std::fs::copy(sources.join(name), folder.path().join(name)).expect("it is there");
    }
    std::os::unix::fs::symlink(&packages, folder.path().join("node_modules"))
        .expect("the folder is ours");
    let mut generate = node(&packages.join("openapi-typescript/bin/cli.js"));
    generate
        .arg(top().join("docs/openapi.json"))
        .arg("--output")
        .arg(folder.path().join("api.d.ts"));
    run(generate).await;
    let mut compile = node(&packages.join("typescript/bin/tsc"));
    compile.arg("--project").arg(folder.path());
    run(compile).await;

    let world = world().await;
    let mut client = node(&folder.path().join("client.js"));
    client.arg(world.host.url()).args([KEY, ANNA]);
    let printed = run(client).await;
    assert_eq!(facts(&printed), 11, "{printed}");
}

#[tokio::test]
async fn a_client_generated_for_python_works() {
    let python = given("TEST_CLIENT_PYTHON");
    let folder = tempfile::tempdir().expect("there is room");
    let mut generate = Command::new(&python);
    generate
        .args(["-m", "openapi_python_client", "generate", "--meta", "none"])
        .arg("--path")
        .arg(top().join("docs/openapi.json"))
        .arg("--output-path")
        .arg(folder.path().join("vault_client"));
    run(generate).await;

    let world = world().await;
    let mut client = Command::new(&python);
    client
        .env("PYTHONPATH", folder.path())
        .arg(top().join("dev/generated-clients/client.py"))
        .arg(world.host.url())
        .args([KEY, ANNA]);
    let printed = run(client).await;
    assert_eq!(facts(&printed), 9, "{printed}");
}
