//! Transactions: [`Transaction`] as it is hashed, [`SignedTransaction`] as it is sent.

use std::fmt;

use crate::{
    authority::Signatures,
    bson::without_proto,
    digest::Hash,
    json_ref::JsonRef,
    json_text::{JsonText, JsonTextError, push_number, push_string},
    keys::PrivateKey,
    signature::{RecoveryId, Signature},
    unsendable::{Unsendable, check_sendable},
};

/// A transaction without hash and signature: any object, but those that [`new`](Self::new) makes are ones that a node can
/// take.
///
/// Its text is what counts: key order is part of it, spelling is not. Source: `spec/avalon.md`, section 5.
///
/// ```
/// use alive_avalon::{JsonText, PrivateKey, Transaction};
/// let data = JsonText::of(r#"{"link":"my-stream","seq":[[0,"Qm...,10.0"]]}"#)?;
/// let transaction = Transaction::new(26, &data, "alice", 1_700_000_000_000)?;
/// let key = PrivateKey::from_bytes(&[1; 32])?;
/// let signed = transaction.sign(&[&key]);
/// assert_eq!(signed.hash(), transaction.hash());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transaction(JsonText);

impl Transaction {
    /// A transaction with its members in the order that clients use. `ts_ms` decides when it expires: a node takes it
    /// from an hour before until 60 seconds after.
    ///
    /// # Errors
    /// [`Unsendable`] if a node could not take such data whatever its rules.
    pub fn new(kind: u8, data: &JsonText, sender: &str, ts_ms: i64) -> Result<Self, Unsendable> {
        check_sendable(data.root())?;
        let mut text = format!(r#"{{"type":{kind},"data":{data},"sender":"#).into_bytes();
        push_string(&mut text, sender);
        text.extend_from_slice(b",\"ts\":");
        #[expect(clippy::cast_precision_loss, reason = "JavaScript's numbers are doubles")]
        push_number(&mut text, ts_ms as f64);
        text.push(b'}');
        Ok(Self(canonical(&text)))
    }

    /// The same with a further member, which nodes hash and keep but do not look at.
    ///
    /// # Errors
    /// [`Unsendable`] as for the data.
    pub fn with_member(&self, name: &str, value: &JsonText) -> Result<Self, Unsendable> {
        check_sendable(value.root())?;
        let mut text = self.0.as_str().strip_suffix('}').unwrap_or_default().as_bytes().to_vec();
        text.push(b',');
        push_string(&mut text, name);
        text.push(b':');
        text.extend_from_slice(value.as_str().as_bytes());
        text.push(b'}');
        Ok(Self(canonical(&text)))
    }

    /// The same at another time, which makes it another transaction.
    #[must_use]
    pub fn at(&self, ts_ms: i64) -> Self {
        let mut ts = Vec::new();
        #[expect(clippy::cast_precision_loss, reason = "JavaScript's numbers are doubles")]
        push_number(&mut ts, ts_ms as f64);
        let ts = String::from_utf8_lossy(&ts).into_owned();
        let member = |(key, value): (JsonRef<'_>, JsonRef<'_>)| {
            let value = if key.is_text("ts") { &ts } else { value.as_str() };
            format!("{}:{value}", key.as_str())
        };
        let members: Vec<_> = self.0.root().members().map(member).collect();
        Self(JsonText::of_canonical(format!("{{{}}}", members.join(","))))
    }

    /// Reads a transaction; members `hash` and `signature` are left out.
    ///
    /// # Errors
    /// It is not JSON. What is no object has no members, and no node takes it.
    pub fn from_json(text: &str) -> Result<Self, JsonTextError> {
        let whole = JsonText::of(text)?;
        Ok(Self(JsonText::of_canonical(pieces(whole.root(), &SIGNING).concat())))
    }

    /// Its text, which is what is hashed.
    pub fn as_text(&self) -> &JsonText {
        &self.0
    }

    /// Its id.
    pub fn hash(&self) -> Hash {
        Hash::of(self.0.as_str())
    }

    /// Signs it in the form for several keys, which nodes take for one key, too.
    pub fn sign(&self, keys: &[&PrivateKey]) -> SignedTransaction {
        let hash = self.hash();
        let signatures: Vec<_> = keys.iter().map(|key| Signature::sign(&hash, key)).collect();
        self.signed_with(&hash, &signatures)
    }

    /// Puts signatures together that others made of [`hash`](Self::hash).
    pub fn with_signatures(&self, signatures: &[(Signature, RecoveryId)]) -> SignedTransaction {
        self.signed_with(&self.hash(), signatures)
    }

    fn signed_with(
        &self,
        hash: &Hash,
        signatures: &[(Signature, RecoveryId)],
    ) -> SignedTransaction {
        let pair = |(signature, id): &(Signature, RecoveryId)| {
            format!(r#"["{signature}",{}]"#, id.as_u8())
        };
        let list: Vec<_> = signatures.iter().map(pair).collect();
        self.closed_with(hash, &format!("[{}]", list.join(",")))
    }

    /// Signs it in the form for one key.
    pub fn sign_single(&self, key: &PrivateKey) -> SignedTransaction {
        let hash = self.hash();
        let (signature, _) = Signature::sign(&hash, key);
        self.closed_with(&hash, &format!("\"{signature}\""))
    }

    fn closed_with(&self, hash: &Hash, signature: &str) -> SignedTransaction {
        let body = self.0.as_str().strip_suffix('}').unwrap_or_default();
        let comma = if body == "{" { "" } else { "," };
        let text = format!(r#"{body}{comma}"hash":"{hash}","signature":{signature}}}"#);
        SignedTransaction(JsonText::of_canonical(text))
    }
}

/// A transaction with hash and signature, read from anywhere: nothing of it is checked yet.
///
/// ```
/// use alive_avalon::SignedTransaction;
/// let received = SignedTransaction::from_json(r#"{"type":26.0,"sender":"alice","hash":"x"}"#)?;
/// assert_eq!(received.parts().kind, Some(26));
/// assert_ne!(received.hash().to_string(), "x", "the hash is computed, not believed");
/// # Ok::<(), alive_avalon::JsonTextError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedTransaction(JsonText);

impl SignedTransaction {
    /// Reads any JSON.
    ///
    /// # Errors
    /// It is not JSON.
    pub fn from_json(text: &str) -> Result<Self, JsonTextError> {
        JsonText::of(text).map(Self)
    }

    /// Takes a text that is known to be written as JavaScript does.
    #[cfg(feature = "devnet")]
    pub(crate) fn of_canonical(text: &str) -> Self {
        Self(JsonText::of_canonical(text))
    }

    /// Its text, which is what to send and what bandwidth is counted in.
    pub fn as_text(&self) -> &JsonText {
        &self.0
    }

    /// Its members.
    pub fn parts(&self) -> Parts<'_> {
        Parts::of(self.0.root())
    }

    /// The hash that it must have.
    pub fn hash(&self) -> Hash {
        self.parts().computed_hash()
    }

    /// What it costs in bandwidth.
    pub fn cost(&self) -> usize {
        self.0.utf16_len()
    }
}

impl fmt::Display for SignedTransaction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The members of a transaction, each absent if it is not of its kind.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Parts<'a> {
    /// The whole.
    pub whole: JsonRef<'a>,
    /// `type`, a whole number from 0.
    pub kind: Option<i64>,
    /// `data`, an object or array.
    pub data: Option<JsonRef<'a>>,
    /// `sender`, as it stands.
    pub sender: Option<JsonRef<'a>>,
    /// `ts`, a whole number from 1: milliseconds since 1970.
    pub ts_ms: Option<i64>,
    /// `hash`, as it stands.
    pub hash: Option<JsonRef<'a>>,
    /// `signature`, as it stands.
    pub signature: Option<JsonRef<'a>>,
}

impl<'a> Parts<'a> {
    /// Takes a transaction apart.
    pub fn of(whole: JsonRef<'a>) -> Self {
        let mut parts = Self {
            whole,
            kind: None,
            data: None,
            sender: None,
            ts_ms: None,
            hash: None,
            signature: None,
        };
        for (key, value) in whole.members() {
            match key.as_str() {
                r#""type""# => parts.kind = value.to_safe_integer().filter(|kind| *kind >= 0),
                r#""data""# => {
                    parts.data = Some(value).filter(|data| data.is_object() || data.is_array());
                }
                r#""sender""# => parts.sender = Some(value),
                r#""ts""# => parts.ts_ms = value.to_safe_integer().filter(|ts| *ts > 0),
                r#""hash""# => parts.hash = Some(value),
                r#""signature""# => parts.signature = Some(value),
                _ => {}
            }
        }
        parts
    }

    /// Another member, by a name that needs no escape.
    pub fn member(&self, name: &str) -> Option<JsonRef<'a>> {
        self.whole.member(name)
    }

    /// The hash that the transaction must have. Members named `__proto__` are left out at every level, as the
    /// reference node loses them.
    pub fn computed_hash(&self) -> Hash {
        if self.whole.as_str().contains("\"__proto__\"") {
            let body = JsonText::of_canonical(pieces(self.whole, &SIGNING).concat());
            return Hash::of(without_proto(&body).as_str());
        }
        Hash::of_pieces(pieces(self.whole, &SIGNING))
    }

    /// The signatures, in whichever form.
    pub fn signatures(&self) -> Option<Signatures> {
        self.signature.and_then(Signatures::read)
    }
}

/// The members that are not hashed.
pub(crate) const SIGNING: [&str; 2] = ["hash", "signature"];

/// The text of an object without some members, in pieces.
pub(crate) fn pieces<'a>(object: JsonRef<'a>, without: &[&str]) -> Vec<&'a str> {
    let mut pieces = vec!["{"];
    for (key, value) in object.members() {
        if without.iter().any(|name| key.is_text(name)) {
            continue;
        }
        if pieces.len() > 1 {
            pieces.push(",");
        }
        pieces.extend([key.as_str(), ":", value.as_str()]);
    }
    pieces.push("}");
    pieces
}

/// A text that was put together of canonical pieces.
fn canonical(text: &[u8]) -> JsonText {
    JsonText::of_canonical(String::from_utf8_lossy(text).into_owned())
}
