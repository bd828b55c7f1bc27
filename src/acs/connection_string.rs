//! `endpoint=https://…;accesskey=…`, in any order and casing.

use super::credential::{AccessKey, InvalidAccessKey};
use super::endpoint::{AcsEndpoint, InvalidEndpoint};

/// What is wrong with a connection string. Never repeats it: it holds the key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidConnectionString {
    #[error(
        "has no `{0}=…`; expected endpoint=https://<resource>.communication.azure.com/;accesskey=<base64>"
    )]
    Missing(&'static str),
    #[error("has an endpoint that {0}")]
    Endpoint(InvalidEndpoint),
    #[error("has an accesskey that {0}")]
    AccessKey(InvalidAccessKey),
}

/// Splits a connection string into its endpoint and key.
///
/// # Errors
/// When a part is missing or malformed.
pub fn parse(text: &str) -> Result<(AcsEndpoint, AccessKey), InvalidConnectionString> {
    let part = |wanted: &'static str| {
        text.split(';')
            .filter_map(|part| part.split_once('='))
            .find(|(name, _)| name.trim().eq_ignore_ascii_case(wanted))
            .map(|(_, value)| value.trim())
            .filter(|value| !value.is_empty())
            .ok_or(InvalidConnectionString::Missing(wanted))
    };
    let endpoint = part("endpoint")?
        .parse()
        .map_err(InvalidConnectionString::Endpoint)?;
    let access_key = part("accesskey")?
        .parse()
        .map_err(InvalidConnectionString::AccessKey)?;
    Ok((endpoint, access_key))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[rstest::rstest]
    #[case("endpoint=https://contoso.communication.azure.com/;accesskey=c2VjcmV0")]
    #[case("AccessKey=c2VjcmV0;Endpoint=https://contoso.communication.azure.com")]
    #[case(" endpoint = https://contoso.communication.azure.com ; accesskey = c2VjcmV0 ;")]
    fn order_casing_and_blanks_do_not_matter(#[case] text: &str) {
        assert_eq!(
            parse(text).unwrap().0.authority(),
            "contoso.communication.azure.com"
        );
    }

    #[rstest::rstest]
    #[case("accesskey=c2VjcmV0", "no `endpoint=…`")]
    #[case("endpoint=https://contoso.communication.azure.com", "no `accesskey=…`")]
    #[case(
        "endpoint=ftp://x;accesskey=c2VjcmV0",
        "has an endpoint that has another scheme"
    )]
    #[case(
        "endpoint=https://x;accesskey=*SECRET*",
        "has an accesskey that is not base64"
    )]
    fn what_is_wrong_is_named_and_the_key_is_not(#[case] text: &str, #[case] expected: &str) {
        let error = parse(text).unwrap_err().to_string();
        assert!(
            error.contains(expected) && !error.contains("SECRET"),
            "{error}"
        );
    }
}
