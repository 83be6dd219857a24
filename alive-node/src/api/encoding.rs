//! Which form of a text a client takes: [`takes_gzip`], [`Accepted`].

use alive_storage::serve::http::has;
use axum::http::{HeaderMap, header};

/// What of a request's head decides how a text is sent. It is little, for who waits for a text keeps it meanwhile.
#[derive(Debug)]
pub(super) struct Accepted {
    /// Whether the text may be compressed.
    pub(super) gzip: bool,
    /// The texts that the client has: `If-None-Match` alone.
    known: HeaderMap,
}

impl Accepted {
    /// What a request accepts.
    pub(super) fn of(headers: &HeaderMap) -> Self {
        let mut known = HeaderMap::new();
        for value in headers.get_all(header::IF_NONE_MATCH) {
            known.append(header::IF_NONE_MATCH, value.clone());
        }
        Self { gzip: takes_gzip(headers), known }
    }

    /// Whether the client has the text of this name already.
    pub(super) fn has(&self, etag: &str) -> bool {
        has(&self.known, etag)
    }
}

/// Whether a client takes gzip. Source: RFC 9110, section 12.5.3.
///
/// A weight of zero refuses; other weights do not matter, because there is only one alternative and it is the better one.
pub(crate) fn takes_gzip(headers: &HeaderMap) -> bool {
    let lists = headers.get_all(header::ACCEPT_ENCODING).iter();
    let codings = lists.filter_map(|list| list.to_str().ok()).flat_map(|list| list.split(','));
    let mut any = None;
    for coding in codings {
        let (name, weight) = coding.split_once(';').unwrap_or((coding, ""));
        match name.trim().to_ascii_lowercase().as_str() {
            "gzip" | "x-gzip" => return !is_zero(weight),
            "*" => any = Some(!is_zero(weight)),
            _ => {}
        }
    }
    any.unwrap_or(false)
}

/// Whether parameters such as `q=0.000` refuse.
fn is_zero(parameters: &str) -> bool {
    let mut weights = parameters.split(';').filter_map(|parameter| {
        let (name, value) = parameter.split_once('=')?;
        name.trim().eq_ignore_ascii_case("q").then(|| value.trim())
    });
    let is_zero =
        |value: &str| !value.is_empty() && value.bytes().all(|b| matches!(b, b'0' | b'.'));
    weights.next().is_some_and(is_zero)
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("gzip, deflate, br", true)]
    #[case("br;q=1.0, GZIP;q=0.2", true)]
    #[case("x-gzip", true)]
    #[case("*", true)]
    #[case("identity, *;q=0", false)]
    #[case("gzip;q=0", false)]
    #[case("gzip; q=0.000, *", false)]
    #[case("*;q=0, gzip;q=1", true)]
    #[case("gzip;level=9;q=0", false)]
    #[case("gzip;q=", true)]
    #[case("br, zstd", false)]
    #[case("gzipped", false)]
    #[case("", false)]
    fn gzip_is_taken_where_it_is_not_refused(#[case] value: &str, #[case] takes: bool) {
        let mut headers = HeaderMap::new();
        headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_str(value).unwrap());
        assert_eq!(takes_gzip(&headers), takes, "{value}");
    }

    #[test]
    fn who_says_nothing_gets_plain_text_and_lists_are_joined() {
        let mut headers = HeaderMap::new();
        assert!(!takes_gzip(&headers));
        headers.append(header::ACCEPT_ENCODING, HeaderValue::from_static("br"));
        headers.append(header::ACCEPT_ENCODING, HeaderValue::from_static("gzip"));
        assert!(takes_gzip(&headers));
    }
}
