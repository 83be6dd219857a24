//! Transactions: [`Transaction`] as it is hashed, [`SignedTransaction`] as it is sent.

use std::{
    fmt::{self, Write as _},
    sync::LazyLock,
};

use memchr::memmem::Finder;

use crate::{
    authority::Signatures,
    bson::without_proto,
    digest::Hash,
    json_ref::{JsonRef, Members, split_value},
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
        let mut text = format!(r#"{{"type":{kind},"data":{data},"sender":"#);
        push_string(&mut text, sender);
        text.push_str(",\"ts\":");
        #[expect(clippy::cast_precision_loss, reason = "JavaScript's numbers are doubles")]
        push_number(&mut text, ts_ms as f64);
        text.push('}');
        Ok(Self(JsonText::of_canonical(text)))
    }

    /// The same with a further member, which nodes hash and keep but do not look at.
    ///
    /// # Errors
    /// [`Unsendable`] as for the data.
    pub fn with_member(&self, name: &str, value: &JsonText) -> Result<Self, Unsendable> {
        check_sendable(value.root())?;
        let mut text = self.0.as_str().strip_suffix('}').unwrap_or_default().to_owned();
        text.push(',');
        push_string(&mut text, name);
        text.push(':');
        text.push_str(value.as_str());
        text.push('}');
        Ok(Self(JsonText::of_canonical(text)))
    }

    /// The same at another time, which makes it another transaction.
    #[must_use]
    pub fn at(&self, ts_ms: i64) -> Self {
        let mut ts = String::new();
        #[expect(clippy::cast_precision_loss, reason = "JavaScript's numbers are doubles")]
        push_number(&mut ts, ts_ms as f64);
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
        let mut list = String::with_capacity(signatures.len() * 100 + 2);
        for (signature, id) in signatures {
            // Writing to a string does not fail.
            let comma = if list.is_empty() { '[' } else { ',' };
            let _ = write!(list, r#"{comma}["{signature}",{}]"#, id.as_u8());
        }
        if list.is_empty() {
            list.push('[');
        }
        list.push(']');
        self.closed_with(hash, &list)
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
        let len = body.len() + signature.len() + 100;
        let mut text = String::with_capacity(len);
        // Writing to a string does not fail.
        let _ = write!(text, r#"{body}{comma}"hash":"{hash}","signature":{signature}}}"#);
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
    /// What is hashed but for the closing brace, where that is one piece of text.
    body: Option<&'a str>,
}

impl<'a> Parts<'a> {
    /// Takes a transaction apart.
    pub fn of(whole: JsonRef<'a>) -> Self {
        let (parts, _) = Self::read(whole.as_str());
        Self { whole, ..parts }
    }

    /// Takes the transaction apart that a text starts with; what follows it. Each byte is looked at once.
    pub(crate) fn split(text: &'a str) -> Option<(Self, &'a str)> {
        if text.starts_with('{') {
            return Some(Self::read(text));
        }
        let (item, rest) = split_value(text)?;
        Some((Self::of(item), rest))
    }

    fn read(text: &'a str) -> (Self, &'a str) {
        let whole = JsonRef::of_canonical(text);
        let mut parts = Self {
            whole,
            kind: None,
            data: None,
            sender: None,
            ts_ms: None,
            hash: None,
            signature: None,
            body: None,
        };
        let mut body = Body::default();
        let mut members = Members::of(text);
        for (key, value) in &mut members {
            body.member(key, value);
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
        let rest = members.rest();
        let len = text.len() - rest.len();
        parts.whole = JsonRef::of_canonical(text.get(..len).unwrap_or_default());
        parts.body = body.of(text);
        (parts, rest)
    }

    /// Another member, by a name that needs no escape.
    pub fn member(&self, name: &str) -> Option<JsonRef<'a>> {
        self.whole.member(name)
    }

    /// The hash that the transaction must have. Members named `__proto__` are left out at every level, as the
    /// reference node loses them.
    pub fn computed_hash(&self) -> Hash {
        /// A key that is rare, so that looking for it must cost next to nothing.
        static PROTO: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new("\"__proto__\""));
        if PROTO.find(self.whole.as_str().as_bytes()).is_some() {
            let body = JsonText::of_canonical(pieces(self.whole, &SIGNING).concat());
            return Hash::of(without_proto(&body).as_str());
        }
        match self.body {
            Some(body) => Hash::of_pieces([body, "}"]),
            None => Hash::of_pieces(pieces(self.whole, &SIGNING)),
        }
    }

    /// The signatures, in whichever form.
    pub fn signatures(&self) -> Option<Signatures> {
        self.signature.and_then(Signatures::read)
    }
}

/// The members that are not hashed.
pub(crate) const SIGNING: [&str; 2] = ["hash", "signature"];

/// Finds the part of an object that is hashed while its members are walked over: the text up to the members that are
/// not, where these come last.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Body {
    /// Where the next member begins.
    at: usize,
    /// Where the members end that are hashed.
    end: usize,
    /// Whether members that are not hashed have come.
    is_over: bool,
    /// Whether one that is hashed has come behind these.
    is_torn: bool,
}

impl Default for Body {
    /// Behind the opening brace.
    fn default() -> Self {
        Self { at: 1, end: 1, is_over: false, is_torn: false }
    }
}

impl Body {
    /// Takes the next member.
    pub(crate) fn member(&mut self, key: JsonRef<'_>, value: JsonRef<'_>) {
        // With the colon between them.
        let end = self.at + key.as_str().len() + 1 + value.as_str().len();
        if SIGNING.iter().any(|name| key.is_text(name)) {
            self.is_over = true;
        } else {
            self.is_torn |= self.is_over;
            self.end = end;
        }
        self.at = end + 1;
    }

    /// Where the last member that is hashed ends.
    pub(crate) fn end(self) -> usize {
        self.end
    }

    /// That part of the object's text, its closing brace missing; `None` if it is in several pieces, or no object.
    pub(crate) fn of(self, text: &str) -> Option<&str> {
        let text = text.get(..self.end).filter(|text| text.starts_with('{'));
        text.filter(|_| !self.is_torn)
    }
}

/// The text of an object without some members, in pieces as long as they can be.
pub(crate) fn pieces<'a>(object: JsonRef<'a>, without: &[&str]) -> Vec<&'a str> {
    let mut pieces = vec!["{"];
    // Members stand behind each other with a comma between; those that stay make a run.
    let (mut at, mut run) = (1, None);
    let mut push = |run: Option<usize>, end: usize| {
        let Some(run) = run.and_then(|start| object.as_str().get(start..end)) else { return };
        if pieces.len() > 1 {
            pieces.push(",");
        }
        pieces.push(run);
    };
    for (key, value) in object.members() {
        let end = at + key.as_str().len() + 1 + value.as_str().len();
        if without.iter().any(|name| key.is_text(name)) {
            push(run.take(), at - 1);
        } else {
            run.get_or_insert(at);
        }
        at = end + 1;
    }
    push(run, at - 1);
    pieces.push("}");
    pieces
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case(r#"{"type":26,"ts":1,"hash":"x","signature":"y"}"#, r#"{"type":26,"ts":1}"#)]
    #[case(r#"{"hash":"x","type":26,"signature":[["y",1]],"ts":1}"#, r#"{"type":26,"ts":1}"#)]
    #[case(
        r#"{"type":26,"hash":"x","ts":1,"signature":"y","a":{"hash":0}}"#,
        r#"{"type":26,"ts":1,"a":{"hash":0}}"#
    )]
    #[case(r#"{"signature":"y","hash":"x"}"#, "{}")]
    #[case(r#"{"signature":"y","a":1}"#, r#"{"a":1}"#)]
    #[case(r#"{"a":1}"#, r#"{"a":1}"#)]
    #[case("{}", "{}")]
    #[case("[1]", "{}")]
    #[case("5", "{}")]
    fn hash_and_signature_are_not_hashed_wherever_they_stand(
        #[case] json: &str,
        #[case] hashed: &str,
    ) {
        assert_eq!(Transaction::from_json(json).unwrap().as_text().as_str(), hashed);
        assert_eq!(SignedTransaction::from_json(json).unwrap().hash(), Hash::of(hashed));
    }

    #[test]
    fn signed_forms_are_put_together_as_javascript_writes_them() {
        let key = PrivateKey::from_bytes(&[1; 32]).unwrap();
        for json in ["{}", r#"{"type":26,"ts":1}"#] {
            let transaction = Transaction::from_json(json).unwrap();
            let one = transaction.sign(&[&key]);
            let single = transaction.sign_single(&key);
            for signed in [&one, &single, &transaction.sign(&[]), &transaction.sign(&[&key, &key])]
            {
                let again = SignedTransaction::from_json(&signed.to_string()).unwrap();
                assert_eq!(&again, signed);
                assert_eq!(again.hash(), transaction.hash());
            }
            assert_ne!(one, single);
        }
    }
}
