//! What fuzz targets and their stable twins run.

use serde_json::Value;

use super::{
    answer::{BatchAnswer, read_answer, read_batch},
    error::RpcError,
    node_error::NodeError,
};

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

/// Reads any body as the answer to a batch of three requests: each place is filled at most once, with what stands in
/// the body.
///
/// # Panics
/// When that does not hold.
pub fn batch(data: &[u8]) {
    match read_batch(data, 1, 3) {
        Ok(BatchAnswer::Answers(answers)) => {
            assert_eq!(answers.len(), 3, "a place for each request");
            for result in answers.into_iter().flatten().flatten() {
                let text = result.get().as_bytes();
                assert!(data.windows(text.len()).any(|window| window == text), "a slice of it");
            }
        }
        Ok(BatchAnswer::Refused(error)) => assert!(error.to_string().len() < 4096),
        Err(error) => assert!(error.to_string().len() < 512),
    }
}

/// Reads any JSON as the error of an answer: its text is bounded, what it names is a name, and what it says of itself
/// fits together.
///
/// # Panics
/// When that does not hold.
pub fn error_answer(data: &[u8]) {
    let Ok(json) = serde_json::from_slice::<Value>(data) else { return };
    let error = NodeError::read(&json);
    assert!(error.message().chars().count() <= 500, "the message is cut");
    assert!(error.to_string().len() < 4096, "the text is bounded");
    assert!(error.account().is_none_or(crate::is_account_name), "an account is a name");
    let kind = error.kind();
    assert!(error.credits().is_none() || kind == super::NodeErrorKind::NotEnoughRc);
    assert!(error.role().is_none() || kind == super::NodeErrorKind::MissingAuthority);
    assert_eq!(error, NodeError::read(&json), "the same is read twice");
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn any_bytes_are_read(data: Vec<u8>) {
            super::answer(&data);
            super::batch(&data);
            super::error_answer(&data);
        }

        #[test]
        fn any_members_are_read(text in r#"\{("(id|jsonrpc|result|error|code|message|data|stack|format)":(1|2|null|"x"|"2.0"|\[\]|\{\}),?){0,6}\}"#) {
            super::answer(text.as_bytes());
            super::batch(text.as_bytes());
            super::error_answer(text.as_bytes());
        }

        #[test]
        fn any_batch_is_read(texts in prop::collection::vec(
            r#"\{"jsonrpc":"2.0","id":([0-5]|null),"(result|error)":(1|\{"code":-3260[0-3]\}|null)\}"#, 0..5,
        )) {
            super::batch(format!("[{}]", texts.join(",")).as_bytes());
        }

        #[test]
        fn any_words_are_read(
            code in prop::sample::select(vec![-32_601_i64, -32_003, -32_000, 10]),
            inner in prop::sample::select(vec![10_i64, 13, 3_030_000, 4_030_100, 4_100_100]),
            words in "(missing posting authority |account: |account |unknown key: | has | RC, needs |[a-z.-]{0,20}|[0-9]{0,30}|\\$\\{a\\}|.){0,12}",
            member in "[a-z.-]{0,20}",
        ) {
            let stack = serde_json::json!([{ "format": words, "data": { "a": member, "id": 5 } }]);
            let json = serde_json::json!({
                "code": code, "message": words, "data": { "code": inner, "stack": stack },
            });
            super::error_answer(json.to_string().as_bytes());
        }
    }
}
