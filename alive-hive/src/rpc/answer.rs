//! Reads what a node answers: one answer ([`read_answer`]) or those to a batch ([`read_batch`]).
//!
//! Results stay slices of the body. Source: `spec/hive.md`, section 6.

use alive_core::Excerpt;
use serde::Deserialize;
use serde_json::{Value, value::RawValue};

use super::{error::RpcError, node_error::NodeError};

/// The members of an answer that count.
#[derive(Deserialize)]
struct Answer<'a> {
    #[serde(borrow, default, deserialize_with = "present")]
    error: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    id: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    jsonrpc: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    result: Option<&'a RawValue>,
}

/// Whose answer it is.
enum Id {
    None,
    Number(u64),
    Other,
}

impl<'a> Answer<'a> {
    fn read(text: &'a [u8]) -> Option<Self> {
        // A derived reader takes an array of the members, too.
        let is_object = text.trim_ascii_start().first() == Some(&b'{');
        let answer: Self = is_object.then(|| serde_json::from_slice(text).ok())??;
        let is_version_2 = answer.jsonrpc.is_some_and(|version| version.get() == r#""2.0""#);
        is_version_2.then_some(answer)
    }

    fn id(&self) -> Id {
        match self.id.map(RawValue::get) {
            None | Some("null") => Id::None,
            Some(id) => id.parse().map_or(Id::Other, Id::Number),
        }
    }

    fn has_error(&self) -> bool {
        self.error.is_some_and(|error| error.get() != "null")
    }

    /// What it says, `None` if it is neither a result nor an error.
    fn outcome(&self) -> Option<Result<&'a RawValue, NodeError>> {
        if self.has_error() {
            let error: Value = serde_json::from_str(self.error?.get()).ok()?;
            return Some(Err(NodeError::read(&error)));
        }
        self.result.map(Ok)
    }
}

/// The result or the error of an answer to the request of that id.
///
/// An error without an id counts: that is how a node answers what it could not read.
pub(super) fn read_answer(body: &[u8], id: u64) -> Result<&RawValue, RpcError> {
    let not_json_rpc = || RpcError::NotJsonRpc(start_of(body));
    let answer = Answer::read(body).ok_or_else(not_json_rpc)?;
    match answer.id() {
        Id::Number(found) if found == id => {}
        Id::None if answer.has_error() => {}
        _ => return Err(RpcError::OtherId),
    }
    Ok(answer.outcome().ok_or_else(not_json_rpc)??)
}

/// What a node answered to a batch.
pub(super) enum BatchAnswer<'a> {
    /// The answer to each request in its place, `None` where there is none.
    Answers(Vec<Option<Result<&'a RawValue, NodeError>>>),
    /// A single error: the node takes no batches, or not this one.
    Refused(NodeError),
}

/// The answers to `count` requests whose ids begin with `first`, in any order.
///
/// An id that was not asked for or stands there twice makes all of them worthless: nobody can tell which is which.
pub(super) fn read_batch(
    body: &[u8],
    first: u64,
    count: usize,
) -> Result<BatchAnswer<'_>, RpcError> {
    let bad = |reason| RpcError::Batch { requests: count, reason };
    let not_json_rpc = || RpcError::NotJsonRpc(start_of(body));
    if let Some(answer) = Answer::read(body) {
        return match answer.outcome() {
            Some(Err(error)) => Ok(BatchAnswer::Refused(error)),
            _ => Err(bad("it is a single answer")),
        };
    }
    let texts: Vec<&RawValue> = serde_json::from_slice(body).map_err(|_| not_json_rpc())?;
    if texts.len() > count {
        return Err(bad("it has more answers than there were requests"));
    }
    let mut answers: Vec<Option<_>> = std::iter::repeat_with(|| None).take(count).collect();
    for text in texts {
        let answer = Answer::read(text.get().as_bytes()).ok_or_else(not_json_rpc)?;
        let index = match answer.id() {
            // It answers something, but not what: that request is as good as unanswered.
            Id::None if answer.has_error() => continue,
            Id::Number(id) => id.checked_sub(first).and_then(|index| usize::try_from(index).ok()),
            Id::None | Id::Other => None,
        };
        let place = index.and_then(|index| answers.get_mut(index));
        match place {
            None => return Err(bad("it answers what was not asked")),
            Some(Some(_)) => return Err(bad("it answers a request twice")),
            Some(place) => *place = Some(answer.outcome().ok_or_else(not_json_rpc)?),
        }
    }
    Ok(BatchAnswer::Answers(answers))
}

/// A member that is there, be it null.
fn present<'de: 'a, 'a, D: serde::Deserializer<'de>>(
    from: D,
) -> Result<Option<&'a RawValue>, D::Error> {
    <&RawValue>::deserialize(from).map(Some)
}

/// What a body that is no JSON-RPC begins with, for the error that says so.
fn start_of(body: &[u8]) -> Excerpt {
    Excerpt::of(&String::from_utf8_lossy(body.get(..256).unwrap_or(body)))
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::json;

    use super::*;

    fn read(body: &str) -> Result<Value, RpcError> {
        let result = read_answer(body.as_bytes(), 7)?;
        Ok(serde_json::from_str(result.get()).unwrap())
    }

    #[test]
    fn results_of_any_kind_are_results() {
        assert_eq!(read(r#"{"jsonrpc":"2.0","result":{},"id":7}"#).unwrap(), json!({}));
        assert_eq!(read(r#"{"jsonrpc":"2.0","result":null,"id":7}"#).unwrap(), json!(null));
        let both = r#"{"jsonrpc":"2.0","error":null,"result":5,"id":7}"#;
        assert_eq!(read(both).unwrap(), json!(5));
    }

    #[rstest]
    #[case(r#"{"jsonrpc":"2.0","result":{},"id":8}"#)]
    #[case(r#"{"jsonrpc":"2.0","result":{},"id":"7"}"#)]
    #[case(r#"{"jsonrpc":"2.0","result":{},"id":null}"#)]
    #[case(r#"{"jsonrpc":"2.0","result":{}}"#)]
    #[case(r#"{"jsonrpc":"2.0","error":{"code":1},"id":8}"#)]
    fn an_answer_to_another_request_is_refused(#[case] body: &str) {
        assert!(matches!(read(body), Err(RpcError::OtherId)));
    }

    #[rstest]
    #[case("")]
    #[case("<html>busy</html>")]
    #[case("[]")]
    #[case("7")]
    #[case(r#"{"jsonrpc":"2.0","id":7}"#)]
    #[case(r#"{"result":{},"id":7}"#)]
    #[case(r#"{"jsonrpc":"1.0","result":{},"id":7}"#)]
    #[case(r#"{"jsonrpc":"2.0","result":{},"id":7"#)]
    #[case(r#"{"jsonrpc":"2.0","result":{},"id":7} x"#)]
    #[case(r#"{"jsonrpc":"2.0","result":1,"result":2,"id":7}"#)]
    fn what_is_no_json_rpc_is_said_with_its_start(#[case] body: &str) {
        assert!(matches!(read(body), Err(RpcError::NotJsonRpc(_))), "{body}");
    }

    #[test]
    fn an_error_without_id_is_still_the_nodes_error() {
        let error = read(r#"{"jsonrpc":"2.0","error":{"code":-32700},"id":null}"#).unwrap_err();
        assert_eq!(error.node().unwrap().code(), -32700);
        assert!(!error.is_transient());
    }

    fn batch(body: &str) -> Result<Vec<Option<Result<String, i64>>>, String> {
        match read_batch(body.as_bytes(), 7, 3).map_err(|error| error.to_string())? {
            BatchAnswer::Refused(error) => Err(format!("refused {}", error.code())),
            BatchAnswer::Answers(answers) => Ok(answers
                .into_iter()
                .map(|one| {
                    one.map(|one| one.map(|r| r.get().to_owned()).map_err(|error| error.code()))
                })
                .collect()),
        }
    }

    #[test]
    fn answers_of_a_batch_go_to_their_requests_in_any_order() {
        let body = r#"[{"jsonrpc":"2.0","result":[9],"id":9},{"jsonrpc":"2.0","error":{"code":5},"id":7}]"#;
        assert_eq!(batch(body), Ok(vec![Some(Err(5)), None, Some(Ok("[9]".into()))]));
        assert_eq!(batch("[]"), Ok(vec![None, None, None]));
        let lost = r#"[{"jsonrpc":"2.0","error":{"code":5},"id":null}]"#;
        assert_eq!(batch(lost), Ok(vec![None, None, None]));
    }

    #[rstest]
    #[case(r#"[{"jsonrpc":"2.0","result":1,"id":7},{"jsonrpc":"2.0","result":2,"id":7}]"#, "twice")]
    #[case(r#"[{"jsonrpc":"2.0","result":1,"id":6}]"#, "not asked")]
    #[case(r#"[{"jsonrpc":"2.0","result":1,"id":10}]"#, "not asked")]
    #[case(r#"[{"jsonrpc":"2.0","result":1,"id":"7"}]"#, "not asked")]
    #[case(r#"[{"jsonrpc":"2.0","result":1}]"#, "not asked")]
    #[case("[1,2,3,4]", "more answers")]
    #[case("[1]", "no JSON-RPC")]
    #[case(r#"[{"jsonrpc":"2.0","id":7}]"#, "no JSON-RPC")]
    #[case(r#"{"jsonrpc":"2.0","result":1,"id":7}"#, "single answer")]
    #[case(r#"{"jsonrpc":"2.0","error":{"code":-32600},"id":null}"#, "refused -32600")]
    #[case("<html>", "no JSON-RPC")]
    #[case(r#"[{"jsonrpc":"2.0","result":1,"id":7}"#, "no JSON-RPC")]
    fn a_batch_that_does_not_fit_its_requests_is_refused(#[case] body: &str, #[case] why: &str) {
        let error = batch(body).unwrap_err();
        assert!(error.contains(why), "{error}");
    }
}
