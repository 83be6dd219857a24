//! Signatures of accounts off chain: [`GraphenePlain`] for core's [`SignatureScheme`].

use alive_core::backend::{Digest, PublicKeyBytes, SignatureError, SignatureScheme};
use sha2::{Digest as _, Sha256};

use crate::{
    keys::PublicKey,
    signature::{RecoverRule, RecoverableSignature},
};

/// How accounts of Hive and its relatives sign messages: SHA-256 of the message, then a recoverable signature of any
/// form as 130 hexadecimal digits.
///
/// The form of a signature says nothing about who made it, so compare keys and tell messages apart by their digest.
/// Source: `spec/hive.md`, section 3.2; `spec/alivedb.md`, section 8.2.
///
/// ```
/// use alive_core::backend::SignatureScheme;
/// use alive_hive::{GraphenePlain, PrivateKey, RecoverableSignature, SignAlgorithm};
/// let key = PrivateKey::from_bytes(&[1; 32])?;
/// let digest = GraphenePlain.digest(b"hello");
/// let signature = RecoverableSignature::sign(&digest, &key, SignAlgorithm::Dhive).to_string();
/// assert_eq!(GraphenePlain.recover(&digest, &signature)?.0, *key.public_key().as_bytes());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct GraphenePlain;

impl SignatureScheme for GraphenePlain {
    fn digest(&self, message: &[u8]) -> Digest {
        Sha256::digest(message).into()
    }

    fn recover(&self, digest: &Digest, signature: &str) -> Result<PublicKeyBytes, SignatureError> {
        let signature: RecoverableSignature = signature
            .parse()
            .map_err(|_| SignatureError::Form("130 hexadecimal digits expected"))?;
        // Hived knows headers from 27 on, for keys that are not compressed; chat knows only those that signers write.
        if (27..31).contains(&signature.as_bytes()[0]) {
            return Err(SignatureError::Form("a first byte of 31 to 34 expected"));
        }
        let key = signature.recover(digest, RecoverRule::Plain);
        key.map(PublicKeyBytes::from).map_err(|_| SignatureError::NoKey)
    }
}

impl From<PublicKey> for PublicKeyBytes {
    fn from(key: PublicKey) -> Self {
        Self(*key.as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{keys::PrivateKey, signature::SignAlgorithm};

    #[test]
    fn a_signature_of_another_length_is_a_matter_of_form() {
        let digest = GraphenePlain.digest(b"");
        let recover = |text: &str| GraphenePlain.recover(&digest, text);
        assert!(matches!(recover(&"1f".repeat(64)), Err(SignatureError::Form(_))));
        assert!(matches!(recover(&format!("{} ", "1f".repeat(65))), Err(SignatureError::Form(_))));
        assert_eq!(recover(&"ff".repeat(65)), Err(SignatureError::NoKey));
    }

    #[test]
    fn a_header_that_no_signer_writes_is_a_matter_of_form() {
        let key = PrivateKey::from_bytes(&[1; 32]).unwrap();
        let digest = GraphenePlain.digest(b"hello");
        let mut bytes = *RecoverableSignature::sign(&digest, &key, SignAlgorithm::Dhive).as_bytes();
        bytes[0] -= 4;
        let signature = RecoverableSignature::from_bytes(bytes).to_string();
        let recovered = GraphenePlain.recover(&digest, &signature);
        assert!(matches!(recovered, Err(SignatureError::Form(_))), "{recovered:?}");
    }
}
