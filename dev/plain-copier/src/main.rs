//! The limit of an exporter's job: copies a file block by block, and computes the SHA-256 of the passing bytes. It keeps
//! nothing, checks nothing and resumes nothing; block hashes are not chained, so that blocks need no order.
//!
//! Takes the same calls as `rclone rcd`: `POST /operations/copyurl` with `{"fs", "remote", "url"}`.

use std::sync::Arc;

use anyhow::{Context as _, ensure};
use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::post;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use futures::{StreamExt as _, TryStreamExt as _};
use reqwest::header::{CONTENT_LENGTH, CONTENT_RANGE, RANGE};
use reqwest::{Body, Client};
use serde::Deserialize;
use sha2::{Digest as _, Sha256};
use tokio::net::TcpListener;

/// Like the defaults of the exporter.
const BLOCK: u64 = 6 << 20;
const BLOCKS_AT_ONCE: usize = 4;
const STORAGE_VERSION: &str = "2021-12-02";

/// Where files are written: the account's address and the query of its signature.
struct Copier {
    client: Client,
    account: String,
    signature: String,
}

/// One file to be copied.
#[derive(Deserialize)]
struct Call {
    /// `bench:<container>`
    fs: String,
    remote: String,
    url: String,
}

#[expect(clippy::disallowed_methods, reason = "a program of its own")]
fn variable(name: &str) -> anyhow::Result<String> {
    std::env::var(name).with_context(|| format!("{name} is not set"))
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let port: u16 = variable("FUNCTIONS_CUSTOMHANDLER_PORT")?.parse()?;
    let url = variable("BLOB_ACCOUNT_URL")?;
    let (account, signature) = url
        .split_once('?')
        .context("BLOB_ACCOUNT_URL has no signature")?;
    let copier = Arc::new(Copier {
        client: Client::builder().http1_only().build()?,
        account: account.to_owned(),
        signature: signature.to_owned(),
    });
    let routes = Router::new()
        .route("/rc/noop", post(|| async { "{}" }))
        .route("/operations/copyurl", post(copy))
        .with_state(copier);
    let listener = TcpListener::bind(("127.0.0.1", port)).await?;
    axum::serve(listener, routes).await?;
    Ok(())
}

async fn copy(State(copier): State<Arc<Copier>>, call: axum::Json<Call>) -> (StatusCode, String) {
    match copier.copy(&call).await {
        Ok(()) => (StatusCode::OK, "{}".to_owned()),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, format!("{error:#}")),
    }
}

impl Copier {
    async fn copy(&self, call: &Call) -> anyhow::Result<()> {
        let container = call.fs.trim_start_matches("bench:");
        let blob = format!(
            "{}/{container}/{}?{}",
            self.account, call.remote, self.signature
        );
        let size_bytes = self.size_of(&call.url).await?;
        let offsets = (0..size_bytes).step_by(usize::try_from(BLOCK)?);
        let blocks: Vec<String> = futures::stream::iter(offsets)
            .map(|from| self.block(&call.url, &blob, from..(from + BLOCK).min(size_bytes)))
            .buffered(BLOCKS_AT_ONCE)
            .try_collect()
            .await?;
        let list: String = blocks
            .iter()
            .flat_map(|id| ["<Latest>", id, "</Latest>"])
            .collect();
        let list = format!("<?xml version=\"1.0\"?><BlockList>{list}</BlockList>");
        self.put(format!("{blob}&comp=blocklist"), list.len() as u64, list)
            .await
    }

    /// The total that the answer to a request for the first byte states.
    async fn size_of(&self, url: &str) -> anyhow::Result<u64> {
        let asking = self.client.get(url).header(RANGE, "bytes=0-0").send();
        let answer = asking.await?.error_for_status()?;
        let range = answer
            .headers()
            .get(CONTENT_RANGE)
            .context("no Content-Range")?;
        let total = range.to_str()?.rsplit('/').next();
        Ok(total.context("no total")?.parse()?)
    }

    /// Copies a range as one block, piece by piece. Returns the block's id.
    async fn block(
        &self,
        url: &str,
        blob: &str,
        range: std::ops::Range<u64>,
    ) -> anyhow::Result<String> {
        let id = BASE64_STANDARD.encode(format!("{:012}", range.start));
        let bytes = format!("bytes={}-{}", range.start, range.end - 1);
        let reading = self.client.get(url).header(RANGE, bytes).send();
        let answer = reading.await?.error_for_status()?;
        let mut digest = Sha256::new();
        let pieces = answer
            .bytes_stream()
            .inspect_ok(move |piece| digest.update(piece));
        let target = format!("{blob}&comp=block&blockid={}", id.replace('=', "%3D"));
        self.put(target, range.end - range.start, Body::wrap_stream(pieces))
            .await?;
        Ok(id)
    }

    async fn put(&self, url: String, size_bytes: u64, body: impl Into<Body>) -> anyhow::Result<()> {
        let request = self.client.put(url).header("x-ms-version", STORAGE_VERSION);
        let sent = request.header(CONTENT_LENGTH, size_bytes).body(body).send();
        let status = sent.await?.status();
        ensure!(
            status == StatusCode::CREATED,
            "the storage answered {status}"
        );
        Ok(())
    }
}
