//! Runs the sink until it is stopped.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use blob_sink::{Options, Sink};
use clap::Parser;

/// A stand-in for Azure Blob Storage at next to no cost, for benchmarks.
#[derive(Parser)]
#[command(version, about)]
struct Arguments {
    /// Address of the HTTP port
    #[arg(long, default_value = "127.0.0.1:10000")]
    http: SocketAddr,
    /// Address of the HTTPS port (certificate for 127.0.0.1 and localhost)
    #[arg(long)]
    https: Option<SocketAddr>,
    /// Write the certificate authority's certificate here (PEM)
    #[arg(long)]
    ca_file: Option<PathBuf>,
    /// Bytes of a larger block that are kept
    #[arg(long, default_value_t = 65_536)]
    keep_bytes: usize,
    /// How long every answer takes at least, in milliseconds
    #[arg(long, default_value_t = 0)]
    latency_ms: u64,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let Arguments {
        http,
        https,
        keep_bytes,
        ..
    } = arguments;
    let options = Options {
        http,
        https,
        keep_bytes,
        latency: Duration::from_millis(arguments.latency_ms),
    };
    let sink = Sink::start(options).await?;
    if let (Some(path), Some(pem)) = (&arguments.ca_file, sink.ca_pem()) {
        std::fs::write(path, pem)?;
    }
    println!("Blob sink at {}", sink.http_url());
    if let Some(url) = sink.https_url() {
        println!("Blob sink at {url}");
    }
    tokio::signal::ctrl_c().await?;
    Ok(())
}
