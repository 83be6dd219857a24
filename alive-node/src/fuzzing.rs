//! Bodies of fuzz targets: whatever a client may send that is parsed here and not by hyper.

pub use crate::api::fuzzing::query;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn any_bytes_are_a_query(data: Vec<u8>) {
            super::query(&data);
        }
    }
}
