//! Decides which hosts may receive our credentials. An event names URLs, and anyone may have forged the event.
//!
//! The built-in list is that of the official SDKs 1.6.0 (Python `recording_url_validator.py`).

use std::fmt;
use std::str::FromStr;

use url::{Host, Position, Url};

use super::endpoint::AcsEndpoint;

/// Domains of ACS's recording storage; a host must be a subdomain of one of them.
pub const CONTENT_DOMAINS: [&str; 3] = [
    ".asm.skype.com",
    ".asyncgw.teams.microsoft.com",
    ".ams.gov.teams.microsoft.us",
];

/// A host that is allowed in addition to the built-in list, from `ACS_CONTENT_HOSTS`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContentHost {
    scheme: &'static str,
    /// Lower case, with the port if it is not the default.
    authority: String,
}

/// What is wrong with an entry of `ACS_CONTENT_HOSTS`. Never repeats it: it may hold a password.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("is neither host[:port] nor http://host:port on this machine")]
pub struct InvalidContentHost;

impl ContentHost {
    /// Whether requests to it are not encrypted; it is then on this machine.
    pub fn is_plain(&self) -> bool {
        self.scheme == "http"
    }
}

impl fmt::Display for ContentHost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", self.scheme, self.authority)
    }
}

impl FromStr for ContentHost {
    type Err = InvalidContentHost;
    fn from_str(text: &str) -> Result<Self, InvalidContentHost> {
        let text = text.trim();
        let with_scheme = if text.contains("://") {
            text.to_owned()
        } else {
            format!("https://{text}")
        };
        let url = Url::parse(&with_scheme).map_err(|_| InvalidContentHost)?;
        let scheme = match url.scheme() {
            "https" => "https",
            "http" if crate::address::is_loopback(&url) => "http",
            _ => return Err(InvalidContentHost),
        };
        let bare = url.path() == "/"
            && url.query().is_none()
            && url.fragment().is_none()
            && !url[..].contains('@');
        if !bare || !url.host().is_some_and(|host| can_exist(&host)) {
            return Err(InvalidContentHost);
        }
        Ok(Self {
            scheme,
            authority: url[Position::BeforeHost..Position::AfterPort].to_owned(),
        })
    }
}

/// Whether a host may have this name: a pattern such as `*.example.com` matches no host, and `com` is the name of none.
fn can_exist(host: &Host<&str>) -> bool {
    match host {
        Host::Domain(name) => {
            let labels: Vec<&str> = name.trim_end_matches('.').split('.').collect();
            let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
            let is_label = |label: &&str| !label.is_empty() && label.bytes().all(is_plain);
            labels.iter().all(is_label) && (labels.len() > 1 || *name == "localhost")
        }
        Host::Ipv4(_) | Host::Ipv6(_) => true,
    }
}

/// A URL that may receive a credential: admitted by the [`ContentGuard`], or at our own endpoint.
#[derive(Clone, PartialEq, Eq)]
pub struct AdmittedUrl(Url);

impl AdmittedUrl {
    /// Returns the URL of a path at the configured ACS endpoint; no event can change it.
    pub(super) fn own_endpoint(endpoint: &AcsEndpoint, path_and_query: &str) -> Self {
        Self(endpoint.join(path_and_query))
    }

    pub fn url(&self) -> &Url {
        &self.0
    }
}

impl fmt::Debug for AdmittedUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.as_str())
    }
}

/// Why a URL is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    #[error("the location is not a URL ({0})")]
    NotAUrl(url::ParseError),
    #[error("the location carries a user name or password")]
    UserInfo,
    #[error("the location is not https; a host on this machine has to be in ACS_CONTENT_HOSTS")]
    NotHttps,
    #[error(
        "`{0}` is not a host of ACS's recording storage; if it is one, add it to ACS_CONTENT_HOSTS"
    )]
    ForeignHost(String),
}

/// The allow-list.
#[derive(Debug, Clone, Default)]
pub struct ContentGuard {
    extra: Vec<ContentHost>,
}

impl ContentGuard {
    pub fn new(extra: Vec<ContentHost>) -> Self {
        Self { extra }
    }

    /// Admits a location that an event or a redirect named.
    ///
    /// # Errors
    /// When the location must not receive a credential. No request has been sent then.
    pub fn admit(&self, location: &str) -> Result<AdmittedUrl, Refusal> {
        self.admit_url(Url::parse(location).map_err(Refusal::NotAUrl)?)
    }

    /// Admits a parsed location, for example the target of a redirect.
    ///
    /// # Errors
    /// As [`ContentGuard::admit`].
    pub fn admit_url(&self, url: Url) -> Result<AdmittedUrl, Refusal> {
        if !url.username().is_empty() || url.password().is_some() {
            return Err(Refusal::UserInfo);
        }
        if self.is_listed(&url) {
            return Ok(AdmittedUrl(url));
        }
        let authority = &url[Position::BeforeHost..Position::AfterPort];
        if url.scheme() != "https" {
            return Err(Refusal::NotHttps);
        }
        match url.host() {
            // `Url` has lower-cased the name and turned other alphabets into punycode, which no listed domain ends in.
            Some(Host::Domain(name))
                if CONTENT_DOMAINS
                    .iter()
                    .any(|domain| has_label_before(name, domain)) =>
            {
                Ok(AdmittedUrl(url))
            }
            Some(_) | None => Err(Refusal::ForeignHost(authority.to_owned())),
        }
    }
    /// Admits a location whose object is to be deleted. Also refuses a port that is not listed.
    ///
    /// # Errors
    /// As [`ContentGuard::admit`].
    pub fn admit_deletion(&self, url: Url) -> Result<AdmittedUrl, Refusal> {
        if url.port().is_some() && !self.is_listed(&url) {
            let authority = &url[Position::BeforeHost..Position::AfterPort];
            return Err(Refusal::ForeignHost(authority.to_owned()));
        }
        self.admit_url(url)
    }

    fn is_listed(&self, url: &Url) -> bool {
        let authority = &url[Position::BeforeHost..Position::AfterPort];
        self.extra
            .iter()
            .any(|host| host.scheme == url.scheme() && host.authority == authority)
    }
}

/// Whether a host is a subdomain of a domain, which begins with a dot.
fn has_label_before(name: &str, domain: &str) -> bool {
    name.strip_suffix(domain)
        .is_some_and(|label| !label.is_empty() && !label.ends_with('.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[rstest::rstest]
    #[case("https://us-storage.asm.skype.com/v1/objects/x/content/video")]
    #[case("https://storage.asm.skype.com/v1/objects/x")]
    #[case("https://US-Storage.ASM.skype.com/v1/objects/x")]
    #[case("https://a.b.asyncgw.teams.microsoft.com/v1/objects/x/content/audio")]
    #[case("https://x.ams.gov.teams.microsoft.us/v1/objects/x")]
    #[case("https://us-storage.asm.skype.com:8443/v1/objects/x")]
    fn hosts_of_acs_recording_storage_are_admitted(#[case] location: &str) {
        assert!(ContentGuard::default().admit(location).is_ok());
    }

    #[rstest::rstest]
    #[case::plain("http://us-storage.asm.skype.com/v1/objects/x")]
    #[case::bare_domain("https://asm.skype.com/v1/objects/x")]
    #[case::lookalike("https://evilasm.skype.com/v1/objects/x")]
    #[case::suffix("https://us-storage.asm.skype.com.evil.example/v1")]
    #[case::user_info("https://us-storage.asm.skype.com@evil.example/v1")]
    #[case::user_info_right_host("https://user@us-storage.asm.skype.com/v1")]
    #[case::ip("https://169.254.169.254/metadata")]
    #[case::loopback("http://127.0.0.1:8080/v1")]
    #[case::ipv6("https://[::1]/v1")]
    #[case::no_label("https://.asm.skype.com/v1")]
    #[case::trailing_dot("https://us-storage.asm.skype.com./v1")]
    #[case::backslash("https://evil.example\\us-storage.asm.skype.com/v1")]
    #[case::homograph("https://us-storage.аsm.skype.com/v1")]
    #[case::file("file:///etc/passwd")]
    #[case::nothing("")]
    fn everything_else_is_refused(#[case] location: &str) {
        assert!(ContentGuard::default().admit(location).is_err());
    }

    #[test]
    fn a_listed_host_is_admitted_with_its_scheme_and_port_only() {
        let guard = ContentGuard::new(vec![
            "http://127.0.0.1:8080".parse().unwrap(),
            "media.example".parse().unwrap(),
        ]);
        assert!(guard.admit("http://127.0.0.1:8080/v1").is_ok());
        assert!(guard.admit("http://127.0.0.1:8081/v1").is_err());
        assert!(guard.admit("https://127.0.0.1:8080/v1").is_err());
        assert!(guard.admit("https://media.example/v1").is_ok());
        assert!(guard.admit("http://media.example/v1").is_err());
    }

    #[test]
    fn nothing_is_deleted_at_a_port_that_nobody_listed() {
        let guard = ContentGuard::new(vec!["media.example:8443".parse().unwrap()]);
        let url = |text: &str| Url::parse(text).unwrap();
        let is_admitted = |text| guard.admit_deletion(url(text)).is_ok();
        assert!(is_admitted("https://media.example:8443/v1/objects/x"));
        assert!(is_admitted("https://eu.asm.skype.com/v1/objects/x"));
        assert!(!is_admitted("https://eu.asm.skype.com:8443/v1/objects/x"));
    }

    #[rstest::rstest]
    #[case("http://example.com")]
    #[case("https://media.example/path")]
    #[case("user@media.example")]
    #[case("")]
    #[case("ftp://media.example")]
    #[case("*.media.example")]
    #[case("example")]
    #[case(".media.example")]
    fn a_bad_entry_of_the_list_is_refused(#[case] text: &str) {
        assert!(text.parse::<ContentHost>().is_err());
    }
}
