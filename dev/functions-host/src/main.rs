//! `functions-host --script-root dist`: what `func start --script-root dist` does, as far as a custom handler can tell.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use functions_host::{Console, Host, Options};

/// A stand-in for `func start`, for custom handlers.
#[derive(Parser)]
#[command(version, about)]
struct Arguments {
    /// The directory with host.json and the function folders
    #[arg(long, default_value = ".")]
    script_root: PathBuf,
    #[arg(long, default_value_t = 7071)]
    port: u16,
    /// Ask for this key (`?code=` or `x-functions-key`) where a function's authLevel wants one
    #[arg(long)]
    enable_auth: Option<String>,
}

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let options = Options {
        address: SocketAddr::from((Ipv4Addr::LOCALHOST, arguments.port)),
        function_key: arguments.enable_auth,
        console: Console::new(|line| println!("{line}")),
        ..Options::new(arguments.script_root)
    };
    let mut host = match Host::start(options).await {
        Ok(host) => host,
        Err(error) => {
            eprintln!("{error:#}");
            return ExitCode::FAILURE;
        }
    };
    tokio::select! {
        reason = host.stopped() => {
            eprintln!("{reason}");
            ExitCode::FAILURE
        }
        _ = tokio::signal::ctrl_c() => ExitCode::SUCCESS,
    }
}
