//! Bodies of fuzz targets: whatever a client may send that is parsed here and not by hyper.

pub use crate::api::fuzzing::{query, range};

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn any_bytes_are_a_query(data: Vec<u8>) {
            super::query(&data);
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
