//! What may be fuzzed of the HTTP face.

use axum::http::{HeaderMap, HeaderValue, header};
use bytes::Bytes;

use super::{
    gateway::{Asked, asked_range},
    upload,
};

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

/// A body of an upload, whose first two bytes say where it is cut: it gives the same parts, or is refused, wherever that is,
/// and the parts have no more bytes than it.
///
/// # Panics
/// It does not.
#[expect(clippy::unwrap_used, reason = "a runtime without I/O is always made")]
pub fn multipart(data: &[u8]) {
    let Some((cut, body)) = data.split_first_chunk() else { return };
    let cut = usize::from(u16::from_le_bytes(*cut)) % (body.len() + 1);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let read = |pieces: &[&[u8]]| {
        let pieces = pieces.iter().map(|piece| Bytes::copy_from_slice(piece)).collect();
        runtime.block_on(upload::read(pieces, 1 << 20)).ok()
    };
    let whole = read(&[body]);
    let (start, end) = body.split_at(cut);
    assert_eq!(read(&[start, end]), whole, "cut at {cut}");
    let bytes: usize = whole.iter().flatten().map(|(name, bytes)| name.len() + bytes.len()).sum();
    assert!(bytes <= body.len(), "{bytes} bytes in an upload of {}", body.len());
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn any_bytes_are_an_upload(data: Vec<u8>) {
            super::multipart(&data);
        }

        #[test]
        fn what_is_nearly_an_upload_is_one(
            parts in prop::collection::vec(("[a-z./%\"]{0,9}", "(\r|\n|-|x|--x){0,9}"), 0..4),
            cut: [u8; 2],
            end in "(--x--|--x|\r\n|-){0,3}",
        ) {
            let mut body = cut.to_vec();
            for (name, bytes) in parts {
                let head = "--x\r\nContent-Disposition: form-data; name=\"file\"; filename=";
                body.extend(format!("{head}\"{name}\"\r\n\r\n{bytes}\r\n").bytes());
            }
            body.extend(end.bytes());
            super::multipart(&body);
        }

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
