//! What may be fuzzed of the routes.

use super::query::{Param, Query};

/// Any text is a query; each of its names is found again.
///
/// # Panics
/// It is not.
pub fn query(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let query = Query::parse(Some(text));
    assert!(query.names().all(|name| query.get(name) != Param::Absent));
}
