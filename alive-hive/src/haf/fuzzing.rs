//! What fuzz targets and their stable twins run.

use alive_core::SignedOp;

use super::{iteration::Range, read::read_op};

/// Reads any text as the range of an iteration, and as the two columns of an operation, parted by a zero byte.
///
/// # Panics
/// When what is accepted does not survive its text, or an operation is read otherwise than from a whole body.
pub fn answer(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Ok(Some(range)) = Range::parse(Some(text)) {
        assert!(range.first >= 1 && range.first <= range.last);
        let again = format!("({},{})", range.first, range.last);
        assert!(Range::parse(Some(&again)).is_ok_and(|read| read == Some(range)));
    }
    let Some((auths, json)) = text.split_once('\0') else { return };
    let read = read_op(Some(auths), Some(json));
    if let Ok(auths) = serde_json::from_str::<serde_json::Value>(auths) {
        let value = serde_json::json!({ "id": "x", "required_posting_auths": auths, "json": json });
        let body = serde_json::json!({ "type": "custom_json_operation", "value": value });
        let whole = SignedOp::from_operation_json(&body.to_string(), "x");
        assert_eq!(read.ok(), whole.ok(), "columns and body are the same operation");
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
        fn any_range_is_read(text in r"\(?-?[0-9]{0,11},?[0-9]{0,11}\)?") {
            super::answer(text.as_bytes());
        }

        #[test]
        fn any_operation_is_read(
            auths in r#"(\[("alice"|"bob"|1|\[\]|"")?(,"x")?\]|null|\{\}|"alice"|7|)"#,
            json in r#"\{"op":[0-3],"link":"[a-z]{0,3}"(,"seq":[0-9]{1,3})?\}"#,
        ) {
            super::answer(format!("{auths}\0{json}").as_bytes());
        }
    }
}
