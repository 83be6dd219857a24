//! What may be fuzzed of the routes.

use axum::http::{HeaderMap, HeaderValue, header};

use super::{
    gateway,
    query::{Param, Query},
};

/// Any text is a query; each of its names is found again.
///
/// # Panics
/// It is not.
pub fn query(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let query = Query::parse(Some(text));
    assert!(query.names().all(|name| query.get(name) != Param::Absent));
}

/// The first two bytes are a size, the rest a range: it stays within the size.
///
/// # Panics
/// It does not.
pub fn range(data: &[u8]) {
    let Some((size, range)) = data.split_first_chunk() else { return };
    let size = u64::from(u16::from_le_bytes(*size));
    let Ok(range) = HeaderValue::from_bytes(range) else { return };
    let headers = HeaderMap::from_iter([(header::RANGE, range)]);
    if let gateway::Asked::Part(part) = gateway::asked_range(&headers, "", size) {
        assert!(part.start < part.end && part.end <= size, "{part:?} of {size}");
    }
}
