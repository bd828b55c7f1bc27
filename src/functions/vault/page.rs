//! `VaultPage`: the operator's page, one document assembled from the files in `page/`. It shows nothing without a key; its
//! policy lists what it may load and run. It must not know what the page shows.

use std::sync::LazyLock;

use axum::http::{HeaderMap, HeaderName, StatusCode, header};
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;

use super::conditions;
use crate::store::digest::Sha256Digest;

/// With one place each for the style and the script.
const SHELL: &str = include_str!("page/shell.html");
const STYLE: &str = concat!(
    include_str!("page/style.css"),
    include_str!("page/views.css")
);
/// One script, in order: a file may use those above it.
const SCRIPT: &str = concat!(
    include_str!("page/dom.js"),
    include_str!("page/format.js"),
    include_str!("page/api.js"),
    include_str!("page/rights.js"),
    include_str!("page/dialogs.js"),
    include_str!("page/reading.js"),
    include_str!("page/tiles.js"),
    include_str!("page/chart.js"),
    include_str!("page/cost.js"),
    include_str!("page/due.js"),
    include_str!("page/calendar.js"),
    include_str!("page/overview.js"),
    include_str!("page/search.js"),
    include_str!("page/selection.js"),
    include_str!("page/packages.js"),
    include_str!("page/list.js"),
    include_str!("page/player.js"),
    include_str!("page/standing.js"),
    include_str!("page/detail.js"),
    include_str!("page/chunks.js"),
    include_str!("page/holds.js"),
    include_str!("page/poison.js"),
    include_str!("page/main.js"),
);

static PAGE: LazyLock<String> = LazyLock::new(|| {
    let shell = SHELL.replace("{{VERSION}}", env!("CARGO_PKG_VERSION"));
    shell
        .replace("/*STYLE*/", STYLE)
        .replace("/*SCRIPT*/", SCRIPT)
});

static ETAG: LazyLock<String> =
    LazyLock::new(|| format!("\"{}\"", Sha256Digest::of(PAGE.as_bytes())));

const OPENER_POLICY: HeaderName = HeaderName::from_static("cross-origin-opener-policy");
const RESOURCE_POLICY: HeaderName = HeaderName::from_static("cross-origin-resource-policy");

/// Only the page's own script and style run, and they send requests only to this host.
static POLICY: LazyLock<String> = LazyLock::new(|| {
    format!(
        "default-src 'none'; script-src '{}'; style-src '{}'; connect-src 'self'; media-src 'self'; img-src data:; \
         base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'",
        source(SCRIPT),
        source(STYLE),
    )
});

/// How a policy names an inline script or style.
fn source(inline: &str) -> String {
    format!(
        "sha256-{}",
        BASE64_STANDARD.encode(Sha256Digest::of(inline.as_bytes()).to_bytes())
    )
}

/// The operator's page; it asks for a key of the function `Vault`.
#[utoipa::path(
    get, path = "/api/vault", operation_id = "showPage", tag = "vault",
    responses((status = 200, description = "The page", content_type = "text/html"))
)]
pub(crate) async fn page(headers: HeaderMap) -> Response {
    let of_page = [
        (header::CONTENT_SECURITY_POLICY, POLICY.as_str()),
        (header::ETAG, ETAG.as_str()),
        // A new version shows at the next visit.
        (header::CACHE_CONTROL, "no-cache"),
        (header::CONTENT_TYPE, "text/html; charset=utf-8"),
        // No window that opened it, and no page of another site, holds a part of it.
        (OPENER_POLICY, "same-origin"),
        (RESOURCE_POLICY, "same-origin"),
    ];
    if conditions::is_known(&headers, &ETAG) {
        (StatusCode::NOT_MODIFIED, of_page).into_response()
    } else {
        (of_page, PAGE.as_str()).into_response()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_has_one_script_and_one_style_and_loads_nothing() {
        for (tag, inline) in [("script", SCRIPT), ("style", STYLE)] {
            assert_eq!(PAGE.matches(&format!("<{tag}")).count(), 1, "{tag}");
            assert!(PAGE.contains(&format!("<{tag}>{inline}</{tag}>")), "{tag}");
        }
        // A name of SVG's, not an address.
        let addresses = PAGE.replace("http://www.w3.org/2000/svg", "");
        for foreign in [
            "http://",
            "https://",
            "src=\"//",
            "url(",
            "@import",
            " onclick=",
            " onload=",
            " style=\"",
        ] {
            assert!(!addresses.contains(foreign), "{foreign}");
        }
    }

    #[test]
    fn what_comes_from_outside_is_never_read_as_markup() {
        for reader in [
            "innerHTML",
            "outerHTML",
            "insertAdjacentHTML",
            "document.write",
            "eval(",
            "new Function",
        ] {
            assert!(!SCRIPT.contains(reader), "{reader}");
        }
    }

    #[test]
    fn the_policy_names_the_hashes_of_what_is_inline() {
        // The example of CSP Level 3 §8.4.
        assert_eq!(
            source("alert('Hello, world.');"),
            "sha256-qznLcsROx4GACP2dm0UCKCzCG+HiZ1guq6ZZDob/Tng="
        );
        assert!(
            POLICY.contains(&source(SCRIPT))
                && POLICY.contains(&source(STYLE))
                && !POLICY.contains("unsafe"),
            "{}",
            *POLICY
        );
    }
}
