//! The operator's page: one document, put together from the files in `page/`, and a policy that lets nothing else run in it.

use std::sync::LazyLock;

use axum::http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS};
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use sha2::{Digest as _, Sha256};

const SHELL: &str = include_str!("page/shell.html");
const STYLE: &str = concat!(include_str!("page/style.css"), include_str!("page/views.css"));
/// One script: what stands below may use what stands above.
const SCRIPT: &str = concat!(
    include_str!("page/dom.js"),
    include_str!("page/format.js"),
    include_str!("page/api.js"),
    include_str!("page/dialogs.js"),
    include_str!("page/tiles.js"),
    include_str!("page/chart.js"),
    include_str!("page/cost.js"),
    include_str!("page/overview.js"),
    include_str!("page/list.js"),
    include_str!("page/player.js"),
    include_str!("page/detail.js"),
    include_str!("page/chunks.js"),
    include_str!("page/poison.js"),
    include_str!("page/main.js"),
);

struct Page {
    html: String,
    policy: String,
}

static PAGE: LazyLock<Page> = LazyLock::new(|| {
    let hash = |text: &str| format!("'sha256-{}'", BASE64_STANDARD.encode(Sha256::digest(text)));
    Page {
        html: SHELL
            .replace("{{VERSION}}", env!("CARGO_PKG_VERSION"))
            .replace("/*STYLE*/", STYLE)
            .replace("/*SCRIPT*/", SCRIPT),
        policy: format!(
            "default-src 'none'; script-src {}; style-src {}; img-src data:; media-src 'self'; connect-src 'self'; \
             base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
            hash(SCRIPT),
            hash(STYLE),
        ),
    }
});

/// The page. It holds nothing secret: whoever has no key sees a question for one.
pub fn answer() -> Response {
    let headers = [
        (CONTENT_TYPE, "text/html; charset=utf-8"),
        (CONTENT_SECURITY_POLICY, PAGE.policy.as_str()),
        // A new version shows at the next visit.
        (CACHE_CONTROL, "no-cache"),
        (REFERRER_POLICY, "no-referrer"),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    (headers, PAGE.html.as_str()).into_response()
}
