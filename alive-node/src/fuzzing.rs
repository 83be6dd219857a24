//! Bodies of fuzz targets: whatever a client may send that is parsed here and not by hyper.

pub use crate::api::fuzzing::query;
#[cfg(feature = "chat")]
pub use crate::chat::fuzz_request as chat_request;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn any_bytes_are_a_query(data: Vec<u8>) {
            super::query(&data);
        }

        #[cfg(feature = "chat")]
        #[test]
        fn any_bytes_are_a_request_or_none(data: Vec<u8>, s in "[0-9a-zA-Z\"{},]{0,12}", t: f64, r: u8) {
            super::chat_request(&data);
            let json = format!(r#"{{"u":"bob","n":"avalon","s":"{s}","r":{r},"t":{t}}}"#);
            super::chat_request(json.as_bytes());
        }
    }
}
