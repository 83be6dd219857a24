//! Signed data: [`Signed`], [`sign`].

use alive_core::Excerpt;
use data_encoding::BASE64;

use super::{
    key::{KeyError, KeyPair, PublicKey},
    work::sha256,
};
use crate::json::{Json, Object, Text};

/// Marks a text as signed or encrypted data.
const MARK: &str = "SEA";
/// What JavaScript makes of any object as a text. The original takes a signature over it for one over any object, so it
/// must never be signed. Source: `spec/alivedb.md`, section 3, "verify".
const ANY_OBJECT: &str = "[object Object]";

/// Data with a signature that nobody has checked yet: `SEA{"m":…,"s":…}`.
///
/// ```
/// use alive_db::{json::Json, sea::{KeyPair, Signed, sign}};
/// let keys = KeyPair::generate()?;
/// let text = sign(&Json::parse(r#"{"b":1,"a":2}"#)?, &keys)?.to_text();
/// let data = Signed::parse(&text)?.verify(keys.public())?;
/// assert_eq!(data.print(), r#"{"b":1,"a":2}"#);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Signed {
    message: Json,
    signature: [u8; 64],
}

/// Signs data. A text that is JSON counts as what it says: `"5"` is signed as the number.
/// Source: `spec/alivedb.md`, section 3, "sign".
///
/// # Errors
/// [`SignError::AnyObject`] for the one text that may not be signed, [`SignError::Library`] if the library fails.
pub fn sign(data: &Json, keys: &KeyPair) -> Result<Signed, SignError> {
    let message = plain(data);
    if message.as_text().is_some_and(|text| text == ANY_OBJECT) {
        return Err(SignError::AnyObject);
    }
    // As the original: what this user has signed before is not signed again.
    if let Ok(signed) = Signed::from_json(&message)
        && signed.verify(keys.public()).is_ok()
    {
        return Ok(signed);
    }
    let signature = keys.sign(&hash(&message))?;
    Ok(Signed { message, signature })
}

impl Signed {
    /// Reads `SEA{"m":…,"s":…}`, with or without the `SEA`.
    ///
    /// # Errors
    /// It is not of this form, or the signature is not 64 bytes in base64 with padding.
    pub fn parse(text: &str) -> Result<Self, VerifyError> {
        let json = Json::parse(text.strip_prefix(MARK).unwrap_or(text));
        Self::from_json(&json.map_err(|_| VerifyError::Form("no JSON object"))?)
    }

    /// Takes `{"m":…,"s":…}`.
    ///
    /// # Errors
    /// As [`parse`](Self::parse).
    pub fn from_json(json: &Json) -> Result<Self, VerifyError> {
        let message = json.member("m").ok_or(VerifyError::Form("no m"))?.clone();
        let signature = json.member("s").and_then(Json::as_text).and_then(Text::as_str);
        let signature = signature.and_then(decode_signature).ok_or(VerifyError::Signature)?;
        Ok(Self { message, signature })
    }

    /// The data, if this key signed it. A text that is JSON is given as what it says.
    ///
    /// The digest covers `m` as it stands. There is no second way to match: the original's fallback takes one signature
    /// for any object. Source: `spec/alivedb.md`, section 3, "verify".
    ///
    /// # Errors
    /// [`VerifyError::Mismatch`].
    pub fn verify(&self, key: &PublicKey) -> Result<Json, VerifyError> {
        if key.verify(&hash(&self.message), &self.signature) {
            return Ok(plain(&self.message));
        }
        Err(VerifyError::Mismatch)
    }

    /// The data, checked by nobody.
    pub fn unverified(&self) -> &Json {
        &self.message
    }

    /// `{"m":…,"s":…}`.
    pub fn to_json(&self) -> Json {
        Json::Object(Object::from_iter([
            ("m", self.message.clone()),
            ("s", Json::Text(encode_signature(&self.signature).into())),
        ]))
    }

    /// `SEA{"m":…,"s":…}`.
    pub fn to_text(&self) -> String {
        let mut text = MARK.to_owned();
        self.to_json().print_to(&mut text);
        text
    }
}

/// What the ECDSA signature of some data covers: its SHA-256, which ECDSA hashes once more. Of a text its UTF-8, of
/// anything else its JSON text. Source: `spec/alivedb.md`, section 3, "SEA hash".
pub fn hash(data: &Json) -> [u8; 32] {
    match data {
        Json::Text(text) => match text.as_str() {
            Some(text) => sha256(text.as_bytes()),
            None => sha256(text.to_str_lossy().as_bytes()),
        },
        other => sha256(other.print().as_bytes()),
    }
}

/// What a text of JSON says, or the data as it is.
pub(super) fn plain(data: &Json) -> Json {
    let text = data.as_text().and_then(Text::as_str);
    let said = text.and_then(|text| {
        let inner = if text.starts_with("SEA{") { text.get(MARK.len()..)? } else { text };
        Json::parse(inner).ok()
    });
    said.unwrap_or_else(|| data.clone())
}

/// r and s from standard base64 with padding, and nothing but that.
pub(super) fn decode_signature(text: &str) -> Option<[u8; 64]> {
    let mut bytes = [0; 66];
    if text.len() != 88 {
        return None;
    }
    let len = BASE64.decode_mut(text.as_bytes(), &mut bytes).ok()?;
    bytes.get(..len)?.try_into().ok()
}

pub(super) fn encode_signature(signature: &[u8; 64]) -> String {
    BASE64.encode(signature)
}

/// Why data was not signed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SignError {
    /// The text `[object Object]`: peers of the original would take its signature for one over any object.
    #[error("a signature of the text {ANY_OBJECT:?} would sign any object in the original's eyes")]
    AnyObject,
    /// The cryptographic library failed.
    #[error(transparent)]
    Library(#[from] KeyError),
    /// A value, a soul or a state that no signature can cover.
    #[error("{0} cannot be signed")]
    Unsignable(Excerpt),
}

/// Why data counts as not signed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum VerifyError {
    /// It has not the form of signed data.
    #[error("not signed data: {0}")]
    Form(&'static str),
    /// Another key signed it, or it was changed since.
    #[error("the signature does not match the data and the key")]
    Mismatch,
    /// The signature has not the form of one.
    #[error("the signature is not 64 bytes in base64 with padding")]
    Signature,
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn text(text: &str) -> Json {
        Json::Text(text.into())
    }

    #[rstest]
    #[case("5", "5")]
    #[case("true", "true")]
    #[case(" {\"a\":1} ", "{\"a\":1}")]
    #[case("hello", "\"hello\"")]
    #[case("SEA{\"m\":1}", "{\"m\":1}")]
    #[case("SEA{", "\"SEA{\"")]
    #[case("\"quoted\"", "\"quoted\"")]
    fn a_text_of_json_is_signed_as_what_it_says(#[case] data: &str, #[case] message: &str) {
        let keys = KeyPair::generate().unwrap();
        let signed = sign(&text(data), &keys).unwrap();
        assert_eq!(signed.unverified().print(), message);
        assert_eq!(signed.verify(keys.public()).unwrap().print(), message);
    }

    #[test]
    fn the_text_of_any_object_is_never_signed() {
        let keys = KeyPair::generate().unwrap();
        for data in [ANY_OBJECT, "\"[object Object]\""] {
            assert_eq!(sign(&text(data), &keys), Err(SignError::AnyObject));
        }
    }

    #[test]
    fn a_signature_of_the_text_of_any_object_is_one_of_that_text_only() {
        let keys = KeyPair::generate().unwrap();
        let signature = keys.sign(&hash(&text(ANY_OBJECT))).unwrap();
        let object = Json::parse("{\"x\":1}").unwrap();
        let forged = Signed { message: object, signature };
        assert_eq!(forged.verify(keys.public()), Err(VerifyError::Mismatch));
    }

    #[test]
    fn what_was_signed_is_not_signed_again() {
        let keys = KeyPair::generate().unwrap();
        let signed = sign(&text("hello"), &keys).unwrap();
        assert_eq!(sign(&text(&signed.to_text()), &keys).unwrap(), signed);
        let other = KeyPair::generate().unwrap();
        let twice = sign(&text(&signed.to_text()), &other).unwrap();
        assert_eq!(twice.unverified(), &signed.to_json());
    }

    #[rstest]
    #[case::empty("")]
    #[case::no_padding("A".repeat(86))]
    #[case::url_alphabet(format!("{}-A==", "A".repeat(84)))]
    #[case::spare_bits(format!("{}B==", "A".repeat(85)))]
    #[case::blank(format!(" {}==", "A".repeat(85)))]
    #[case::longer(format!("{}A=", "A".repeat(86)))]
    fn refuses_other_forms_of_signatures(#[case] signature: String) {
        let signed = format!("SEA{{\"m\":1,\"s\":\"{signature}\"}}");
        assert_eq!(Signed::parse(&signed), Err(VerifyError::Signature));
    }

    #[rstest]
    #[case("SEA[]")]
    #[case("SEA{}")]
    #[case("SEA")]
    #[case("hello")]
    #[case("SEA{\"s\":\"\"}")]
    fn refuses_what_is_no_signed_data(#[case] text: &str) {
        assert!(matches!(Signed::parse(text), Err(VerifyError::Form(_))));
    }

    #[test]
    fn the_data_of_another_signature_does_not_verify() {
        let keys = KeyPair::generate().unwrap();
        let [a, b] = ["a", "b"].map(|data| sign(&text(data), &keys).unwrap());
        let mixed = Signed { message: a.message.clone(), signature: b.signature };
        assert_eq!(mixed.verify(keys.public()), Err(VerifyError::Mismatch));
        let other = KeyPair::generate().unwrap();
        assert_eq!(a.verify(other.public()), Err(VerifyError::Mismatch));
    }
}
