//! Headers that every cacheable answer needs.

use axum::{
    body::Body,
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse as _, Response},
};

/// Whether the client has the answer with this entity tag already. Source: RFC 9110, section 13.1.2.
pub fn has(headers: &HeaderMap, etag: &str) -> bool {
    let opaque = |tag: &str| tag.strip_prefix("W/").unwrap_or(tag).to_owned();
    let lists = headers.get_all(header::IF_NONE_MATCH).iter().filter_map(|list| list.to_str().ok());
    lists
        .flat_map(|list| list.split(','))
        .map(str::trim)
        .any(|known| known == "*" || opaque(known) == opaque(etag))
}

/// "You have it already", with the headers that the whole answer would have.
pub fn not_modified(headers: HeaderMap) -> Response {
    (StatusCode::NOT_MODIFIED, headers, Body::empty()).into_response()
}

/// Sets a header; text that cannot be a header's value is left out.
pub fn set(headers: &mut HeaderMap, name: HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.insert(name, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_is_found_in_a_list_weak_or_strong() {
        let asked = |value: &str| {
            let mut headers = HeaderMap::new();
            set(&mut headers, header::IF_NONE_MATCH, value);
            headers
        };
        for list in ["\"a\"", "\"b\", \"a\"", "W/\"a\"", "*"] {
            assert!(has(&asked(list), "\"a\""), "{list}");
            assert!(has(&asked(list), "W/\"a\""), "{list}");
        }
        assert!(!has(&asked("\"b\""), "\"a\""));
        assert!(!has(&HeaderMap::new(), "\"a\""));
    }
}
