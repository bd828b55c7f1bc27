//! Conditional requests (RFC 9110 §13): compares the versions that a request names. Knows no resource.

use axum::http::{HeaderMap, header};
use headers::{ETag, HeaderMapExt as _, IfMatch, IfNoneMatch, IfRange};

/// Whether the caller asks for another version only: `If-Match` is present, is not `*`, and does not name this strong tag. We
/// know no date of modification, and RFC 9110 §13.1.4 ignores `If-Unmodified-Since` then.
pub fn is_for_another_version(headers: &HeaderMap, etag: &str) -> bool {
    if !headers.contains_key(header::IF_MATCH) {
        return false;
    }
    let condition = headers.typed_get::<IfMatch>();
    let etag = etag.parse::<ETag>().ok();
    !condition
        .zip(etag)
        .is_some_and(|(condition, etag)| condition.precondition_passes(&etag))
}

/// Whether the caller has this version already: `If-None-Match` names its tag, weak or not, or is `*`.
pub fn is_known(headers: &HeaderMap, etag: &str) -> bool {
    let condition = headers.typed_get::<IfNoneMatch>();
    let etag = etag.parse::<ETag>().ok();
    condition
        .zip(etag)
        .is_some_and(|(condition, etag)| !condition.precondition_passes(&etag))
}

/// Whether the range is of another version: `If-Range` is present and is not this strong tag. We never send dates.
pub fn is_range_of_another_version(headers: &HeaderMap, etag: &str) -> bool {
    if !headers.contains_key(header::IF_RANGE) {
        return false;
    }
    let condition = headers.typed_get::<IfRange>();
    let etag = etag.parse::<ETag>().ok();
    condition.is_none_or(|condition| condition.is_modified(etag.as_ref(), None))
}

#[cfg(test)]
mod tests {
    use axum::http::{HeaderName, HeaderValue};

    use super::*;

    const ETAG: &str = "\"a,b\"";

    fn with(name: HeaderName, values: &[&'static str]) -> HeaderMap {
        values
            .iter()
            .map(|value| (name.clone(), HeaderValue::from_static(value)))
            .collect()
    }

    #[rstest::rstest]
    #[case::same(&["\"a,b\""], true)]
    #[case::weak(&["W/\"a,b\""], true)]
    #[case::any(&["*"], true)]
    #[case::list(&["\"x\", W/\"a,b\" ,\"y\""], true)]
    #[case::list_without_blanks(&["\"x\",\"a,b\""], true)]
    #[case::two_headers(&["\"x\"", "\"a,b\""], true)]
    #[case::invalid_beside_valid(&["x, \"a,b\""], true)]
    #[case::other(&["\"x\""], false)]
    #[case::part_of_it(&["\"a\", \"b\""], false)]
    #[case::longer(&["\"a,b,c\""], false)]
    #[case::no_quotes(&["a,b"], false)]
    #[case::other_case(&["\"A,B\""], false)]
    #[case::small_w(&["w/\"a,b\""], false)]
    #[case::star_in_quotes(&["\"*\""], false)]
    #[case::empty(&[""], false)]
    #[case::missing(&[], false)]
    fn a_known_version_is_named_in_a_list_of_tags(
        #[case] tags: &[&'static str],
        #[case] expected: bool,
    ) {
        assert_eq!(is_known(&with(header::IF_NONE_MATCH, tags), ETAG), expected);
    }

    #[rstest::rstest]
    #[case::same(&["\"a,b\""], false)]
    #[case::in_a_list(&["\"x\", \"a,b\""], false)]
    #[case::two_headers(&["\"x\"", "\"a,b\""], false)]
    #[case::any(&["*"], false)]
    #[case::missing(&[], false)]
    #[case::weak(&["W/\"a,b\""], true)]
    #[case::other(&["\"x\""], true)]
    #[case::no_quotes(&["a,b"], true)]
    #[case::empty(&[""], true)]
    fn another_version_is_one_that_no_strong_tag_names(
        #[case] tags: &[&'static str],
        #[case] expected: bool,
    ) {
        let headers = with(header::IF_MATCH, tags);
        assert_eq!(is_for_another_version(&headers, ETAG), expected);
    }

    #[rstest::rstest]
    #[case::same(&["\"a,b\""], false)]
    #[case::missing(&[], false)]
    #[case::weak(&["W/\"a,b\""], true)]
    #[case::other(&["\"x\""], true)]
    #[case::date(&["Mon, 02 Mar 2026 10:00:00 GMT"], true)]
    #[case::any(&["*"], true)]
    #[case::no_quotes(&["a,b"], true)]
    #[case::empty(&[""], true)]
    fn a_range_belongs_to_the_version_of_its_strong_tag(
        #[case] condition: &[&'static str],
        #[case] expected: bool,
    ) {
        let headers = with(header::IF_RANGE, condition);
        assert_eq!(is_range_of_another_version(&headers, ETAG), expected);
    }
}
