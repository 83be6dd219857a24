//! Signing by libsecp256k1: [`sign`].
//!
//! libsecp256k1 multiplies a secret number with the generator of the curve in constant time. It can blind that number on
//! top, as a further defence against measurements from outside. Renewing the blinding is another multiplication: the
//! binding that verifies here renews it after every signature, which doubles the time. So signing goes through an earlier
//! binding that leaves it to us, and the blinding is renewed every [`SIGNATURES_PER_BLINDING`].

use std::cell::RefCell;

use secp256k1_signing::{Message, Secp256k1, SecretKey, SignOnly, ecdsa::RecoveryId};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use crate::keys::PrivateKey;

/// After so many signatures the blinding is renewed: about one and a half percent of the time.
const SIGNATURES_PER_BLINDING: u32 = 64;

thread_local! {
    static SIGNER: RefCell<Signer> = RefCell::new(Signer { context: Secp256k1::signing_only(), left: 0 });
}

/// The signature of a digest, r and s, and its recovery id: deterministic by RFC 6979, with a low s.
pub(crate) fn sign(digest: &[u8; 32], key: &PrivateKey) -> ([u8; 64], u8) {
    let scalar = key.to_bytes();
    #[expect(clippy::expect_used, reason = "a private key is a scalar by its type")]
    let mut secret = SecretKey::from_byte_array(*scalar).expect("a private key is a scalar");
    let signed = SIGNER.with_borrow_mut(|signer| {
        let message = Message::from_digest(*digest);
        signer.blinded(&scalar, digest).sign_ecdsa_recoverable(message, &secret)
    });
    secret.non_secure_erase();
    let (id, bytes) = signed.serialize_compact();
    let id = match id {
        RecoveryId::Zero => 0,
        RecoveryId::One => 1,
        RecoveryId::Two => 2,
        RecoveryId::Three => 3,
    };
    (bytes, id)
}

/// A context of libsecp256k1, and how many signatures its blinding is good for.
struct Signer {
    context: Secp256k1<SignOnly>,
    left: u32,
}

impl Signer {
    /// The context, blinded anew if it is time. Only the owner of a key can tell the seed, which is mixed into the one before.
    fn blinded(&mut self, scalar: &[u8; 32], digest: &[u8; 32]) -> &Secp256k1<SignOnly> {
        match self.left.checked_sub(1) {
            Some(left) => self.left = left,
            None => {
                let seed = Sha256::new_with_prefix(scalar).chain_update(digest).finalize();
                self.context.seeded_randomize(&Zeroizing::new(seed.into()));
                self.left = SIGNATURES_PER_BLINDING - 1;
            }
        }
        &self.context
    }
}

#[cfg(test)]
mod tests {
    use secp256k1::{Message, ecdsa::RecoverableSignature};

    use super::*;

    #[test]
    fn blinding_changes_no_signature_whenever_it_is_renewed() {
        let key = PrivateKey::from_bytes(&[7; 32]).unwrap();
        for number in 0..=SIGNATURES_PER_BLINDING * 3 {
            let digest = Sha256::digest(number.to_le_bytes()).into();
            // The binding that blinds after every signature.
            let message = Message::from_digest(digest);
            let theirs = RecoverableSignature::sign_ecdsa_recoverable(message, key.as_secret());
            let (id, bytes) = theirs.serialize_compact();
            assert_eq!(sign(&digest, &key), (bytes, id.to_u8()));
        }
    }

    #[test]
    fn the_blinding_is_renewed_in_time() {
        let mut signer = Signer { context: Secp256k1::signing_only(), left: 0 };
        for expected in (0..SIGNATURES_PER_BLINDING).rev().cycle().take(200) {
            signer.blinded(&[1; 32], &[2; 32]);
            assert_eq!(signer.left, expected);
        }
    }
}
