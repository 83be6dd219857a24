//! The custom operation that carries a payload, from chain JSON to a [`SignedOp`].

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::account::AccountName;

use super::{Op, OpError};

/// The id of our custom operations unless a network is set up otherwise. No main network id was ever fixed.
/// Source: `spec/indexer.md`, section 1.
pub const DEFAULT_CUSTOM_JSON_ID: &str = "alive-test";

/// An operation and the account whose posting authority signed it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedOp {
    /// The streamer.
    pub account: AccountName,
    /// What the streamer said.
    pub op: Op,
}

impl SignedOp {
    /// Reads an operation as HAF and `block_api` give it:
    /// `{"type":"custom_json_operation","value":{"id":…,"required_posting_auths":[…],"json":"…"}}`.
    ///
    /// ```
    /// use alive_core::SignedOp;
    /// let body = r#"{"type":"custom_json_operation","value":{"id":"alive-test","required_auths":[],
    ///     "required_posting_auths":["alice"],"json":"{\"op\":1,\"link\":\"s1\"}"}}"#;
    /// let signed = SignedOp::from_operation_json(body, "alive-test")?;
    /// assert_eq!(signed.account.as_str(), "alice");
    /// # Ok::<(), alive_core::OpError>(())
    /// ```
    ///
    /// # Errors
    /// The first rule of the envelope or the payload that it breaks.
    pub fn from_operation_json(body: &str, custom_json_id: &str) -> Result<Self, OpError> {
        let refuse = OpError::Envelope;
        let body = last_wins(body, ["type", "value"]).ok_or(refuse("not a JSON object"))?;
        let [kind, value] = body;
        if text(kind).as_deref() != Some("custom_json_operation") {
            return Err(refuse("type is not custom_json_operation"));
        }
        let value = value.ok_or(refuse("value is missing"))?;
        let keys = ["id", "required_posting_auths", "json"];
        let [id, auths, json] = last_wins(value.get(), keys).ok_or(refuse("value is no object"))?;
        if text(id).as_deref() != Some(custom_json_id) {
            return Err(refuse("id is another"));
        }
        let auths: Vec<String> = auths
            .and_then(|auths| serde_json::from_str(auths.get()).ok())
            .ok_or(refuse("required_posting_auths is no list of names"))?;
        let json = text(json).ok_or(refuse("json is no string"))?;
        Self::from_parts(&auths, &json)
    }

    /// Reads an operation whose envelope is already apart: the posting authorities and the payload.
    ///
    /// # Errors
    /// There is not exactly one authority, or the payload breaks a rule.
    pub fn from_parts<S: AsRef<str>>(posting_auths: &[S], payload: &str) -> Result<Self, OpError> {
        let [account] = posting_auths else {
            return Err(OpError::Authorities(posting_auths.len()));
        };
        let account = account.as_ref().parse().map_err(OpError::Account)?;
        Ok(Self { account, op: Op::from_json(payload)? })
    }
}

fn text(raw: Option<&RawValue>) -> Option<String> {
    serde_json::from_str(raw?.get()).ok()
}

/// The values of some keys of a JSON object; of equal keys the last counts, a derived reader would refuse them.
fn last_wins<'a, const N: usize>(
    object: &'a str,
    keys: [&str; N],
) -> Option<[Option<&'a RawValue>; N]> {
    let pairs: Pairs<'a> = serde_json::from_str(object).ok()?;
    Some(keys.map(|key| pairs.0.iter().rev().find(|(name, _)| name == key).map(|(_, raw)| *raw)))
}

/// All members of an object in the order written.
struct Pairs<'a>(Vec<(String, &'a RawValue)>);

impl<'de: 'a, 'a> Deserialize<'de> for Pairs<'a> {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Collect;
        impl<'de> serde::de::Visitor<'de> for Collect {
            type Value = Pairs<'de>;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a JSON object")
            }

            fn visit_map<A: serde::de::MapAccess<'de>>(
                self,
                mut map: A,
            ) -> Result<Pairs<'de>, A::Error> {
                let mut pairs = Vec::new();
                while let Some(pair) = map.next_entry()? {
                    pairs.push(pair);
                }
                Ok(Pairs(pairs))
            }
        }
        from.deserialize_map(Collect)
    }
}
