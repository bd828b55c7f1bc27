//! URLs of containers and queues in a storage account: what a client may be sent to, with a SAS or an identity. Must not
//! know which setting has one, nor what is stored there.

use std::fmt;
use std::str::FromStr;

use url::{Position, Url};

use crate::address::is_loopback;

/// The URL of a container; with a SAS it is a secret.
#[derive(Clone, PartialEq, Eq)]
pub struct ContainerUrl(Url);

/// The URL of a queue; with a SAS it is a secret.
#[derive(Clone, PartialEq, Eq)]
pub struct QueueUrl(Url);

/// The service of a storage account that a URL names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StorageService {
    Blob,
    Queue,
}

/// What is wrong with the URL of a container or a queue. Never repeats the URL: it may hold a SAS.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidStorageUrl {
    #[error("is not the URL of a {}; expected {}", .0.place(), .0.expected())]
    NotAUrl(StorageService),
    #[error("names no {}; expected {}", .0.place(), .0.expected())]
    NoPlace(StorageService),
    #[error("names more than a {}; expected {}", .0.place(), .0.expected())]
    DeeperPath(StorageService),
    #[error(
        "has a name that no {} has; expected 3 to 63 lowercase letters, digits and single hyphens between them",
        .0.place()
    )]
    Name(StorageService),
    #[error("is an address of another service of the account; expected {}", .0.expected())]
    Service(StorageService),
    #[error("has a user name or password; expected a SAS, or none for the identity")]
    UserInfo,
    #[error("has a query that is no SAS (it has no `sig`); remove it, or copy the whole SAS")]
    Query,
    #[error("has a `#`; a SAS begins with `?`")]
    Fragment,
    #[error("is plain http to a host that is not this machine; use https")]
    Insecure,
    #[error("is plain http without a SAS; a managed identity's token is sent over https only")]
    TokenOverHttp,
}

impl StorageService {
    /// The label of its hosts.
    fn label(self) -> &'static str {
        match self {
            Self::Blob => "blob",
            Self::Queue => "queue",
        }
    }

    fn place(self) -> &'static str {
        match self {
            Self::Blob => "container",
            Self::Queue => "queue",
        }
    }

    fn expected(self) -> &'static str {
        match self {
            Self::Blob => "https://<account>.blob.core.windows.net/<container>",
            Self::Queue => "https://<account>.queue.core.windows.net/<queue>",
        }
    }
}

impl ContainerUrl {
    /// # Errors
    /// When there can be no such container, or a token would be sent in the clear.
    pub fn new(url: Url) -> Result<Self, InvalidStorageUrl> {
        checked(url, StorageService::Blob).map(Self)
    }

    /// The URL with its SAS, for the client only.
    pub fn expose(&self) -> &Url {
        &self.0
    }

    pub fn has_sas(&self) -> bool {
        has_sas(&self.0)
    }

    /// Whether its SAS is valid for this container only: `sr` names the resource of a service SAS; an account SAS has
    /// none.
    pub fn has_sas_of_container(&self) -> bool {
        self.0.query_pairs().any(|(name, _)| name == "sr")
    }

    /// The container beside it whose name ends with this; `None` if no container can have so long a name.
    pub fn beside(&self, suffix: &str) -> Option<Self> {
        let mut url = self.0.clone();
        let path = format!("{}{suffix}", url.path());
        path.rsplit('/').next().filter(|name| is_name(name))?;
        url.set_path(&path);
        Some(Self(url))
    }

    /// Whether requests to both go to the same host and port.
    pub fn is_on_host_of(&self, other: &Self) -> bool {
        self.0.origin() == other.0.origin()
    }

    /// What it refers to, whatever its SAS and letter case are. Ends with a slash: `calls-ledger` is not inside `calls`.
    pub fn place(&self) -> String {
        let mut place = self.0[..Position::AfterPath].to_ascii_lowercase();
        place.push('/');
        place
    }
}

impl QueueUrl {
    /// The URL with its SAS, for the client only.
    pub fn expose(&self) -> &Url {
        &self.0
    }

    /// Whether it carries a SAS, so that no identity is needed.
    pub fn has_sas(&self) -> bool {
        has_sas(&self.0)
    }

    /// The name of the queue.
    pub fn name(&self) -> &str {
        self.0.path().rsplit('/').next().unwrap_or_default()
    }
}

impl FromStr for QueueUrl {
    type Err = InvalidStorageUrl;

    fn from_str(text: &str) -> Result<Self, InvalidStorageUrl> {
        match Url::parse(text) {
            Ok(url) if matches!(url.scheme(), "https" | "http") => {
                checked(url, StorageService::Queue).map(Self)
            }
            Ok(_) | Err(_) => Err(InvalidStorageUrl::NotAUrl(StorageService::Queue)),
        }
    }
}

fn has_sas(url: &Url) -> bool {
    url.query_pairs().any(|(name, _)| name == "sig")
}

/// Services of a storage account, as the hosts of Azure name them: `<account>.blob.core.windows.net`.
const SERVICES: [&str; 6] = ["blob", "dfs", "file", "queue", "table", "web"];

/// What follows the service in the hosts of Azure's clouds.
const CLOUDS: [&str; 4] = [
    "core.windows.net",
    "storage.azure.net",
    "core.usgovcloudapi.net",
    "core.chinacloudapi.cn",
];

/// The service that a host of Azure belongs to; `None` for other hosts, such as an emulator or a custom domain.
fn service_of(host: &str) -> Option<&str> {
    let before = CLOUDS
        .iter()
        .find_map(|cloud| host.strip_suffix(cloud)?.strip_suffix('.'))?;
    let label = before.rsplit('.').next()?;
    SERVICES.contains(&label).then_some(label)
}

/// Whether a container or a queue may have this name.
/// <https://learn.microsoft.com/rest/api/storageservices/naming-and-referencing-containers--blobs--and-metadata#container-names>
fn is_name(name: &str) -> bool {
    let is_word = |word: &str| {
        !word.is_empty()
            && word
                .bytes()
                .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
    };
    (3..=63).contains(&name.len()) && name.split('-').all(is_word)
}

/// Checks a URL in the form in which it is sent.
fn checked(mut url: Url, service: StorageService) -> Result<Url, InvalidStorageUrl> {
    let path = url.path().trim_end_matches('/').to_owned();
    url.set_path(&path);
    let of_host = service_of(url.host_str().unwrap_or_default());
    if of_host.is_some_and(|label| label != service.label()) {
        return Err(InvalidStorageUrl::Service(service));
    }
    // An emulator's URL begins with the name of the account.
    let deepest = if of_host.is_some() { 1 } else { 2 };
    let segments: Vec<&str> = path.split('/').skip(1).collect();
    match segments.last() {
        None | Some(&"") => return Err(InvalidStorageUrl::NoPlace(service)),
        Some(_) if segments.len() > deepest => return Err(InvalidStorageUrl::DeeperPath(service)),
        Some(name) if !is_name(name) => return Err(InvalidStorageUrl::Name(service)),
        Some(_) => {}
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(InvalidStorageUrl::UserInfo);
    }
    if url.fragment().is_some() {
        return Err(InvalidStorageUrl::Fragment);
    }
    if url.query() == Some("") {
        url.set_query(None);
    }
    if url.query().is_some() && !has_sas(&url) {
        return Err(InvalidStorageUrl::Query);
    }
    if url.scheme() == "http" {
        if !is_loopback(&url) {
            return Err(InvalidStorageUrl::Insecure);
        }
        if !has_sas(&url) {
            return Err(InvalidStorageUrl::TokenOverHttp);
        }
    }
    Ok(url)
}

/// Writes a URL without its SAS.
fn write_redacted(url: &Url, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let sas = if has_sas(url) { "?(SAS)" } else { "" };
    let host = url.host_str().unwrap_or_default();
    write!(f, "{}://{host}{}{sas}", url.scheme(), url.path())
}

impl fmt::Debug for ContainerUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_redacted(&self.0, f)
    }
}

impl fmt::Debug for QueueUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_redacted(&self.0, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[rstest::rstest]
    #[case("nonsense", "is not the URL of a queue")]
    #[case("file:///queue", "is not the URL of a queue")]
    #[case("https://acct.queue.core.windows.net", "names no queue")]
    #[case("https://acct.queue.core.windows.net/a/b", "names more than a queue")]
    #[case(
        "https://acct.queue.core.windows.net/C_upper",
        "name that no queue has"
    )]
    #[case(
        "https://acct.blob.core.windows.net/chunks",
        "another service of the account; expected https://<account>.queue."
    )]
    #[case("https://acct.queue.core.windows.net/chunks?TOPSECRET", "no SAS")]
    #[case("http://127.0.0.1:1/acct/chunks", "without a SAS")]
    fn an_invalid_queue_url_names_the_problem_and_no_secret(
        #[case] text: &str,
        #[case] expected: &str,
    ) {
        let error = text.parse::<QueueUrl>().unwrap_err().to_string();
        assert!(
            error.contains(expected)
                && !error.contains("TOPSECRET")
                && !error.contains("container"),
            "{error}"
        );
    }

    #[test]
    fn a_queue_has_a_name_and_prints_no_sas() {
        let url = "http://127.0.0.1:1/acct/chunks?sv=1&sig=TOPSECRET";
        let url: QueueUrl = url.parse().unwrap();
        assert_eq!(url.name(), "chunks");
        assert_eq!(format!("{url:?}"), "http://127.0.0.1/acct/chunks?(SAS)");
    }
}
