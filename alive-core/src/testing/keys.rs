//! The promises of [`AccountKeys`] and [`SignatureScheme`].

use futures_util::future;

use crate::{
    account::AccountName,
    backend::{AccountAuthority, AccountKeys, PublicKeyBytes, SignatureScheme},
};

use super::ok;

/// Checks every promise of [`AccountKeys`] on accounts whose authorities the caller knows and on one that does not exist.
///
/// # Panics
/// A promise is broken; the message says which.
pub async fn account_keys(
    keys: &impl AccountKeys,
    known: &[(AccountName, AccountAuthority)],
    missing: &AccountName,
) {
    assert!(!known.is_empty(), "the suite needs an account that exists");
    for (account, want) in known {
        let got = ok(keys.authority(account).await, "authority must answer");
        assert_eq!(got.as_ref(), Some(want), "the authorities of {account} must be those it has");
    }
    let none = ok(keys.authority(missing).await, "a missing account is no error");
    assert_eq!(none, None, "{missing} does not exist");
    let all = known.iter().map(|(account, _)| keys.authority(account));
    for (got, (account, want)) in future::join_all(all).await.into_iter().zip(known) {
        let got = ok(got, "several can ask at once");
        assert_eq!(got.as_ref(), Some(want), "asking at once must not mix up {account}");
    }
}

/// Checks every promise of a [`SignatureScheme`]. `sign` signs a message and says with which key, if it can choose, with
/// a different one each time.
///
/// # Panics
/// The scheme breaks a promise; the message says which.
pub fn signature_scheme(
    scheme: &(impl SignatureScheme + ?Sized),
    sign: impl Fn(&[u8]) -> (PublicKeyBytes, String),
) {
    let long = vec![0xa5; 100_000];
    let messages: [&[u8]; 6] =
        [b"", b"\0", b"hello", b"hello ", "\u{4f60}\u{597d}\u{1f4fa}".as_bytes(), &long];
    for (at, message) in messages.into_iter().enumerate() {
        let digest = scheme.digest(message);
        assert_eq!(scheme.digest(message), digest, "a message has one digest");
        let (key, signature) = sign(message);
        let recovered = ok(scheme.recover(&digest, &signature), "a good signature tells its key");
        assert_eq!(recovered, key, "a signature must tell the key that made it");
        for other in messages.into_iter().skip(at + 1) {
            let other = scheme.digest(other);
            assert_ne!(other, digest, "different messages have different digests");
            let foreign = scheme.recover(&other, &signature);
            assert_ne!(foreign, Ok(key), "a signature of another message must not tell the key");
        }
        altered(scheme, &digest, &signature, key);
    }
    let digest = scheme.digest(b"hello");
    for text in ["", " ", "0", "\0", "not a signature", "\u{1f4fa}", "{}", "[]", "null", "[\"\"]"] {
        assert!(scheme.recover(&digest, text).is_err(), "{text:?} is no signature");
    }
    assert!(scheme.recover(&digest, &"1".repeat(100_000)).is_err(), "a long text is no signature");
}

/// A signature of which one character is another, or which is cut, tells at most another key.
fn altered(
    scheme: &(impl SignatureScheme + ?Sized),
    digest: &[u8; 32],
    signature: &str,
    key: PublicKeyBytes,
) {
    for (at, old) in signature.char_indices() {
        // Both are digits in hexadecimal, base58 and base64 and stand for different values.
        let new = if old == '2' { "3" } else { "2" };
        let (before, after) = (signature.get(..at), signature.get(at + old.len_utf8()..));
        let text = [before.unwrap_or_default(), new, after.unwrap_or_default()].concat();
        let got = scheme.recover(digest, &text);
        assert_ne!(got, Ok(key), "an altered signature must not tell the key: {text:?}");
        let got = scheme.recover(digest, before.unwrap_or_default());
        assert_ne!(got, Ok(key), "a cut signature must not tell the key: {before:?}");
    }
}

#[cfg(test)]
mod tests {
    use sha2::{Digest as _, Sha256};

    use super::*;
    use crate::backend::{Digest, SignatureError};

    /// The key, then a hash of key and digest, in hexadecimal: recoverable, though anybody could sign.
    #[derive(Debug)]
    struct Seal {
        checked: bool,
    }

    fn seal(key: &[u8], digest: &Digest) -> Vec<u8> {
        [key, &Sha256::digest([key, digest].concat())].concat()
    }

    impl SignatureScheme for Seal {
        fn digest(&self, message: &[u8]) -> Digest {
            Sha256::digest(message).into()
        }

        fn recover(&self, digest: &Digest, text: &str) -> Result<PublicKeyBytes, SignatureError> {
            let form = SignatureError::Form("65 bytes in hexadecimal");
            let raw = data_encoding::HEXLOWER.decode(text.as_bytes()).map_err(|_| form.clone())?;
            let (key, _) = raw.split_first_chunk::<33>().ok_or(form)?;
            if self.checked && seal(key, digest) != raw {
                return Err(SignatureError::NoKey);
            }
            Ok(PublicKeyBytes(*key))
        }
    }

    fn sign(message: &[u8]) -> (PublicKeyBytes, String) {
        let key = [9; 33];
        let seal = seal(&key, &Sha256::digest(message).into());
        (PublicKeyBytes(key), data_encoding::HEXLOWER.encode(&seal))
    }

    #[test]
    fn a_scheme_that_keeps_its_promises_passes() {
        signature_scheme(&Seal { checked: true }, sign);
        let shared: crate::backend::SharedSignatureScheme =
            std::sync::Arc::new(Seal { checked: true });
        signature_scheme(&*shared, sign);
    }

    #[test]
    #[should_panic(expected = "a signature of another message must not tell the key")]
    fn a_scheme_that_checks_nothing_is_found_out() {
        signature_scheme(&Seal { checked: false }, sign);
    }
}
