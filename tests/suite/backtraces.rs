//! Backtraces are for panics: the Azure SDK makes an error for each request, and a backtrace of each is expensive.

use std::net::{TcpListener, TcpStream};
use std::process::Stdio;

use tokio::process::Command;

use crate::support::eventually;
use crate::support::world::BINARY;

/// The variables of the process in which `serve` listens.
async fn environment_of_serve(variables: &[(&str, &str)]) -> Vec<String> {
    let address = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr());
    let address = address.expect("a port is free");
    let handler = Command::new(BINARY)
        .arg("serve")
        .env_clear()
        .env("ACS_ENDPOINT", "https://contoso.communication.azure.com")
        .env("VAULT_URL", "file:///tmp/never-written")
        .env("FUNCTIONS_CUSTOMHANDLER_PORT", address.port().to_string())
        .envs(variables.iter().copied())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .expect("the binary runs");
    eventually("it listens", async || TcpStream::connect(address).ok()).await;
    let process_id = handler.id().expect("it has not ended");
    let environment = std::fs::read(format!("/proc/{process_id}/environ"));
    let environment = String::from_utf8(environment.expect("it runs")).expect("it is text");
    environment.split('\0').map(str::to_owned).collect()
}

fn has(environment: &[String], variable: &str) -> bool {
    environment.iter().any(|found| found == variable)
}

#[rstest::rstest]
#[case("1")]
#[case("full")]
#[tokio::test]
async fn errors_take_no_backtrace_where_panics_take_one(#[case] asked: &str) {
    let environment = environment_of_serve(&[("RUST_BACKTRACE", asked)]).await;
    assert!(has(&environment, "RUST_LIB_BACKTRACE=0"), "{environment:?}");
    let of_panics = format!("RUST_BACKTRACE={asked}");
    assert!(has(&environment, &of_panics), "{environment:?}");
}

#[rstest::rstest]
#[case(&[])]
#[case(&[("RUST_BACKTRACE", "0")])]
#[case(&[("RUST_BACKTRACE", "1"), ("RUST_LIB_BACKTRACE", "1")])]
#[tokio::test]
async fn an_environment_that_decided_is_left_as_it_is(#[case] variables: &[(&str, &str)]) {
    let environment = environment_of_serve(variables).await;
    assert!(
        !has(&environment, "RUST_LIB_BACKTRACE=0"),
        "{environment:?}"
    );
}
