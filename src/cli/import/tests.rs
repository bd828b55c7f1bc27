//! Imports from a server of our own, with its own certificate authority: the whole verb but for the address of the host,
//! which is this machine's.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex};

use acs_simulator::tls::Identity;
use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, Uri, header};
use axum::response::{IntoResponse as _, Response};
use clap::Parser;
use recording_vault::config::Config;
use recording_vault::error_chain::ErrorChain;
use reqwest::{Certificate, Client};
use tokio::net::TcpListener;

use super::download::{DownloadError, download_from};
use super::{Attempt, Files, Import, ImportReport, Local, ReportedOutcome};

/// A host whose name the certificate has. Content of ACS has such names: its credentials must not be sent there either.
const HOST: &str = "us-storage.asm.skype.com";
const OTHER_HOST: &str = "eu-storage.asm.skype.com";
/// All that a request without a credential has.
const PLAIN_HEADERS: [&str; 2] = ["accept", "host"];

/// Paths with their headers, in the order of the requests.
type Requests = Arc<Mutex<Vec<(String, HeaderMap)>>>;

/// The server of a test, and what it was asked for.
struct Server {
    address: SocketAddr,
    authority: Certificate,
    requests: Requests,
}

impl Server {
    async fn start() -> Self {
        let identity = Identity::generate("import").unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let requests = Requests::default();
        let router = Router::new()
            .fallback(answer)
            .with_state((Arc::clone(&requests), address.port()));
        let listener = identity.listen(listener).unwrap();
        tokio::spawn(axum::serve(listener, router).into_future());
        Self {
            address,
            authority: Certificate::from_pem(identity.ca_pem.as_bytes()).unwrap(),
            requests,
        }
    }

    fn url(&self, path: &str) -> String {
        format!("https://{HOST}:{}{path}", self.address.port())
    }

    /// Downloads a URL of the server as the verb does, but for the look at whether the address is public.
    async fn download(&self, path: &str) -> Result<Files, DownloadError> {
        let url = self.url(path).parse().unwrap();
        let builder = Client::builder()
            .tls_certs_only([self.authority.clone()])
            .resolve_to_addrs(OTHER_HOST, &[self.address]);
        let media = download_from(&[self.address], &url, builder).await?;
        Ok(Files {
            media: Local::Downloaded(media),
            metadata: None,
        })
    }

    /// The paths that were asked for; none of the requests had a credential.
    fn requested(&self) -> Vec<String> {
        let requests = self.requests.lock().unwrap();
        let checked = requests.iter().map(|(path, headers)| {
            let names: Vec<&str> = headers.keys().map(header::HeaderName::as_str).collect();
            let is_plain = |name: &&str| PLAIN_HEADERS.contains(name);
            assert!(names.iter().all(is_plain), "{path}: {headers:?}");
            path.clone()
        });
        checked.collect()
    }
}

async fn answer(
    State((requests, port)): State<(Requests, u16)>,
    headers: HeaderMap,
    uri: Uri,
) -> Response {
    let path = uri.path().to_owned();
    requests.lock().unwrap().push((uri.to_string(), headers));
    let redirect = |to: String| (StatusCode::FOUND, [(header::LOCATION, to)]).into_response();
    match path.as_str() {
        "/call.wav" => recording().into_response(),
        "/moved.wav" => redirect("/call.wav?part=1".to_owned()),
        "/moved-with-host.wav" => redirect(format!("https://{HOST}:{port}/call.wav")),
        "/elsewhere.wav" => redirect(format!("https://{OTHER_HOST}:{port}/call.wav")),
        "/plain.wav" => redirect(format!("http://{HOST}:{port}/call.wav")),
        "/other-port.wav" => redirect(format!("https://{HOST}:1/call.wav")),
        "/endless.wav" => redirect("/endless.wav".to_owned()),
        _ => StatusCode::NOT_FOUND.into_response(),
    }
}

/// A WAV of a tenth of a second.
fn recording() -> Vec<u8> {
    let samples: Vec<u8> = (0_u16..1600)
        .flat_map(|at| (at.wrapping_mul(97) % 2000).to_le_bytes())
        .collect();
    let length = |bytes: usize| u32::try_from(bytes).unwrap().to_le_bytes();
    let mut wav = b"RIFF".to_vec();
    wav.extend(length(36 + samples.len()));
    wav.extend(b"WAVEfmt \x10\0\0\0\x01\0\x01\0");
    wav.extend(16_000_u32.to_le_bytes());
    wav.extend(32_000_u32.to_le_bytes());
    wav.extend(b"\x02\0\x10\0data");
    wav.extend(length(samples.len()));
    wav.extend(samples);
    wav
}

#[derive(Parser)]
struct Words {
    #[command(flatten)]
    import: Import,
}

/// Settings of a vault in a folder.
fn config(folder: &Path) -> Config {
    let vault = format!("file://{}", folder.join("vault").display());
    let settings = [
        ("ACS_ENDPOINT", "https://contoso.communication.azure.com"),
        ("ACS_ACCESS_KEY", "c2VjcmV0"),
        ("VAULT_URL", vault.as_str()),
    ];
    let settings = settings.map(|(name, value)| (name.to_owned(), value.to_owned()));
    Config::read(settings).unwrap()
}

/// Imports what was downloaded as a recording that no event announced, into a vault in a folder.
async fn imported(folder: &Path, url: &str, files: Files) -> ImportReport {
    let words = ["import", url, "--recording", "forgotten", "--call", "c"];
    let Words { import } = Words::try_parse_from(words).unwrap();
    match import.import(config(folder), files).await.unwrap() {
        Attempt::Carried(report) => report,
        Attempt::Refused(problem) => panic!("{problem}"),
    }
}

#[rstest::rstest]
#[case::at_once("/call.wav?sig=secret", &["/call.wav?sig=secret"])]
#[case::after_a_redirect("/moved.wav", &["/moved.wav", "/call.wav?part=1"])]
#[case::after_one_with_the_host("/moved-with-host.wav", &["/moved-with-host.wav", "/call.wav"])]
#[tokio::test]
async fn a_recording_is_imported_from_a_url_without_a_credential(
    #[case] path: &str,
    #[case] requested: &[&str],
) {
    let (server, folder) = (Server::start().await, tempfile::tempdir().unwrap());
    let downloaded = server.download(path).await.unwrap();
    let report = imported(folder.path(), &server.url(path), downloaded).await;
    let ReportedOutcome::Imported { size_bytes, .. } = report.outcome else {
        panic!("{report:?}")
    };
    assert_eq!(size_bytes, recording().len() as u64);
    let files = files(folder.path());
    let is_copy =
        |(name, content): &&(String, Vec<u8>)| name.ends_with(".wav") && *content == recording();
    assert!(files.iter().any(|file| is_copy(&file)), "{files:?}");
    let names_secret = |content: &[u8]| String::from_utf8_lossy(content).contains("secret");
    assert!(!files.iter().any(|(_, content)| names_secret(content)));
    assert_eq!(server.requested(), requested);
}

#[rstest::rstest]
#[case("/elsewhere.wav", "it redirects to another host")]
#[case("/plain.wav", "it redirects to another host")]
#[case("/other-port.wav", "it redirects to another host")]
#[case("/endless.wav", "it redirects too often")]
#[tokio::test]
async fn a_redirect_to_another_host_is_not_followed(#[case] path: &str, #[case] reason: &str) {
    let server = Server::start().await;
    let error = server.download(path).await.err().expect("it is refused");
    let chain = ErrorChain(&error).to_string();
    assert!(chain.contains(reason), "{chain}");
    let requested = server.requested();
    assert!(requested.iter().all(|asked| asked == path), "{requested:?}");
}

#[tokio::test]
async fn an_answer_that_is_no_file_and_an_unknown_authority_give_nothing_to_import() {
    let server = Server::start().await;
    let missing = server.download("/nothing.wav").await;
    assert!(matches!(
        missing.err(),
        Some(DownloadError::Status {
            status: StatusCode::NOT_FOUND,
            ..
        })
    ));
    let stranger = Server {
        authority: Server::start().await.authority,
        requests: Requests::default(),
        ..server
    };
    let untrusted = stranger.download("/call.wav").await;
    assert!(matches!(untrusted.err(), Some(DownloadError::Http { .. })));
}

/// All files below a folder, with their contents.
fn files(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            let content = std::fs::read(&path).unwrap();
            found.push((path.display().to_string(), content));
        }
    }
    found
}

#[tokio::test]
async fn a_file_that_was_downloaded_is_named_by_its_url_and_not_by_its_temporary_file() {
    let (server, folder) = (Server::start().await, tempfile::tempdir().unwrap());
    let Files { media, .. } = server.download("/call.wav").await.unwrap();
    let Files { media: other, .. } = server.download("/call.wav").await.unwrap();
    let (media_url, metadata_url) = (server.url("/call.wav"), server.url("/acs.json?sig=secret"));
    let words = ["import", &media_url, "--document", "d"];
    let metadata = ["--metadata", &metadata_url];
    let words = words.into_iter().chain(metadata);
    let Words { import } = Words::try_parse_from(words).unwrap();
    let files = Files {
        media,
        metadata: Some(other),
    };
    match import.import(config(folder.path()), files).await.unwrap() {
        Attempt::Carried(report) => panic!("{report:?}"),
        Attempt::Refused(problem) => {
            let named = format!("`{}` is not a metadata file", server.url("/acs.json"));
            assert!(problem.starts_with(&named), "{problem}");
            assert!(!problem.contains("secret"), "{problem}");
        }
    }
}
