//! One attempt at a signature by libsecp256k1: [`sign_once`].
//!
//! An attempt multiplies a secret number with the generator of the curve, which libsecp256k1 does in constant time. It can
//! blind that number on top, as a further defence against measurements from outside, and asks to renew the blinding now
//! and then. Doing so is another multiplication, so after every attempt it would double the time; here it is done every
//! [`ATTEMPTS_PER_BLINDING`].

use std::cell::RefCell;

use secp256k1_signing::{Message, Secp256k1, SecretKey, SignOnly, ecdsa::RecoveryId};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use crate::keys::PrivateKey;

/// After so many attempts the blinding is renewed: about one and a half percent of the time.
const ATTEMPTS_PER_BLINDING: u32 = 64;

thread_local! {
    static SIGNER: RefCell<Signer> = RefCell::new(Signer { context: Secp256k1::signing_only(), left: 0 });
}

/// The recovery id and the signature, r and s, of a digest below the order of the curve, with the first nonce of RFC 6979
/// for 32 bytes of additional data. Gives low s.
pub(crate) fn sign_once(digest: &[u8; 32], key: &PrivateKey, extra: &[u8; 32]) -> (u8, [u8; 64]) {
    let scalar = key.to_bytes();
    #[expect(clippy::expect_used, reason = "a private key is a scalar by its type")]
    let mut secret = SecretKey::from_byte_array(*scalar).expect("a private key is a scalar");
    let signed = SIGNER.with_borrow_mut(|signer| {
        let context = signer.blinded(&scalar, digest);
        let message = Message::from_digest(*digest);
        context.sign_ecdsa_recoverable_with_noncedata(message, &secret, extra)
    });
    secret.non_secure_erase();
    let (recovery_id, compact) = signed.serialize_compact();
    (number_of(recovery_id), compact)
}

fn number_of(id: RecoveryId) -> u8 {
    match id {
        RecoveryId::Zero => 0,
        RecoveryId::One => 1,
        RecoveryId::Two => 2,
        RecoveryId::Three => 3,
    }
}

/// A context of libsecp256k1 with its blinding.
struct Signer {
    context: Secp256k1<SignOnly>,
    left: u32,
}

impl Signer {
    /// The context, blinded anew if it is time. Nobody but the key's owner can tell the seed, and it is mixed into what was
    /// before.
    fn blinded(&mut self, scalar: &[u8; 32], digest: &[u8; 32]) -> &Secp256k1<SignOnly> {
        if self.left == 0 {
            let seed = Sha256::new_with_prefix(scalar).chain_update(digest).finalize();
            self.context.seeded_randomize(&Zeroizing::new(seed.into()));
            self.left = ATTEMPTS_PER_BLINDING;
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
        let key = PrivateKey::from_bytes(&[7; 32]).unwrap();
        let secret = secp256k1::SecretKey::from_secret_bytes([7; 32]).unwrap();
        for number in 0..=ATTEMPTS_PER_BLINDING * 3 {
            let digest = Sha256::digest(number.to_le_bytes()).into();
            let extra = [9; 32];
            // The binding that blinds after every signature.
            let theirs = RecoverableSignature::sign_ecdsa_recoverable_with_noncedata(
                Message::from_digest(digest),
                &secret,
                &extra,
            );
            let (recovery_id, compact) = theirs.serialize_compact();
            assert_eq!(sign_once(&digest, &key, &extra), (recovery_id.to_u8(), compact));
        }
    }

    #[test]
    fn the_blinding_is_renewed_in_time() {
        let mut signer = Signer { context: Secp256k1::signing_only(), left: 0 };
        for expected in (0..ATTEMPTS_PER_BLINDING).rev().cycle().take(200) {
            signer.blinded(&[1; 32], &[2; 32]);
            assert_eq!(signer.left, expected);
        }
    }
}
