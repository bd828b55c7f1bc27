//! Runs the simulator until it is stopped.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use acs_simulator::{Options, Simulator};
use clap::Parser;

/// A stand-in for ACS call recording, for development and tests.
#[derive(Parser)]
#[command(version, about)]
struct Arguments {
    /// Address of the HTTP port
    #[arg(long, default_value = "127.0.0.1:8081")]
    http: SocketAddr,
    /// Address of the HTTPS port (certificate for 127.0.0.1, localhost, *.asm.skype.com)
    #[arg(long)]
    https: Option<SocketAddr>,
    /// Write the certificate authority's certificate here (PEM)
    #[arg(long)]
    ca_file: Option<PathBuf>,
    /// The access key, base64
    #[arg(long, default_value = acs_simulator::Options::ACCESS_KEY)]
    access_key: String,
    /// What event locations begin with; the address of the HTTP port by default
    #[arg(long)]
    content_base: Option<String>,
    /// Seconds between a start and the state `active`; the real service takes about ten
    #[arg(long, default_value_t = 1.0)]
    activation_seconds: f64,
    /// Seconds between a stop and its event; the real service takes a minute or two
    #[arg(long, default_value_t = 1.0)]
    event_delay_seconds: f64,
    /// How long files are kept, in seconds
    #[arg(long, default_value_t = 86_400.0)]
    retention_seconds: f64,
    /// Multiply the delays of Event Grid's redelivery (10 s, 30 s, 1 min, …)
    #[arg(long, default_value_t = 1.0)]
    redelivery_scale: f64,
    /// Record any call on request, not only those made by `POST /admin/calls`
    #[arg(long)]
    any_call: bool,
    /// Serve content without credentials
    #[arg(long)]
    open_content: bool,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let simulator = Simulator::start(Options {
        http: arguments.http,
        https: arguments.https,
        access_key: arguments.access_key,
        content_base: arguments.content_base,
        activation: Duration::try_from_secs_f64(arguments.activation_seconds)?,
        event_delay: Duration::try_from_secs_f64(arguments.event_delay_seconds)?,
        retention: Duration::try_from_secs_f64(arguments.retention_seconds)?,
        redelivery_scale: arguments.redelivery_scale,
        any_call: arguments.any_call,
        open_content: arguments.open_content,
        ..Options::default()
    })
    .await?;
    if let (Some(path), Some(pem)) = (&arguments.ca_file, simulator.ca_pem()) {
        std::fs::write(path, pem)?;
    }
    println!("ACS simulator at {}", simulator.http_url());
    if let Some(url) = simulator.https_url() {
        println!("ACS simulator at {url}");
    }
    tokio::signal::ctrl_c().await?;
    Ok(())
}
