//! The ACS resource's endpoint.

use std::fmt;
use std::str::FromStr;

use url::{Position, Url};

/// `https://<resource>.communication.azure.com`, parsed once: lower-case host, no path, port only if it is not the default.
#[derive(Clone, PartialEq, Eq)]
pub struct AcsEndpoint(Url);

/// What is wrong with an endpoint.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidEndpoint {
    #[error("is not a URL ({0}); expected https://<resource>.communication.azure.com")]
    NotAUrl(url::ParseError),
    #[error("has another scheme than https")]
    Scheme,
    #[error("is plain http to a host that is not this machine; use https")]
    Insecure,
    #[error(
        "has a user, path, query or fragment; expected https://<resource>.communication.azure.com and nothing after it"
    )]
    NotBare,
}

impl AcsEndpoint {
    /// Host, and port if it is not the scheme's default: the text of the `Host` header, of `x-ms-host`, and of the signature.
    pub fn authority(&self) -> &str {
        &self.0[Position::BeforeHost..Position::AfterPort]
    }

    /// Returns the URL of a path and query below the endpoint. Both are percent-encoded already.
    pub fn join(&self, path_and_query: &str) -> Url {
        let mut url = self.0.clone();
        let (path, query) = path_and_query
            .split_once('?')
            .map_or((path_and_query, None), |(path, query)| (path, Some(query)));
        url.set_path(path);
        url.set_query(query);
        url
    }
}

impl FromStr for AcsEndpoint {
    type Err = InvalidEndpoint;
    fn from_str(text: &str) -> Result<Self, InvalidEndpoint> {
        let url = Url::parse(text.trim()).map_err(InvalidEndpoint::NotAUrl)?;
        match url.scheme() {
            "https" => {}
            "http" if crate::address::is_loopback(&url) => {}
            "http" => return Err(InvalidEndpoint::Insecure),
            _ => return Err(InvalidEndpoint::Scheme),
        }
        let bare = url.path() == "/" && url.query().is_none() && url.fragment().is_none();
        if !bare || !url.username().is_empty() || url.password().is_some() {
            return Err(InvalidEndpoint::NotBare);
        }
        Ok(Self(url))
    }
}

impl fmt::Debug for AcsEndpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[rstest::rstest]
    #[case(
        "https://Contoso.Communication.Azure.com/",
        "contoso.communication.azure.com"
    )]
    #[case(
        "https://contoso.communication.azure.com:443",
        "contoso.communication.azure.com"
    )]
    #[case("http://127.0.0.1:8080", "127.0.0.1:8080")]
    fn the_authority_is_what_the_host_header_says(#[case] text: &str, #[case] authority: &str) {
        assert_eq!(text.parse::<AcsEndpoint>().unwrap().authority(), authority);
    }

    #[rstest::rstest]
    #[case("contoso.communication.azure.com")]
    #[case("http://contoso.communication.azure.com")]
    #[case("ftp://contoso.communication.azure.com")]
    #[case("https://contoso.communication.azure.com/path")]
    #[case("https://user:pw@contoso.communication.azure.com")]
    fn anything_else_is_no_endpoint(#[case] text: &str) {
        assert!(text.parse::<AcsEndpoint>().is_err());
    }

    #[test]
    fn a_path_is_joined_without_being_encoded_again() {
        let endpoint: AcsEndpoint = "https://contoso.communication.azure.com".parse().unwrap();
        let url = endpoint.join("/calling/recordings/a%20b%2Fc:pause?api-version=2026-03-12");
        assert_eq!(
            url.as_str(),
            "https://contoso.communication.azure.com/calling/recordings/a%20b%2Fc:pause?api-version=2026-03-12"
        );
    }
}
