//! `VAULT_URL` and `LEDGER_URL`: which storage, and how to authenticate to it.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use url::Url;

use crate::storage_url::{ContainerUrl, InvalidStorageUrl};

/// Location of a vault or a ledger.
#[derive(Clone, PartialEq, Eq)]
pub enum VaultUrl {
    /// `file:///dir`.
    Directory(PathBuf),
    /// `https://<account>.blob.core.windows.net/<container>[?SAS]`; plain http on loopback only, and with a SAS.
    Container(ContainerUrl),
}

/// Places that are not apart: what is listed in one is listed in the other, too.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Overlap {
    Same,
    Inside,
    Contains,
}

/// What is wrong with a vault URL. Never repeats the URL: it may hold a SAS.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidVaultUrl {
    #[error(
        "is not a URL ({0}); expected https://<account>.blob.core.windows.net/<container> or file:///<directory>"
    )]
    NotAUrl(url::ParseError),
    #[error("has another scheme than https or file")]
    Scheme,
    #[error(transparent)]
    Container(#[from] InvalidStorageUrl),
    #[error("has a `#`, which in the path of a directory is written %23")]
    Fragment,
    #[error("is not the path of a directory; expected file:///<absolute directory>")]
    NotADirectory,
    #[error(
        "has so long a name that no container can be named after it for the ledger; set LEDGER_URL"
    )]
    LongName,
    #[error(
        "carries a SAS for one container only, so the ledger beside it cannot be reached; set LEDGER_URL"
    )]
    ContainerSas,
}

impl VaultUrl {
    /// Whether it can be accessed only with an identity's token.
    pub fn needs_identity(&self) -> bool {
        match self {
            Self::Directory(_) => false,
            Self::Container(container) => !container.has_sas(),
        }
    }

    /// How the place is related to the other one, even with a different SAS, letter case or link.
    pub fn overlap(&self, other: &Self) -> Option<Overlap> {
        let (is_inside, contains) = match (self, other) {
            (Self::Directory(one), Self::Directory(other)) => {
                let (one, other) = (real(one), real(other));
                (one.starts_with(&other), other.starts_with(&one))
            }
            (Self::Container(one), Self::Container(other)) => {
                let (one, other) = (one.place(), other.place());
                (one.starts_with(&other), other.starts_with(&one))
            }
            (Self::Directory(_), Self::Container(_)) | (Self::Container(_), Self::Directory(_)) => {
                (false, false)
            }
        };
        match (is_inside, contains) {
            (true, true) => Some(Overlap::Same),
            (true, false) => Some(Overlap::Inside),
            (false, true) => Some(Overlap::Contains),
            (false, false) => None,
        }
    }

    /// Default location of the ledger: beside the vault, named `<name>-ledger`.
    ///
    /// # Errors
    /// When the vault's SAS is valid for the vault's container only.
    pub fn ledger_beside(&self) -> Result<Self, InvalidVaultUrl> {
        match self {
            Self::Directory(path) => {
                let mut name = path.file_name().unwrap_or_default().to_owned();
                name.push("-ledger");
                Ok(Self::Directory(path.with_file_name(name)))
            }
            Self::Container(container) => {
                if container.has_sas_of_container() {
                    return Err(InvalidVaultUrl::ContainerSas);
                }
                let ledger = container.beside("-ledger");
                ledger.map(Self::Container).ok_or(InvalidVaultUrl::LongName)
            }
        }
    }
}

impl FromStr for VaultUrl {
    type Err = InvalidVaultUrl;
    fn from_str(text: &str) -> Result<Self, InvalidVaultUrl> {
        let url = Url::parse(text).map_err(InvalidVaultUrl::NotAUrl)?;
        match url.scheme() {
            "file" => directory(text, &url).map(Self::Directory),
            "https" | "http" => Ok(Self::Container(ContainerUrl::new(url)?)),
            _ => Err(InvalidVaultUrl::Scheme),
        }
    }
}

/// The path without links. A part of it that does not exist yet stays as it is.
fn real(path: &Path) -> PathBuf {
    let found = path.ancestors().find_map(|existing| {
        let rest = path.strip_prefix(existing).ok()?;
        Some(existing.canonicalize().ok()?.join(rest))
    });
    found.unwrap_or_else(|| path.to_owned())
}

fn directory(text: &str, url: &Url) -> Result<PathBuf, InvalidVaultUrl> {
    // `file:calls` would become `/calls`.
    if !text.trim_start().contains(":/") {
        return Err(InvalidVaultUrl::NotADirectory);
    }
    if url.fragment().is_some() {
        return Err(InvalidVaultUrl::Fragment);
    }
    if url.query().is_some() {
        return Err(InvalidVaultUrl::NotADirectory);
    }
    let path = url
        .to_file_path()
        .map_err(|()| InvalidVaultUrl::NotADirectory)?;
    // `/` itself has no name to put a ledger beside.
    if path.file_name().is_none() || path == Path::new("/") {
        return Err(InvalidVaultUrl::NotADirectory);
    }
    Ok(path)
}

impl fmt::Debug for VaultUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Directory(path) => write!(f, "file://{}", path.display()),
            Self::Container(container) => container.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[rstest::rstest]
    #[case(
        "https://acct.blob.core.windows.net/recordings",
        "https://acct.blob.core.windows.net/recordings-ledger"
    )]
    #[case(
        "https://acct.blob.core.windows.net/recordings/",
        "https://acct.blob.core.windows.net/recordings-ledger"
    )]
    #[case(
        "http://127.0.0.1:10000/dev/recordings?sv=1&sig=secret",
        "http://127.0.0.1/dev/recordings-ledger?(SAS)"
    )]
    #[case("file:///var/vault", "file:///var/vault-ledger")]
    fn the_ledger_is_beside_the_vault(#[case] vault: &str, #[case] ledger: &str) {
        let vault: VaultUrl = vault.parse().unwrap();
        assert_eq!(format!("{:?}", vault.ledger_beside().unwrap()), ledger);
    }

    #[rstest::rstest]
    #[case("nonsense", "is not a URL")]
    #[case("s3://bucket/x", "another scheme than https or file")]
    #[case("https://acct.blob.core.windows.net", "no container")]
    #[case("http://example.com/calls?sig=x", "plain http to a host")]
    #[case("http://127.0.0.1:1/acct/calls", "without a SAS")]
    #[case("file:///", "not the path of a directory")]
    #[case("file:relative", "not the path of a directory")]
    #[case("file:///var/vault?x", "not the path of a directory")]
    #[case("file:///var/vault#1", "written %23")]
    #[case(
        "https://acct.blob.core.windows.net/C_upper",
        "name that no container has"
    )]
    #[case("https://acct.blob.core.windows.net/ab", "name that no container has")]
    #[case(
        "https://acct.blob.core.windows.net/a--b",
        "name that no container has"
    )]
    #[case(
        "https://acct.blob.core.windows.net/calls/deep",
        "more than a container"
    )]
    #[case("http://127.0.0.1:1/acct/calls/deep?sig=x", "more than a container")]
    #[case(
        "https://acct.dfs.core.windows.net/calls",
        "another service of the account"
    )]
    #[case(
        "https://acct.z1.queue.storage.azure.net/calls",
        "another service of the account"
    )]
    #[case("https://acct.blob.core.windows.net/calls?junk", "no SAS")]
    #[case(
        "https://acct.blob.core.windows.net/calls#sig=TOPSECRET",
        "begins with `?`"
    )]
    #[case(
        "https://user:TOPSECRET@acct.blob.core.windows.net/calls",
        "user name or password"
    )]
    fn a_bad_vault_url_says_what_would_be_right(#[case] text: &str, #[case] expected: &str) {
        let error = text.parse::<VaultUrl>().unwrap_err().to_string();
        assert!(
            error.contains(expected) && !error.contains("TOPSECRET"),
            "{error}"
        );
    }

    #[rstest::rstest]
    #[case("https://acct.z1.blob.storage.azure.net/calls")]
    #[case("https://acct.privatelink.blob.core.windows.net/calls")]
    #[case("https://acct.blob.core.usgovcloudapi.net/calls-2026?sv=1&sig=x")]
    #[case("https://media.contoso.com/calls?")]
    #[case("https://blob.contoso.com/gateway/calls")]
    #[case("https://file.storage.contoso.com/gateway/calls")]
    fn a_container_may_be_at_any_blob_endpoint(#[case] text: &str) {
        assert!(matches!(text.parse(), Ok(VaultUrl::Container(_))));
    }

    #[test]
    fn a_name_that_leaves_no_room_for_the_ledger_needs_its_own() {
        let url = format!("https://acct.blob.core.windows.net/{}", "c".repeat(57));
        let vault: VaultUrl = url.parse().unwrap();
        assert_eq!(vault.ledger_beside(), Err(InvalidVaultUrl::LongName));
    }

    #[test]
    fn a_container_sas_cannot_reach_the_ledger_beside_it() {
        let vault: VaultUrl = "https://a.blob.core.windows.net/calls?sr=c&sig=x"
            .parse()
            .unwrap();
        assert_eq!(vault.ledger_beside(), Err(InvalidVaultUrl::ContainerSas));
    }

    #[test]
    fn a_sas_is_not_printed() {
        let vault: VaultUrl = "https://a.blob.core.windows.net/calls?sig=TOPSECRET"
            .parse()
            .unwrap();
        assert!(!format!("{vault:?}").contains("TOPSECRET"));
    }

    #[rstest::rstest]
    #[case(
        "https://a.blob.core.windows.net/calls",
        "https://A.blob.core.windows.net/calls?sv=1&sig=x",
        Some(Overlap::Same)
    )]
    #[case(
        "https://a.blob.core.windows.net/calls",
        "https://b.blob.core.windows.net/calls",
        None
    )]
    #[case(
        "https://a.blob.core.windows.net/calls",
        "https://a.blob.core.windows.net/calls-ledger",
        None
    )]
    #[case(
        "https://media.contoso.com/calls/ledger",
        "https://Media.contoso.com/calls",
        Some(Overlap::Inside)
    )]
    #[case("file:///tmp/", "file:///tmp/../tmp", Some(Overlap::Same))]
    #[case("file:///tmp/a", "file:///tmp/b", None)]
    #[case("file:///tmp/a", "file:///tmp/a-ledger", None)]
    #[case("file:///tmp/none/ledger", "file:///tmp/none", Some(Overlap::Inside))]
    #[case("file:///tmp/none", "file:///tmp/none/x/../y", Some(Overlap::Contains))]
    #[case("file:///tmp/a", "https://a.blob.core.windows.net/calls", None)]
    fn one_place_has_many_names_and_may_contain_another(
        #[case] one: &str,
        #[case] other: &str,
        #[case] expected: Option<Overlap>,
    ) {
        let (one, other): (VaultUrl, VaultUrl) = (one.parse().unwrap(), other.parse().unwrap());
        assert_eq!(one.overlap(&other), expected);
    }

    #[cfg(unix)]
    #[test]
    fn a_place_that_does_not_exist_yet_is_found_behind_a_link() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        std::fs::create_dir(folder.join("real")).unwrap();
        std::os::unix::fs::symlink(folder.join("real"), folder.join("link")).unwrap();
        let url = |name: &str| VaultUrl::Directory(folder.join(name));
        let overlap = url("link/vault/ledger").overlap(&url("real/vault"));
        assert_eq!(overlap, Some(Overlap::Inside));
    }
}
