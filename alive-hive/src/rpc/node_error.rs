//! What a node answers instead of a result: [`NodeError`], told apart by what a caller does about it.

use std::fmt;

use alive_core::Excerpt;
use serde_json::Value;

/// An error that a node answered.
///
/// hived's codes and texts differ between versions, so the kind is found by code first and words second.
/// Source: `spec/hive.md`, section 6.1.
///
/// ```
/// use alive_hive::rpc::{NodeError, NodeErrorKind, Remedy};
/// let error = NodeError::read(&serde_json::json!({
///     "code": -32003,
///     "message": "Assert Exception: Duplicate transaction check failed",
///     "data": { "code": 10, "name": "assert_exception", "stack": [] },
/// }));
/// assert_eq!(error.kind(), NodeErrorKind::Duplicate);
/// assert_eq!(error.kind().remedy(), Remedy::Done);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeError {
    code: i64,
    inner_code: Option<i64>,
    kind: NodeErrorKind,
    message: Box<str>,
}

/// What went wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum NodeErrorKind {
    /// The parameters are not those of the method.
    BadParams,
    /// The node is busy with something else.
    Busy,
    /// The account has sent as many custom operations as one block takes.
    CustomOpLimit,
    /// The transaction is known already.
    Duplicate,
    /// The same key signed twice.
    DuplicateSignature,
    /// The transaction is expired, or expires too late.
    Expiration,
    /// The signatures do not meet an authority.
    MissingAuthority,
    /// The account cannot pay with its resource credits.
    NotEnoughRc,
    /// Anything else.
    Other,
    /// A signature is not of the form that the chain takes.
    Signature,
    /// The block that the transaction leans on is not part of the chain.
    Tapos,
    /// There is no such account.
    UnknownAccount,
    /// The node does not have this method.
    UnknownMethod,
}

/// What to do about an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Remedy {
    /// Nothing: what was asked has been done before.
    Done,
    /// Give up: the same will fail everywhere and later.
    Fail,
    /// Ask another node.
    NextNode,
    /// Build and sign the transaction anew.
    Rebuild,
    /// Send the same later.
    Wait,
}

impl NodeErrorKind {
    /// What to do about it. Source: `spec/hive.md`, sections 5.5 and 6.1.
    pub fn remedy(self) -> Remedy {
        match self {
            Self::Busy | Self::UnknownMethod => Remedy::NextNode,
            Self::CustomOpLimit | Self::NotEnoughRc => Remedy::Wait,
            Self::Duplicate => Remedy::Done,
            Self::Expiration | Self::Tapos => Remedy::Rebuild,
            Self::BadParams
            | Self::DuplicateSignature
            | Self::MissingAuthority
            | Self::Other
            | Self::Signature
            | Self::UnknownAccount => Remedy::Fail,
        }
    }
}

/// Inner codes of hived. Source: `spec/hive.md`, section 6.1.
const INNER_CODES: [(i64, NodeErrorKind); 8] = [
    (13, NodeErrorKind::UnknownAccount),
    (3_010_000, NodeErrorKind::MissingAuthority),
    (3_020_000, NodeErrorKind::MissingAuthority),
    (3_030_000, NodeErrorKind::MissingAuthority),
    (3_060_000, NodeErrorKind::DuplicateSignature),
    (4_030_100, NodeErrorKind::Expiration),
    (4_030_200, NodeErrorKind::Tapos),
    (4_100_100, NodeErrorKind::NotEnoughRc),
];

/// Words that tell, in lower case, where the code does not. Source: `spec/hive.md`, sections 5.5 and 6.1.
const WORDS: [(&str, NodeErrorKind); 11] = [
    ("duplicate transaction check failed", NodeErrorKind::Duplicate),
    ("duplicate signature", NodeErrorKind::DuplicateSignature),
    ("transaction expiration exception", NodeErrorKind::Expiration),
    ("transaction tapos exception", NodeErrorKind::Tapos),
    ("missing required ", NodeErrorKind::MissingAuthority),
    ("missing posting authority", NodeErrorKind::MissingAuthority),
    ("signature is not canonical", NodeErrorKind::Signature),
    ("please wait to transact", NodeErrorKind::NotEnoughRc),
    ("already submitted", NodeErrorKind::CustomOpLimit),
    ("unknown key", NodeErrorKind::UnknownAccount),
    ("unable to acquire", NodeErrorKind::Busy),
];

impl NodeError {
    /// Longest message that is kept, in characters. Nodes answer with whole transactions inside.
    const MAX_MESSAGE: usize = 500;

    /// Reads the `error` member of an answer, whatever it holds.
    pub fn read(error: &Value) -> Self {
        let code = error.get("code").and_then(Value::as_i64).unwrap_or_default();
        let data = error.get("data");
        let inner_code = data.and_then(|data| data.get("code")).and_then(Value::as_i64);
        let message = error.get("message").and_then(Value::as_str).unwrap_or_default();
        let stack = data.and_then(|data| data.get("stack")).and_then(Value::as_array);
        let formats = stack.into_iter().flatten().filter_map(|frame| frame.get("format")?.as_str());
        let words = formats
            .fold(message.to_lowercase(), |words, format| words + "\n" + &format.to_lowercase());
        Self {
            code,
            inner_code,
            kind: kind_of(code, inner_code, &words),
            message: message.chars().take(Self::MAX_MESSAGE).collect(),
        }
    }

    /// The JSON-RPC code.
    pub fn code(&self) -> i64 {
        self.code
    }

    /// The code of hived's own exception, if it named one.
    pub fn inner_code(&self) -> Option<i64> {
        self.inner_code
    }

    /// What went wrong.
    pub fn kind(&self) -> NodeErrorKind {
        self.kind
    }

    /// The node's words, cut to 500 characters.
    pub fn message(&self) -> &str {
        &self.message
    }
}

fn kind_of(code: i64, inner: Option<i64>, words: &str) -> NodeErrorKind {
    let by_code = inner.and_then(|inner| INNER_CODES.iter().find(|(known, _)| *known == inner));
    // Words are many nodes' only sign of what happened, but a code of its own cannot be mistaken.
    if let Some((_, kind)) = by_code {
        return *kind;
    }
    if let Some((_, kind)) = WORDS.iter().find(|(known, _)| words.contains(known)) {
        return *kind;
    }
    match code {
        -32_601 => NodeErrorKind::UnknownMethod,
        -32_603 => NodeErrorKind::Busy,
        -32_600 | -32_602 | -32_002 | -32_001 => NodeErrorKind::BadParams,
        _ => NodeErrorKind::Other,
    }
}

impl fmt::Display for NodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let message: String =
            self.message.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        if self.message.is_empty() {
            return write!(f, "the node answered error {} without a word", self.code);
        }
        write!(f, "the node answered error {}: {message}", self.code)
    }
}

impl std::error::Error for NodeError {}

/// What a body that is no JSON-RPC begins with, for the error that says so.
pub(super) fn start_of(body: &[u8]) -> Excerpt {
    Excerpt::of(&String::from_utf8_lossy(body.get(..256).unwrap_or(body)))
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::json;

    use super::*;

    #[rstest]
    #[case(json!({ "code": -32601, "message": "Could not find API" }), NodeErrorKind::UnknownMethod)]
    #[case(json!({ "code": -32603, "message": "Internal Error" }), NodeErrorKind::Busy)]
    #[case(json!({ "code": -32003, "message": "Unable to acquire READ lock" }), NodeErrorKind::Busy)]
    #[case(json!({ "code": -32002, "message": "bad" }), NodeErrorKind::BadParams)]
    #[case(json!({ "code": -32000, "message": "?" }), NodeErrorKind::Other)]
    #[case(json!({ "code": "x", "message": 5, "data": [] }), NodeErrorKind::Other)]
    #[case(json!(null), NodeErrorKind::Other)]
    #[case(
        json!({ "code": -32000, "message": "Assert", "data": { "code": 10, "stack": [
            null, { "format": "Account already submitted ${n} custom json operation(s) this block." },
        ] } }),
        NodeErrorKind::CustomOpLimit
    )]
    #[case(
        json!({ "code": -32003, "message": "alice has 1 RC, needs 2 RC. Please wait to transact or power up HIVE." }),
        NodeErrorKind::NotEnoughRc
    )]
    #[case(
        json!({ "code": -32003, "message": "?", "data": { "code": 4_030_200 } }),
        NodeErrorKind::Tapos
    )]
    fn kinds_are_told_by_codes_and_words(#[case] error: Value, #[case] kind: NodeErrorKind) {
        assert_eq!(NodeError::read(&error).kind(), kind);
    }

    #[test]
    fn a_message_of_any_length_is_cut() {
        let error = NodeError::read(&json!({ "code": 1, "message": "é".repeat(100_000) }));
        assert_eq!(error.message().chars().count(), NodeError::MAX_MESSAGE);
    }
}
