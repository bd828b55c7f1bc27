//! `functions-host --script-root dist`: what `func start --script-root dist` does, as far as a custom handler can tell.

mod simulator;

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{ArgGroup, Parser};
use functions_host::{Console, Generation, Host, Keys, Options};
use tokio::signal::unix::{SignalKind, signal};

/// A stand-in for `func start`, for custom handlers.
#[derive(Parser)]
#[command(version, about, group = ArgGroup::new("generation"))]
struct Arguments {
    /// The directory with host.json and the function folders
    #[arg(long, default_value = ".")]
    script_root: PathBuf,
    #[arg(long, default_value_t = 7071)]
    port: u16,
    /// The ACS simulator: subscribe the first Event Grid function to its events, and add its content host to
    /// `ACS_CONTENT_HOSTS`
    #[arg(long, value_name = "URL")]
    acs: Option<String>,
    /// Simulate today's host, which proxies HTTP requests (the default)
    #[arg(long, group = "generation")]
    proxying: bool,
    /// Simulate a host from before 2025, which forwards HTTP requests
    #[arg(long, group = "generation")]
    forwarding: bool,
    /// The host key: ask for keys, and accept this one for every function
    #[arg(long, value_name = "KEY")]
    enable_auth: Option<String>,
    /// A key of one function
    #[arg(long, value_name = "FUNCTION=KEY", value_parser = function_key)]
    function_key: Vec<(String, String)>,
    /// The system key, which opens the Event Grid webhook
    #[arg(long, value_name = "KEY")]
    system_key: Option<String>,
    /// The master key, which opens everything
    #[arg(long, value_name = "KEY")]
    master_key: Option<String>,
}

fn function_key(text: &str) -> Result<(String, String), String> {
    let (function, key) = text
        .split_once('=')
        .ok_or("expected a function's name, `=`, and its key")?;
    Ok((function.to_owned(), key.to_owned()))
}

impl Arguments {
    fn options(self) -> Options {
        let mut environment: BTreeMap<String, String> = std::env::vars().collect();
        if let Some(acs) = &self.acs {
            simulator::admit(&mut environment, &self.script_root, acs);
        }
        Options {
            address: SocketAddr::from((Ipv4Addr::LOCALHOST, self.port)),
            environment,
            keys: Keys {
                host: self.enable_auth,
                system: self.system_key,
                master: self.master_key,
                functions: self.function_key.into_iter().collect(),
            },
            generation: match (self.proxying, self.forwarding) {
                (false, true) => Generation::Forwarding,
                (true, _) | (false, false) => Generation::Proxying,
            },
            state_dir: Some(state_dir(&self.script_root)),
            console: Console::new(|line| println!("{line}")),
            ..Options::new(self.script_root)
        }
    }
}

/// One folder for each script root, outside of it.
fn state_dir(script_root: &Path) -> PathBuf {
    let mut hasher = DefaultHasher::new();
    let root = script_root.canonicalize();
    root.unwrap_or_else(|_| script_root.to_owned())
        .hash(&mut hasher);
    std::env::temp_dir().join(format!("functions-host-{:016x}", hasher.finish()))
}

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let acs = arguments.acs.clone();
    let mut host = match Host::start(arguments.options()).await {
        Ok(host) => host,
        Err(error) => {
            eprintln!("{error:#}");
            return ExitCode::FAILURE;
        }
    };
    let subscription = acs.map(|acs| simulator::subscribe(&host, acs));
    let subscribing = subscription.map(tokio::spawn);
    let exit = tokio::select! {
        reason = host.stopped() => {
            eprintln!("{reason}");
            ExitCode::FAILURE
        }
        () = stop_signal() => ExitCode::SUCCESS,
    };
    if let Some(subscribing) = subscribing {
        subscribing.abort();
    }
    host.stop().await;
    exit
}

async fn stop_signal() {
    let mut terminate = signal(SignalKind::terminate()).expect("a signal can be waited for");
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        _ = terminate.recv() => {}
    }
}
