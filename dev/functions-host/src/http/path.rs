//! Paths as Kestrel reads them, and as the two ways of passing a request on write them again.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

/// RFC 3986 §3.3: characters that a path contains unencoded.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~')
    .remove(b'!')
    .remove(b'$')
    .remove(b'&')
    .remove(b'\'')
    .remove(b'(')
    .remove(b')')
    .remove(b'*')
    .remove(b'+')
    .remove(b',')
    .remove(b';')
    .remove(b'=')
    .remove(b':')
    .remove(b'@')
    .remove(b'/');

/// Decoded but for `%2F`, without `.` and `..`.
pub fn decoded(path: &str) -> String {
    // A character that no path contains marks encoded slashes.
    let marked = path.replace("%2F", "\0").replace("%2f", "\0");
    let text = percent_decode_str(&marked).decode_utf8_lossy();
    let mut segments: Vec<&str> = Vec::new();
    for segment in text.split('/') {
        match segment {
            "." => {}
            ".." => {
                segments.pop();
            }
            segment => segments.push(segment),
        }
    }
    let path = segments.join("/").replace('\0', "%2F");
    if path.starts_with('/') {
        path
    } else {
        format!("/{path}")
    }
}

/// As YARP sends it: everything is encoded again, the `%` of `%2F` as well.
pub fn proxied(path: &str) -> String {
    utf8_percent_encode(&decoded(path), ENCODED).to_string()
}

/// As the host forwards it: the decoded path is read as a URL once more, so that a `?` or `#` in it ends it.
pub fn forwarded(path: &str) -> String {
    let path = decoded(path);
    let end = path.find(['?', '#']).unwrap_or(path.len());
    let encoded = utf8_percent_encode(&path[..end], ENCODED).to_string();
    // What looks encoded stays as it is.
    let mut parts = encoded.split("%25");
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let is_escape = part
            .as_bytes()
            .get(..2)
            .is_some_and(|two| two.iter().all(u8::is_ascii_hexdigit));
        out.push_str(if is_escape { "%" } else { "%25" });
        out.push_str(part);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[rstest::rstest]
    #[case("/api/a%2Fb", "/api/a%252Fb", "/api/a%2Fb")]
    #[case("/api/a%20b+c=", "/api/a%20b+c=", "/api/a%20b+c=")]
    #[case("/api/a%3Fx", "/api/a%3Fx", "/api/a")]
    #[case("/api/a%23x/stop", "/api/a%23x/stop", "/api/a")]
    #[case("/api/a%25zz", "/api/a%25zz", "/api/a%25zz")]
    #[case("/api/a/%2e%2e/b", "/api/b", "/api/b")]
    fn a_path_is_passed_on_as_the_hosts_do_it(
        #[case] path: &str,
        #[case] by_proxying: &str,
        #[case] by_forwarding: &str,
    ) {
        assert_eq!(
            (proxied(path).as_str(), forwarded(path).as_str()),
            (by_proxying, by_forwarding)
        );
    }
}
