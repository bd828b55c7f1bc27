//! HTTP clients that send credentials. Plain HTTP is for this machine only (emulators, the token endpoint of the platform),
//! so it never goes through the proxy that the environment names, which would read them. HTTPS does.

use std::sync::Arc;
use std::time::Duration;

use azure_core::http::{HttpClient, Transport};
use reqwest::redirect::Policy;
use reqwest::{Client, ClientBuilder, NoProxy, Proxy};

/// The names by which the environment names a proxy for HTTPS, as curl and the SDKs read them.
const PROXY_VARIABLES: [&str; 4] = ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"];

/// As long as the Azure SDK's own client waits.
const AZURE_CONNECT_TIMEOUT: Duration = Duration::from_secs(20);
const AZURE_READ_TIMEOUT: Duration = Duration::from_mins(1);

/// Begins a client that sends credentials.
pub fn builder() -> ClientBuilder {
    #[expect(
        clippy::disallowed_methods,
        reason = "the machine's proxy, not a setting of the product"
    )]
    let proxy = proxy_of(|name| std::env::var(name).ok());
    let builder = Client::builder().no_proxy();
    match proxy {
        Some(proxy) => builder.proxy(proxy.no_proxy(NoProxy::from_env())),
        None => builder,
    }
}

/// Returns a transport for clients of the Azure SDK.
///
/// # Panics
/// When the platform offers no TLS, as the SDK's own transport.
pub fn azure_transport() -> Transport {
    Transport::new(azure_client())
}

/// Returns the client of [`azure_transport`]: as the SDK's own, but for the proxy.
///
/// # Panics
/// When the platform offers no TLS, as the SDK's own.
pub fn azure_client() -> Arc<dyn HttpClient> {
    let client = builder()
        .connect_timeout(AZURE_CONNECT_TIMEOUT)
        .read_timeout(AZURE_READ_TIMEOUT)
        .redirect(Policy::none())
        .build();
    Arc::new(client.expect("the platform offers TLS"))
}

/// The proxy for HTTPS. One that is no URL counts as none, as in curl.
fn proxy_of(variable: impl Fn(&str) -> Option<String>) -> Option<Proxy> {
    let url = PROXY_VARIABLES
        .into_iter()
        .filter_map(variable)
        .find(|value| !value.trim().is_empty())?;
    Proxy::https(url.trim()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[rstest::rstest]
    #[case::none(&[], false)]
    #[case::of_https(&[("HTTPS_PROXY", "http://proxy.example:3128")], true)]
    #[case::of_all(&[("https_proxy", ""), ("all_proxy", "http://proxy.example:3128")], true)]
    #[case::of_http_only(&[("HTTP_PROXY", "http://proxy.example:3128")], false)]
    #[case::no_url(&[("HTTPS_PROXY", "http://[")], false)]
    fn a_proxy_for_https_is_taken_from_the_environment(
        #[case] variables: &[(&str, &str)],
        #[case] expected: bool,
    ) {
        let proxy = proxy_of(|name| {
            let found = variables.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| (*value).to_owned())
        });
        assert_eq!(proxy.is_some(), expected);
    }
}
