//! What may be fuzzed of the HTTP face.

use axum::http::{HeaderMap, HeaderValue, header};

use super::gateway::{Asked, asked_range};

/// The first two bytes are a size, the rest a range: it stays within the size.
///
/// # Panics
/// It does not.
pub fn range(data: &[u8]) {
    let Some((size, range)) = data.split_first_chunk() else { return };
    let size = u64::from(u16::from_le_bytes(*size));
    let Ok(range) = HeaderValue::from_bytes(range) else { return };
    let headers = HeaderMap::from_iter([(header::RANGE, range)]);
    if let Asked::Part(part) = asked_range(&headers, "", size) {
        assert!(part.start < part.end && part.end <= size, "{part:?} of {size}");
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn any_bytes_are_a_range(data: Vec<u8>) {
            super::range(&data);
        }

        #[test]
        fn what_looks_like_a_range_is_one(text in "[ -~]{2}bytes=[0-9]{0,21}-[0-9]{0,21}") {
            super::range(text.as_bytes());
        }
    }
}
