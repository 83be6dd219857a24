//! Signatures of accounts off chain: [`AvalonPlain`] for core's [`SignatureScheme`].

use alive_core::backend::{Digest, PublicKeyBytes, SignatureError, SignatureScheme};

use crate::{
    digest::Hash,
    keys::{PrivateKey, PublicKey},
    signature::{RecoveryId, Signature},
};

/// How accounts of Avalon sign messages: SHA-256 of the message, then the signature in base58, a comma and the recovery
/// id, such as `429s…,1`.
///
/// Chat keeps the two apart, in `s` and `r`; join them with a comma. Source: `spec/avalon.md`, section 11.
///
/// ```
/// use alive_avalon::{AvalonPlain, PrivateKey};
/// use alive_core::backend::SignatureScheme;
/// let key = PrivateKey::from_bytes(&[1; 32])?;
/// let digest = AvalonPlain.digest(b"hello");
/// let signature = AvalonPlain::sign(&digest, &key);
/// assert_eq!(AvalonPlain.recover(&digest, &signature)?.0, key.public_key().to_bytes());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AvalonPlain;

impl AvalonPlain {
    /// Signs a digest; the text is the one that [`recover`](SignatureScheme::recover) reads.
    pub fn sign(digest: &Digest, key: &PrivateKey) -> String {
        let (signature, id) = Signature::sign(&Hash::from_bytes(*digest), key);
        format!("{signature},{}", id.as_u8())
    }
}

impl SignatureScheme for AvalonPlain {
    fn digest(&self, message: &[u8]) -> Digest {
        *Hash::of(message).as_bytes()
    }

    fn recover(&self, digest: &Digest, signature: &str) -> Result<PublicKeyBytes, SignatureError> {
        let form = SignatureError::Form("base58 of 64 bytes, a comma and 0 to 3 expected");
        let (signature, id) = signature.split_once(',').ok_or(form.clone())?;
        let id = match id.as_bytes() {
            [digit @ b'0'..=b'3'] => RecoveryId::new(digit - b'0'),
            _ => None,
        };
        let id = id.ok_or(form.clone())?;
        let signature: Signature = signature.parse().map_err(|_| form)?;
        let key = signature.recover(&Hash::from_bytes(*digest), id);
        key.map(PublicKeyBytes::from).ok_or(SignatureError::NoKey)
    }
}

impl From<PublicKey> for PublicKeyBytes {
    fn from(key: PublicKey) -> Self {
        Self(key.to_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_keeps_the_promises_of_a_scheme() {
        let key = PrivateKey::from_bytes(&[7; 32]).unwrap();
        alive_core::testing::signature_scheme(&AvalonPlain, |message| {
            let signature = AvalonPlain::sign(&AvalonPlain.digest(message), &key);
            (key.public_key().into(), signature)
        });
    }
}
