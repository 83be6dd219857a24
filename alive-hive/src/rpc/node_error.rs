//! What a node answers instead of a result: [`NodeError`], told apart by what a caller does about it.

use std::fmt;

use serde_json::Value;

use crate::{keys::Role, validate::is_account_name};

/// An error that a node answered.
///
/// hived's codes and texts differ between versions, so the kind is found by code first and words second. The words are
/// those of the message and of the stack, whose placeholders are filled from the data beside them.
/// Source: `spec/hive.md`, section 6.1.
///
/// ```
/// use alive_hive::rpc::{NodeError, NodeErrorKind, Remedy};
/// let error = NodeError::read(&serde_json::json!({
///     "code": -32003,
///     "message": "payer has not enough RC mana for transaction",
///     "data": { "code": 4_100_100, "name": "not_enough_rc_exception", "stack": [{
///         "format": "Account: ${account} has ${rc_current} RC, needs ${rc_needed} RC. Please wait to transact or power up HIVE.",
///         "data": { "account": "alice", "rc_current": 5, "rc_needed": "7" },
///     }] },
/// }));
/// assert_eq!(error.kind(), NodeErrorKind::NotEnoughRc);
/// assert_eq!(error.kind().remedy(), Remedy::Wait);
/// assert_eq!(error.account(), Some("alice"));
/// let credits = error.credits().unwrap();
/// assert_eq!((credits.has, credits.needs), (5, 7));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeError {
    code: i64,
    inner_code: Option<i64>,
    kind: NodeErrorKind,
    message: Box<str>,
    /// The whole of it, unless it is very long.
    #[cfg(feature = "forward")]
    json: Option<Box<str>>,
    account: Option<Box<str>>,
    credits: Option<Credits>,
    role: Option<Role>,
}

/// Resource credits of an account that cannot pay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Credits {
    /// What it has.
    pub has: u64,
    /// What the transaction costs.
    pub needs: u64,
}

/// What went wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum NodeErrorKind {
    /// The parameters are not those of the method.
    BadParams,
    /// The node's chain is older than the call allows.
    Behind,
    /// The node is busy with something else.
    Busy,
    /// The account has sent as many custom operations as one block takes.
    CustomOpLimit,
    /// The transaction is known already.
    Duplicate,
    /// The same key signed twice.
    DuplicateSignature,
    /// The transaction is expired.
    Expired,
    /// The transaction expires later than the chain allows.
    ExpiresTooLate,
    /// A signature is more than the operations need, and the chain refuses such.
    IrrelevantSignature,
    /// The signatures do not meet an authority: see [`NodeError::role`] and [`NodeError::account`].
    MissingAuthority,
    /// The account cannot pay with its resource credits: see [`NodeError::credits`].
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
    /// Build and sign the transaction anew, once this one cannot be in a block any more.
    Rebuild,
    /// Send the same later: credits come back within five days.
    Wait,
    /// Send the same after the next block.
    WaitBlock,
}

impl NodeErrorKind {
    /// What to do about it. Source: `spec/hive.md`, sections 5.5 and 6.1.
    pub fn remedy(self) -> Remedy {
        match self {
            Self::Behind | Self::Busy | Self::UnknownMethod => Remedy::NextNode,
            Self::CustomOpLimit => Remedy::WaitBlock,
            Self::Duplicate => Remedy::Done,
            Self::Expired | Self::ExpiresTooLate | Self::Tapos => Remedy::Rebuild,
            Self::NotEnoughRc => Remedy::Wait,
            Self::BadParams
            | Self::DuplicateSignature
            | Self::IrrelevantSignature
            | Self::MissingAuthority
            | Self::Other
            | Self::Signature
            | Self::UnknownAccount => Remedy::Fail,
        }
    }

    /// Whether the same call may succeed, later or elsewhere.
    pub fn is_transient(self) -> bool {
        match self.remedy() {
            // Where no node has the method, asking again does not give it one.
            Remedy::NextNode => self != Self::UnknownMethod,
            Remedy::Wait | Remedy::WaitBlock => true,
            Remedy::Done | Remedy::Fail | Remedy::Rebuild => false,
        }
    }
}

/// Inner codes of hived. Source: `spec/hive.md`, section 6.1.
const INNER_CODES: [(i64, NodeErrorKind); 9] = [
    (13, NodeErrorKind::UnknownAccount),
    (3_010_000, NodeErrorKind::MissingAuthority),
    (3_020_000, NodeErrorKind::MissingAuthority),
    (3_030_000, NodeErrorKind::MissingAuthority),
    (3_050_000, NodeErrorKind::IrrelevantSignature),
    (3_060_000, NodeErrorKind::DuplicateSignature),
    (4_030_100, NodeErrorKind::Expired),
    (4_030_200, NodeErrorKind::Tapos),
    (4_100_100, NodeErrorKind::NotEnoughRc),
];

/// Words that tell, in lower case, where the code does not. Source: `spec/hive.md`, sections 5.5 and 6.1; those of
/// gateways and of nodes without an API are from what clients of many years look for.
const WORDS: [(&str, NodeErrorKind); 22] = [
    ("duplicate transaction check failed", NodeErrorKind::Duplicate),
    ("duplicate signature", NodeErrorKind::DuplicateSignature),
    ("irrelevant signature", NodeErrorKind::IrrelevantSignature),
    ("unnecessary signature", NodeErrorKind::IrrelevantSignature),
    ("transaction expiration exception", NodeErrorKind::Expired),
    ("now < trx.expiration", NodeErrorKind::Expired),
    ("transaction tapos exception", NodeErrorKind::Tapos),
    ("missing required ", NodeErrorKind::MissingAuthority),
    ("missing posting authority", NodeErrorKind::MissingAuthority),
    ("missing active authority", NodeErrorKind::MissingAuthority),
    ("missing owner authority", NodeErrorKind::MissingAuthority),
    ("signature is not canonical", NodeErrorKind::Signature),
    ("please wait to transact", NodeErrorKind::NotEnoughRc),
    ("not enough rc mana", NodeErrorKind::NotEnoughRc),
    ("already submitted", NodeErrorKind::CustomOpLimit),
    ("unknown key", NodeErrorKind::UnknownAccount),
    ("unable to acquire", NodeErrorKind::Busy),
    ("upstream response", NodeErrorKind::Busy),
    ("request timeout", NodeErrorKind::Busy),
    ("max_block_age", NodeErrorKind::Behind),
    ("could not find api", NodeErrorKind::UnknownMethod),
    ("could not find method", NodeErrorKind::UnknownMethod),
];

/// What an expiration that is too far ahead is told by: hived's assertion, its argument, our development node's words.
const TOO_LATE: [&str; 3] = ["max_til_exp", "trx.expiration <= now", "more than a day after"];

impl NodeError {
    /// Longest message that is kept, in characters. Nodes answer with whole transactions inside.
    const MAX_MESSAGE: usize = 500;
    /// Longest error that is kept whole, in bytes: a transaction of the largest size fits.
    #[cfg(feature = "forward")]
    const MAX_JSON: usize = 256 << 10;
    /// Frames of the stack that are read. Our own limit; hived has one to three.
    const MAX_FRAMES: usize = 16;

    /// Reads the `error` member of an answer, whatever it holds.
    pub fn read(error: &Value) -> Self {
        let code = error.get("code").and_then(Value::as_i64).unwrap_or_default();
        let data = error.get("data");
        let inner_code = data.and_then(|data| data.get("code")).and_then(Value::as_i64);
        let message = error.get("message").and_then(Value::as_str).unwrap_or_default();
        let said = Said::read(message, data);
        let kind = said.kind(code, inner_code);
        Self {
            code,
            inner_code,
            kind,
            message: said.shown(message).chars().take(Self::MAX_MESSAGE).collect(),
            #[cfg(feature = "forward")]
            json: Some(error.to_string())
                .filter(|json| json.len() <= Self::MAX_JSON)
                .map(String::into_boxed_str),
            account: said.account(kind),
            credits: said.credits().filter(|_| kind == NodeErrorKind::NotEnoughRc),
            role: said.role(inner_code).filter(|_| kind == NodeErrorKind::MissingAuthority),
        }
    }

    /// The account that the error is about, where the node named one: that lacks an authority or credits, sent too many
    /// custom operations, or is unknown.
    pub fn account(&self) -> Option<&str> {
        self.account.as_deref()
    }

    /// The JSON-RPC code.
    pub fn code(&self) -> i64 {
        self.code
    }

    /// What an account that cannot pay has and needs, where the node said it.
    pub fn credits(&self) -> Option<Credits> {
        self.credits
    }

    /// The code of hived's own exception, if it named one.
    pub fn inner_code(&self) -> Option<i64> {
        self.inner_code
    }

    /// What the node said, to pass it on: the `error` member of its answer. One that was too long to keep is told in short.
    #[cfg(feature = "forward")]
    pub(crate) fn to_json(&self) -> Value {
        let whole = self.json.as_deref().and_then(|json| serde_json::from_str(json).ok());
        let short = || serde_json::json!({ "code": self.code, "message": &*self.message });
        whole.unwrap_or_else(short)
    }

    /// What went wrong.
    pub fn kind(&self) -> NodeErrorKind {
        self.kind
    }

    /// The node's words, cut to 500 characters: the message, and the first frame of the stack if the message does not
    /// hold it.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// The authority that is missing, where the node said which.
    pub fn role(&self) -> Option<Role> {
        self.role
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

/// Everything that an error says in words.
struct Said<'a> {
    /// The frames of the stack, filled in.
    frames: Vec<String>,
    /// The data of the frames.
    data: Vec<&'a Value>,
    /// The message and all frames, in lower case.
    words: String,
}

impl<'a> Said<'a> {
    fn read(message: &str, data: Option<&'a Value>) -> Self {
        let stack = data.and_then(|data| data.get("stack")).and_then(Value::as_array);
        let stack = stack.into_iter().flatten().take(NodeError::MAX_FRAMES);
        let (mut frames, mut values) = (Vec::new(), Vec::new());
        for frame in stack {
            let value = frame.get("data").unwrap_or(&Value::Null);
            if let Some(format) = frame.get("format").and_then(Value::as_str) {
                frames.push(fill(format, value));
            }
            values.push(value);
        }
        // hived 1.28 puts the assertion here instead of into the text.
        let assertion = data.and_then(|data| data.get("extension"));
        let assertion = assertion.and_then(|data| data.get("assertion_expression"));
        let inner = data.and_then(|data| data.get("message"));
        let mut words = message.to_lowercase();
        for text in [inner, assertion].into_iter().flatten().filter_map(Value::as_str) {
            words = words + "\n" + &text.to_lowercase();
        }
        for frame in &frames {
            words = words + "\n" + &frame.to_lowercase();
        }
        Self { frames, data: values, words }
    }

    fn kind(&self, code: i64, inner: Option<i64>) -> NodeErrorKind {
        let by_code =
            INNER_CODES.iter().find(|(known, _)| Some(*known) == inner).map(|(_, kind)| *kind);
        let by_words = || {
            let found = WORDS.iter().find(|(known, _)| self.words.contains(known));
            found.map(|(_, kind)| *kind)
        };
        // Words are many nodes' only sign of what happened, but a code of its own cannot be mistaken.
        match by_code.or_else(by_words) {
            Some(NodeErrorKind::Expired) if self.is_too_late() => NodeErrorKind::ExpiresTooLate,
            Some(kind) => kind,
            None => match code {
                -32_601 => NodeErrorKind::UnknownMethod,
                -32_603 => NodeErrorKind::Busy,
                -32_600 | -32_602 | -32_002 | -32_001 => NodeErrorKind::BadParams,
                _ => NodeErrorKind::Other,
            },
        }
    }

    /// hived has one exception for both ends of the time that an expiration may have.
    fn is_too_late(&self) -> bool {
        TOO_LATE.iter().any(|known| self.words.contains(known))
            || self.data.iter().any(|data| data.get("max_til_exp").is_some())
    }

    /// The message, with the first frame where the message is only its class.
    fn shown(&self, message: &str) -> String {
        match self.frames.iter().find(|frame| !frame.is_empty()) {
            Some(frame) if !message.contains(frame.as_str()) => format!("{message}: {frame}"),
            _ => message.to_owned(),
        }
    }

    fn credits(&self) -> Option<Credits> {
        let (before, after) = self.words.split_once(" rc, needs ")?;
        let has = before.rsplit(|c: char| !c.is_ascii_digit()).next()?;
        let needs = after.split(|c: char| !c.is_ascii_digit()).next()?;
        Some(Credits { has: has.parse().ok()?, needs: needs.parse().ok()? })
    }

    fn role(&self, inner: Option<i64>) -> Option<Role> {
        match inner {
            Some(3_010_000) => return Some(Role::Active),
            Some(3_020_000) => return Some(Role::Owner),
            Some(3_030_000) => return Some(Role::Posting),
            _ => {}
        }
        [Role::Active, Role::Owner, Role::Posting].into_iter().find(|role| {
            let text = |start| format!("{start}{role} authority");
            self.words.contains(&text("missing "))
                || self.words.contains(&text("missing required "))
        })
    }

    fn account(&self, kind: NodeErrorKind) -> Option<Box<str>> {
        // What stands before the name, and after it.
        let (starts, end): (&[&str], _) = match kind {
            NodeErrorKind::CustomOpLimit => (&["account "], " already"),
            NodeErrorKind::NotEnoughRc => (&["account: ", "account "], " has "),
            NodeErrorKind::MissingAuthority => (
                &[
                    "missing posting authority ",
                    "missing active authority ",
                    "missing owner authority ",
                ],
                "",
            ),
            NodeErrorKind::UnknownAccount => {
                (&["no account ", "unknown key: ", "unknown account "], "")
            }
            _ => return None,
        };
        let in_words = || starts.iter().find_map(|start| self.name_between(start, end));
        let in_data = || {
            let named = |data: &&Value| {
                ["account", "a", "id", "name"].iter().find_map(|key| name_in(data.get(key)?))
            };
            self.data.iter().find_map(named)
        };
        in_words().or_else(in_data)
    }

    /// The account name that stands between these words anywhere.
    fn name_between(&self, start: &str, end: &str) -> Option<Box<str>> {
        self.words.match_indices(start).find_map(|(at, _)| {
            // Names are often quoted.
            let rest = self.words.get(at + start.len()..)?.trim_start_matches(['"', '@']);
            let len = rest.find(|c| !is_of_name(c)).unwrap_or(rest.len());
            let (name, after) = rest.split_at_checked(len)?;
            let name = name.trim_end_matches('.');
            (after.starts_with(end) && is_account_name(name)).then(|| name.into())
        })
    }
}

/// Fills the placeholders of a format, such as `${account}`. What the data does not have stays as it is.
fn fill(format: &str, data: &Value) -> String {
    let mut filled = String::new();
    let mut rest = format;
    while let Some((before, after)) = rest.split_once("${") {
        filled.push_str(before);
        let member = after.split_once('}').and_then(|(name, tail)| Some((data.get(name)?, tail)));
        match member {
            Some((Value::String(text), tail)) => {
                filled.extend(text.chars().take(NodeError::MAX_MESSAGE));
                rest = tail;
            }
            Some((value @ (Value::Bool(_) | Value::Number(_)), tail)) => {
                filled.push_str(&value.to_string());
                rest = tail;
            }
            _ => {
                filled.push_str("${");
                rest = after;
            }
        }
        if filled.len() > 4 * NodeError::MAX_MESSAGE {
            return filled;
        }
    }
    filled.push_str(rest);
    filled
}

fn name_in(value: &Value) -> Option<Box<str>> {
    value.as_str().filter(|name| is_account_name(name)).map(Into::into)
}

fn is_of_name(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '-' | '.')
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

    /// Shapes as nodes answered them; names, ids and long texts are shortened.
    #[rstest]
    // hived 1.28 over a public gateway: the assertion stands beside the stack.
    #[case(
        json!({
            "code": -32003,
            "message": "payer has not enough RC mana for transaction:has_mana: Account: spacecop has 21319011516 RC, needs 23338899909 RC. Please wait to transact or power up HIVE.",
            "data": {
                "code": 4_100_100, "name": "not_enough_rc_exception",
                "message": "payer has not enough RC mana for transaction",
                "extension": { "assertion_expression": "has_mana" },
            },
        }),
        NodeErrorKind::NotEnoughRc, Some("spacecop"), None
    )]
    // An older node: the words are only in the stack, with places for the values.
    #[case(
        json!({
            "code": -32000,
            "message": "Assert Exception:false: Account: ${account} has ${rc_current} RC",
            "data": { "code": 10, "name": "assert_exception", "message": "Assert Exception", "stack": [{
                "context": { "level": "error", "file": "rc_plugin.cpp", "line": 310 },
                "format": "Account: ${account} has ${rc_current} RC, needs ${rc_needed} RC. Please wait to transact or power up HIVE.",
                "data": { "account": "spacecop", "rc_needed": "23338899909", "rc_current": 21_319_011_516_u64 },
            }] },
        }),
        NodeErrorKind::NotEnoughRc, Some("spacecop"), None
    )]
    #[case(
        json!({
            "code": -32003,
            "message": "missing required posting authority:Missing Posting Authority alice",
            "data": { "code": 3_030_000, "name": "tx_missing_posting_auth", "message": "missing required posting authority", "stack": [{
                "context": { "level": "error", "file": "transaction_util.cpp", "line": 53 },
                "format": "Missing Posting Authority ${id}",
                "data": { "id": "alice", "posting": {}, "active": {}, "owner": {} },
            }] },
        }),
        NodeErrorKind::MissingAuthority, Some("alice"), Some(Role::Posting)
    )]
    #[case(
        json!({
            "code": -32000, "message": "missing required active authority: Missing Active Authority bob.x-1",
            "data": { "stack": [] },
        }),
        NodeErrorKind::MissingAuthority, Some("bob.x-1"), Some(Role::Active)
    )]
    #[case(
        json!({ "code": -32000, "message": "Missing Owner Authority alice." }),
        NodeErrorKind::MissingAuthority, Some("alice"), Some(Role::Owner)
    )]
    #[case(
        json!({
            "code": -32003,
            "message": "Assert Exception:!is_over: Account alice already submitted 5 custom json operation(s) this block.",
            "data": { "code": 10, "stack": [{
                "format": "Account ${a} already submitted ${n} custom json operation(s) this block.",
                "data": { "a": "alice", "n": 5 },
            }] },
        }),
        NodeErrorKind::CustomOpLimit, Some("alice"), None
    )]
    #[case(
        json!({
            "code": -32003, "message": "unknown key: ",
            "data": { "code": 13, "name": "N5boost16exception_detail10clone_implE", "message": "unknown key", "stack": [{
                "format": "unknown key: ", "data": { "what": "unknown key", "name": "nobody" },
            }] },
        }),
        NodeErrorKind::UnknownAccount, Some("nobody"), None
    )]
    // One exception for both ends: the data tells which.
    #[case(
        json!({
            "code": -32003, "message": "transaction expiration exception:now < trx.expiration: ",
            "data": { "code": 4_030_100, "name": "transaction_expiration_exception", "stack": [{
                "format": "", "data": { "now": "2026-11-21T00:01:00", "trx.exp": "2026-11-21T00:00:00" },
            }] },
        }),
        NodeErrorKind::Expired, None, None
    )]
    #[case(
        json!({
            "code": -32003, "message": "transaction expiration exception",
            "data": { "code": 4_030_100, "stack": [{ "format": "", "data": {
                "trx.expiration": "2026-11-23T00:00:00", "now": "2026-11-21T00:00:00", "max_til_exp": 86400,
            } }] },
        }),
        NodeErrorKind::ExpiresTooLate, None, None
    )]
    #[case(
        json!({ "code": -32003, "message": "trx.expiration <= now + fc::seconds(HIVE_MAX_TIME_UNTIL_EXPIRATION): transaction expiration exception" }),
        NodeErrorKind::ExpiresTooLate, None, None
    )]
    #[case(
        json!({ "code": -32003, "message": "irrelevant signature included", "data": { "code": 3_050_000 } }),
        NodeErrorKind::IrrelevantSignature, None, None
    )]
    #[case(
        json!({ "code": -32003, "message": "Assert Exception:fc::time_point::now() - head < max_block_age" }),
        NodeErrorKind::Behind, None, None
    )]
    // A gateway in front of hived.
    #[case(
        json!({ "code": 1100, "message": "Bad or missing upstream response", "data": { "error_id": "c7a15140" } }),
        NodeErrorKind::Busy, None, None
    )]
    #[case(
        json!({ "code": -32000, "message": "Assert Exception:api_itr != _registered_apis.end(): Could not find API rc_api" }),
        NodeErrorKind::UnknownMethod, None, None
    )]
    fn recorded_answers_give_what_they_are_about(
        #[case] error: Value,
        #[case] kind: NodeErrorKind,
        #[case] account: Option<&str>,
        #[case] role: Option<Role>,
    ) {
        let error = NodeError::read(&error);
        assert_eq!((error.kind(), error.account(), error.role()), (kind, account, role), "{error}");
        let credits = Credits { has: 21_319_011_516, needs: 23_338_899_909 };
        assert_eq!(error.credits(), (kind == NodeErrorKind::NotEnoughRc).then_some(credits));
    }

    #[rstest]
    #[case("${a} of ${b}", json!({ "a": "x", "b": 5 }), "x of 5")]
    #[case("${a} of ${c", json!({ "a": true }), "true of ${c")]
    #[case("${missing}${a}", json!({ "a": "${a}" }), "${missing}${a}")]
    #[case("${a}", json!({ "a": { "deep": 1 } }), "${a}")]
    #[case("no places", json!(null), "no places")]
    fn places_are_filled_once_from_plain_values(
        #[case] format: &str,
        #[case] data: Value,
        #[case] filled: &str,
    ) {
        assert_eq!(fill(format, &data), filled);
    }

    #[test]
    fn many_long_values_do_not_add_up() {
        let data = json!({ "a": "x".repeat(1 << 20) });
        assert!(fill(&"${a}".repeat(10_000), &data).len() <= 6 * NodeError::MAX_MESSAGE);
    }

    #[test]
    fn every_kind_says_whether_the_same_may_succeed_later() {
        let transient = [
            NodeErrorKind::Behind,
            NodeErrorKind::Busy,
            NodeErrorKind::CustomOpLimit,
            NodeErrorKind::NotEnoughRc,
        ];
        assert!(transient.iter().all(|kind| kind.is_transient()));
        let lasting = [
            NodeErrorKind::Duplicate,
            NodeErrorKind::Expired,
            NodeErrorKind::MissingAuthority,
            NodeErrorKind::Other,
            NodeErrorKind::UnknownMethod,
        ];
        assert!(!lasting.iter().any(|kind| kind.is_transient()));
    }

    #[test]
    fn a_message_of_any_length_is_cut() {
        let error = NodeError::read(&json!({ "code": 1, "message": "é".repeat(100_000) }));
        assert_eq!(error.message().chars().count(), NodeError::MAX_MESSAGE);
    }
}
