//! `VaultPage`: the operator's page, one file. It is nothing without a key; what it may load and run is written into its policy.

use std::sync::LazyLock;

use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;

use crate::export::digest::Sha256Digest;

/// With exactly one script and one style, inline.
const PAGE: &str = include_str!("page/index.html");

static ETAG: LazyLock<String> = LazyLock::new(|| format!("\"{}\"", Sha256Digest::of(PAGE.as_bytes())));

/// Nothing but the page's own script and style runs, and nothing is asked of anybody but us.
static POLICY: LazyLock<String> = LazyLock::new(|| {
    let hash = |tag| BASE64_STANDARD.encode(Sha256Digest::of(inline(PAGE, tag).as_bytes()).to_bytes());
    format!(
        "default-src 'none'; script-src 'sha256-{}'; style-src 'sha256-{}'; connect-src 'self'; media-src 'self'; \
         img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
        hash("script"),
        hash("style"),
    )
});

/// What stands in the one element of this name.
fn inline<'a>(page: &'a str, tag: &str) -> &'a str {
    let inside = page.split_once(&format!("<{tag}>")).and_then(|(_, rest)| rest.split_once(&format!("</{tag}>")));
    inside.map(|(inside, _)| inside).unwrap_or_default()
}

pub(super) async fn page(headers: HeaderMap) -> Response {
    let known = headers.get(header::IF_NONE_MATCH).and_then(|tags| tags.to_str().ok());
    let is_known = known.is_some_and(|tags| tags.split(',').any(|tag| tag.trim().trim_start_matches("W/") == *ETAG));
    let of_page = [
        (header::CONTENT_SECURITY_POLICY, POLICY.as_str()),
        (header::ETAG, ETAG.as_str()),
        (header::CACHE_CONTROL, "no-cache"),
        (header::CONTENT_TYPE, "text/html; charset=utf-8"),
    ];
    if is_known { (StatusCode::NOT_MODIFIED, of_page).into_response() } else { (of_page, PAGE).into_response() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_has_one_script_and_one_style_and_loads_nothing() {
        for tag in ["script", "style"] {
            assert_eq!(PAGE.matches(&format!("<{tag}")).count(), 1, "{tag}");
            assert!(!inline(PAGE, tag).trim().is_empty(), "{tag}");
        }
        for foreign in ["http://", "https://", "src=\"//", " onclick=", " onload=", " style=\""] {
            assert!(!PAGE.contains(foreign), "{foreign}");
        }
    }

    #[test]
    fn the_policy_names_the_hashes_of_what_is_inline() {
        // Of "alert('Hello, world.');", the example of CSP Level 3 §8.4.
        let digest = Sha256Digest::of(inline("<script>alert('Hello, world.');</script>", "script").as_bytes());
        assert_eq!(BASE64_STANDARD.encode(digest.to_bytes()), "qznLcsROx4GACP2dm0UCKCzCG+HiZ1guq6ZZDob/Tng=");
        assert!(POLICY.contains("script-src 'sha256-") && !POLICY.contains("unsafe"), "{}", *POLICY);
    }
}
