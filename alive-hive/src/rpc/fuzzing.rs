//! What fuzz targets and their stable twins run.

use super::client::{RpcError, read_answer};

/// Reads any body as the answer to request 1: a result, or an error whose text is bounded.
///
/// # Panics
/// When that does not hold.
pub fn answer(data: &[u8]) {
    match read_answer(data, 1) {
        Ok(result) => {
            let again = format!(r#"{{"jsonrpc":"2.0","result":{result},"id":1}}"#);
            let read = read_answer(again.as_bytes(), 1);
            assert!(read.is_ok_and(|read| read.get() == result.get()), "its text is whole");
        }
        Err(RpcError::Node(error)) => assert!(error.to_string().len() < 4096),
        Err(error) => assert!(error.to_string().len() < 512),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn any_bytes_are_read(data: Vec<u8>) {
            super::answer(&data);
        }

        #[test]
        fn any_members_are_read(text in r#"\{("(id|result|error|code|message|data|stack|format)":(1|null|"x"|\[\]|\{\}),?){0,6}\}"#) {
            super::answer(text.as_bytes());
        }
    }
}
