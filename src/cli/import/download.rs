//! Downloads a file over https: without a credential, from a public address, without redirects to another host. The
//! connection goes to the addresses that were checked, whatever the name resolves to later.

use std::io::Write as _;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use futures::TryStreamExt as _;
use recording_vault::address::is_public;
use recording_vault::export::source::ChunkPart;
use reqwest::redirect::{Attempt, Policy};
use reqwest::{Client, ClientBuilder, StatusCode};
use tempfile::NamedTempFile;
use url::Url;

use super::place::PlainUrl;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// A download without a byte for this long has failed.
const READ_TIMEOUT: Duration = Duration::from_mins(1);
const MOST_REDIRECTS: usize = 5;

/// Why a file is not downloaded.
#[derive(Debug, thiserror::Error)]
pub enum DownloadError {
    #[error("`{host}` has no address")]
    NoAddress {
        host: String,
        #[source]
        source: Option<std::io::Error>,
    },
    #[error("`{host}` has the address {address}, which is not public; nothing was sent there")]
    NotPublic { host: String, address: IpAddr },
    #[error("could not download the file from `{host}`")]
    Http {
        host: String,
        #[source]
        source: reqwest::Error,
    },
    #[error("`{host}` answered with HTTP {status}")]
    Status { host: String, status: StatusCode },
    #[error("the file has more than {limit_bytes} bytes")]
    TooLarge { limit_bytes: u64 },
    #[error("could not write a temporary file")]
    File(#[from] std::io::Error),
}

impl DownloadError {
    /// Whether the URL itself is the problem: no request can be sent to it.
    pub fn is_refusal(&self) -> bool {
        match self {
            Self::NotPublic { .. } => true,
            Self::NoAddress { .. }
            | Self::Http { .. }
            | Self::Status { .. }
            | Self::TooLarge { .. }
            | Self::File(_) => false,
        }
    }
}

/// Downloads a file into a temporary one, with the extension of the URL.
///
/// # Errors
/// When the address of the host is not public, or the download fails.
pub async fn download(url: &PlainUrl) -> Result<NamedTempFile, DownloadError> {
    let addresses = public_addresses(url.as_url(), url.host()).await?;
    download_from(&addresses, url, Client::builder()).await
}

/// Downloads a file from one of these addresses of its host.
///
/// # Errors
/// When the download fails.
pub async fn download_from(
    addresses: &[SocketAddr],
    url: &PlainUrl,
    builder: ClientBuilder,
) -> Result<NamedTempFile, DownloadError> {
    let host = url.host().to_owned();
    let url = url.as_url();
    let failed = |source: reqwest::Error| DownloadError::Http {
        host: host.clone(),
        // A query may be a credential.
        source: source.without_url(),
    };
    let client = builder
        .https_only(true)
        .no_proxy()
        .referer(false)
        .connect_timeout(CONNECT_TIMEOUT)
        .read_timeout(READ_TIMEOUT)
        .redirect(Policy::custom(follow_on_the_same_host))
        .resolve_to_addrs(&host, addresses)
        .build()
        .map_err(failed)?;
    let response = client.get(url.clone()).send().await.map_err(failed)?;
    let status = response.status();
    if status != StatusCode::OK {
        return Err(DownloadError::Status { host, status });
    }
    let mut file = tempfile::Builder::new()
        .prefix("recording-vault-import-")
        .suffix(&suffix_of(url))
        .tempfile()?;
    let limit_bytes = ChunkPart::Media.limit_bytes();
    let mut size_bytes = 0_u64;
    let mut pieces = response.bytes_stream();
    while let Some(piece) = pieces.try_next().await.map_err(failed)? {
        size_bytes = size_bytes.saturating_add(piece.len() as u64);
        if size_bytes > limit_bytes {
            return Err(DownloadError::TooLarge { limit_bytes });
        }
        file.write_all(&piece)?;
    }
    file.flush()?;
    Ok(file)
}

/// Resolves the host of a URL; every address has to be public.
async fn public_addresses(url: &Url, host: &str) -> Result<Vec<SocketAddr>, DownloadError> {
    let port = url.port_or_known_default().unwrap_or(443);
    // An IPv6 address in a URL has brackets.
    let name = host.trim_start_matches('[').trim_end_matches(']');
    let found = tokio::net::lookup_host((name, port)).await;
    let addresses: Vec<SocketAddr> = match found {
        Ok(addresses) => addresses.collect(),
        Err(error) => return Err(no_address(host, Some(error))),
    };
    if addresses.is_empty() {
        return Err(no_address(host, None));
    }
    match addresses.iter().find(|address| !is_public(address.ip())) {
        Some(address) => Err(DownloadError::NotPublic {
            host: host.to_owned(),
            address: address.ip(),
        }),
        None => Ok(addresses),
    }
}

fn no_address(host: &str, source: Option<std::io::Error>) -> DownloadError {
    DownloadError::NoAddress {
        host: host.to_owned(),
        source,
    }
}

fn follow_on_the_same_host(attempt: Attempt<'_>) -> reqwest::redirect::Action {
    let is_same = attempt
        .previous()
        .last()
        .is_some_and(|from| from.origin() == attempt.url().origin());
    if !is_same {
        return attempt.error("it redirects to another host");
    }
    if attempt.previous().len() > MOST_REDIRECTS {
        return attempt.error("it redirects too often");
    }
    attempt.follow()
}

/// The extension in a URL's path, which identifies the kind of media.
fn suffix_of(url: &Url) -> String {
    let ending = url.path().rsplit('.').next().unwrap_or_default();
    let is_plain =
        (1..=4).contains(&ending.len()) && ending.bytes().all(|byte| byte.is_ascii_alphanumeric());
    if is_plain && url.path().contains('.') {
        format!(".{ending}")
    } else {
        String::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[rstest::rstest]
    #[case("https://127.0.0.1/a.wav")]
    #[case("https://localhost/a.wav")]
    #[case("https://[::1]/a.wav")]
    #[case("https://[::ffff:10.0.0.1]/a.wav")]
    #[case("https://169.254.169.254/metadata/identity")]
    #[case("https://168.63.129.16/a.wav")]
    #[case("https://2130706433/a.wav")]
    #[tokio::test]
    async fn an_address_that_is_not_public_is_refused_before_anything_is_sent(#[case] url: &str) {
        let refused = download(&url.parse().unwrap()).await;
        assert!(
            matches!(refused, Err(DownloadError::NotPublic { .. })),
            "{refused:?}"
        );
    }

    #[rstest::rstest]
    #[case("https://host/a.wav?sig=x", ".wav")]
    #[case("https://host/a", "")]
    #[case("https://host/a.b/c", "")]
    fn the_ending_of_the_path_is_kept(#[case] url: &str, #[case] expected: &str) {
        assert_eq!(suffix_of(&url.parse().unwrap()), expected);
    }
}
