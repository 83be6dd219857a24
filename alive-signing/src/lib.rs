#![doc = include_str!("../README.md")]

use std::cell::RefCell;

use secp256k1_signing::{Message, Secp256k1, SecretKey, SignOnly, ecdsa::RecoveryId};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

/// After so many signatures the blinding is renewed.
const SIGNATURES_PER_BLINDING: u32 = 64;

thread_local! {
    static SIGNER: RefCell<Signer> = RefCell::new(Signer { context: Secp256k1::signing_only(), left: 0 });
}

/// The signature of a digest, r and s big endian, and its recovery id from 0 to 3. The nonce is the first of RFC 6979, for the
/// 32 bytes of additional data if there are some. s is low.
#[expect(clippy::missing_panics_doc, reason = "a secret key is a scalar by its type")]
pub fn sign(
    digest: &[u8; 32],
    key: &secp256k1::SecretKey,
    extra: Option<&[u8; 32]>,
) -> ([u8; 64], u8) {
    let scalar = Zeroizing::new(key.to_secret_bytes());
    #[expect(clippy::expect_used, reason = "a secret key is a scalar by its type")]
    let mut secret = SecretKey::from_byte_array(*scalar).expect("a secret key is a scalar");
    let message = Message::from_digest(*digest);
    let signed = SIGNER.with_borrow_mut(|signer| {
        let context = signer.blinded(&scalar, digest);
        match extra {
            Some(extra) => context.sign_ecdsa_recoverable_with_noncedata(message, &secret, extra),
            None => context.sign_ecdsa_recoverable(message, &secret),
        }
    });
    secret.non_secure_erase();
    let (recovery_id, signature) = signed.serialize_compact();
    (signature, number_of(recovery_id))
}

fn number_of(id: RecoveryId) -> u8 {
    match id {
        RecoveryId::Zero => 0,
        RecoveryId::One => 1,
        RecoveryId::Two => 2,
        RecoveryId::Three => 3,
    }
}

/// A context of libsecp256k1, and how many signatures its blinding is good for.
struct Signer {
    context: Secp256k1<SignOnly>,
    left: u32,
}

impl Signer {
    /// The context, blinded anew if it is time. Only the owner of a key can tell the seed, which is mixed into the one before.
    fn blinded(&mut self, scalar: &[u8; 32], digest: &[u8; 32]) -> &Secp256k1<SignOnly> {
        if self.left == 0 {
            let seed = Sha256::new_with_prefix(scalar).chain_update(digest).finalize();
            self.context.seeded_randomize(&Zeroizing::new(seed.into()));
            self.left = SIGNATURES_PER_BLINDING;
        }
        self.left -= 1;
        &self.context
    }
}

#[cfg(test)]
mod tests {
    use secp256k1::{Message, ecdsa::RecoverableSignature};

    use super::*;

    #[test]
    fn blinding_changes_no_signature_whenever_it_is_renewed() {
        let key = secp256k1::SecretKey::from_secret_bytes([7; 32]).unwrap();
        for number in 0..=SIGNATURES_PER_BLINDING * 3 {
            let digest = Sha256::digest(number.to_le_bytes()).into();
            // The binding that blinds after every signature.
            let message = Message::from_digest(digest);
            let theirs = RecoverableSignature::sign_ecdsa_recoverable(message, &key);
            let (recovery_id, signature) = theirs.serialize_compact();
            assert_eq!(sign(&digest, &key, None), (signature, recovery_id.to_u8()));

            let extra = [9; 32];
            let theirs =
                RecoverableSignature::sign_ecdsa_recoverable_with_noncedata(message, &key, &extra);
            let (recovery_id, signature) = theirs.serialize_compact();
            assert_eq!(sign(&digest, &key, Some(&extra)), (signature, recovery_id.to_u8()));
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
