//! Where an imported file is: a file on this machine, or a URL to which no credential is sent. It sends nothing itself.

use std::ffi::OsStr;
use std::path::PathBuf;
use std::str::FromStr;

use clap::builder::TypedValueParser;
use clap::error::ErrorKind;
use clap::{Arg, Command};
use url::Url;

use crate::cli::argument::{InvalidArgument, existing_file};

/// A file, or the URL of one.
#[derive(Debug, Clone)]
pub enum FileOrUrl {
    File(PathBuf),
    Url(Box<PlainUrl>),
}

/// An https URL with a host, and without a user name or password.
#[derive(Debug, Clone)]
pub struct PlainUrl {
    url: Url,
    host: String,
}

/// Why a text is neither a file nor such a URL.
#[derive(Debug, thiserror::Error)]
pub enum InvalidPlace {
    #[error(transparent)]
    File(#[from] InvalidArgument),
    #[error(
        "the URL must be https, without a user name or password, such as https://contoso.example/call.wav"
    )]
    Url,
}

/// Parses a place. Its errors do not repeat a URL, which may contain a credential; those of the usual parsers do.
#[derive(Debug, Clone)]
pub struct FileOrUrlParser;

impl TypedValueParser for FileOrUrlParser {
    type Value = FileOrUrl;

    fn parse_ref(
        &self,
        command: &Command,
        argument: Option<&Arg>,
        value: &OsStr,
    ) -> Result<FileOrUrl, clap::Error> {
        FileOrUrl::parse(value).map_err(|error| {
            let given = value.to_string_lossy();
            let what = argument.map(ToString::to_string).unwrap_or_default();
            let message = match error {
                InvalidPlace::File(_) => format!("invalid value '{given}' for '{what}': {error}"),
                InvalidPlace::Url => format!("invalid URL for '{what}': {error}"),
            };
            command.clone().error(ErrorKind::ValueValidation, message)
        })
    }
}

impl FileOrUrl {
    /// # Errors
    /// When there is no such file, or the URL is another than https.
    pub fn parse(given: &OsStr) -> Result<Self, InvalidPlace> {
        // A URL is text; a path may have any bytes.
        let text = given.to_str().unwrap_or_default().trim();
        let scheme = text.split_once(':').map(|(scheme, _)| scheme);
        let is_web = scheme.is_some_and(|scheme| {
            scheme.eq_ignore_ascii_case("http") || scheme.eq_ignore_ascii_case("https")
        });
        if is_web || text.contains("://") {
            return text.parse().map(|url| Self::Url(Box::new(url)));
        }
        Ok(Self::File(existing_file(given)?))
    }

    /// Returns the name of a file for its operator: its path, or its URL without its query, which may be a credential.
    pub fn name(&self) -> String {
        match self {
            Self::Url(_) => self.origin(),
            Self::File(path) => path.display().to_string(),
        }
    }

    /// Returns the origin of a file as the audit log and the receipt store it. Omits the query, which may be a credential.
    pub fn origin(&self) -> String {
        match self {
            Self::Url(plain) => {
                let mut url = plain.url.clone();
                url.set_query(None);
                url.set_fragment(None);
                url.to_string()
            }
            Self::File(path) => {
                let name = path.file_name();
                name.unwrap_or_default().to_string_lossy().into_owned()
            }
        }
    }
}

impl PlainUrl {
    pub fn as_url(&self) -> &Url {
        &self.url
    }

    pub fn host(&self) -> &str {
        &self.host
    }
}

impl FromStr for PlainUrl {
    type Err = InvalidPlace;
    fn from_str(text: &str) -> Result<Self, InvalidPlace> {
        // The parser takes one slash, or none, for two.
        let begins = text.get(..8).unwrap_or_default();
        let url: Url = text.parse().map_err(|_| InvalidPlace::Url)?;
        let has_user = !url.username().is_empty() || url.password().is_some();
        match url.host_str() {
            Some(host) if begins.eq_ignore_ascii_case("https://") && !has_user => Ok(Self {
                host: host.to_owned(),
                url,
            }),
            Some(_) | None => Err(InvalidPlace::Url),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[rstest::rstest]
    #[case("http://example.com/a.wav")]
    #[case("https:/example.com/a.wav")]
    #[case("https:example.com")]
    #[case("ftp://example.com/a.wav")]
    #[case("https://user@example.com/a.wav")]
    #[case("https://user:word@example.com/a.wav")]
    #[case("https://")]
    #[case("file:///etc/passwd")]
    fn a_url_that_is_not_plain_https_is_refused(#[case] url: &str) {
        assert!(matches!(
            FileOrUrl::parse(url.as_ref()),
            Err(InvalidPlace::Url)
        ));
    }

    #[rstest::rstest]
    #[case("http://example.com/a.wav?sig=secret")]
    #[case("https://user:secret@example.com/a.wav")]
    fn the_error_for_a_url_does_not_repeat_it(#[case] url: &str) {
        let error = FileOrUrlParser.parse_ref(&Command::new("import"), None, OsStr::new(url));
        let error = error.unwrap_err().to_string();
        assert!(!error.contains("secret"), "{error}");
        assert!(error.contains("must be https"), "{error}");
    }

    #[test]
    fn an_origin_has_no_folder_and_no_query() {
        let url = FileOrUrl::parse("https://host/p/a.wav?sig=secret#x".as_ref()).unwrap();
        assert_eq!(url.origin(), "https://host/p/a.wav");
        assert_eq!(url.name(), url.origin());
        let file = FileOrUrl::File("folder/a.wav".into());
        assert_eq!(file.origin(), "a.wav");
        assert_eq!(file.name(), "folder/a.wav");
    }

    #[test]
    fn a_file_has_to_be_there() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.wav");
        let text = path.as_os_str();
        assert!(FileOrUrl::parse(text).is_err());
        std::fs::write(&path, "").unwrap();
        assert!(FileOrUrl::parse(text).is_err());
        std::fs::write(&path, "RIFF").unwrap();
        assert!(matches!(FileOrUrl::parse(text), Ok(FileOrUrl::File(_))));
        assert!(FileOrUrl::parse(folder.path().as_os_str()).is_err());
    }
}
