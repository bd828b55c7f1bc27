//! Settings of timestamps.

use std::path::PathBuf;

use url::Url;

use super::reader::Reader;

/// The authority that stamps checkpoints of the audit log, and the trusted certificates.
#[derive(Debug, Clone, Default)]
pub struct TimestampConfig {
    /// `None`: nothing is stamped.
    pub url: Option<Url>,
    /// A file with certificates in PEM.
    pub ca: Option<PathBuf>,
}

impl Reader {
    pub(super) fn timestamps(&mut self) -> TimestampConfig {
        TimestampConfig {
            url: self.timestamp_url(),
            ca: self.text("TIMESTAMP_CA").map(PathBuf::from),
        }
    }

    /// Many authorities have no https, and need none: the request is a digest, and the response is signed.
    fn timestamp_url(&mut self) -> Option<Url> {
        self.parsed("TIMESTAMP_URL", |text| match Url::parse(text) {
            Ok(url) if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none() => {
                Err("is not an http URL")
            }
            Ok(url) if !url.username().is_empty() || url.password().is_some() => {
                Err("has a user name or password; an authority gets no credential")
            }
            Ok(url) => Ok(url),
            Err(_) => Err("is not a URL; expected one such as http://timestamp.example.com"),
        })
    }
}
