//! Signing without us: the attempts of libsecp256k1 that a canonical signature needs, and nothing around them.

use alive_hive::{PrivateKey, RecoverableSignature};
use secp256k1::{Message, SecretKey, ecdsa::RecoverableSignature as Raw, ecdsa::RecoveryId};
use sha2::{Digest, Sha256};

/// One call of libsecp256k1: a digest and the additional data of its nonce.
#[derive(Clone, Copy, Debug)]
pub struct Attempt {
    digest: [u8; 32],
    extra: [u8; 32],
}

/// The key of a bench in the form of libsecp256k1.
pub fn raw_key(key: &PrivateKey) -> SecretKey {
    SecretKey::from_secret_bytes(*key.to_bytes()).expect("a private key is one here, too")
}

/// All attempts that signing these digests takes, the last one of each being the canonical one.
pub fn attempts(digests: &[[u8; 32]], key: &SecretKey) -> Vec<Attempt> {
    let mut all = Vec::new();
    for &digest in digests {
        for number in 1_u8.. {
            let extra = Sha256::new_with_prefix(digest).chain_update([number]).finalize().into();
            let attempt = Attempt { digest, extra };
            all.push(attempt);
            if is_canonical(&attempt.run(key)) {
                break;
            }
        }
    }
    all
}

/// A digest and its signature in the form of libsecp256k1.
pub fn to_raw(digest: &[u8; 32], signature: &RecoverableSignature) -> (Message, Raw) {
    let id = RecoveryId::from_u8_masked(signature.recovery_id().expect("it was just made"));
    let (_, compact) = signature.as_bytes().split_at(1);
    let raw = Raw::from_compact(compact, id).expect("it was just made");
    (Message::from_digest(*digest), raw)
}

impl Attempt {
    /// Signs once.
    pub fn run(&self, key: &SecretKey) -> Raw {
        let message = Message::from_digest(self.digest);
        Raw::sign_ecdsa_recoverable_with_noncedata(message, key, &self.extra)
    }
}

fn is_canonical(signature: &Raw) -> bool {
    let (_, compact) = signature.serialize_compact();
    let mut bytes = [31; RecoverableSignature::LEN];
    let (_, body) = bytes.split_at_mut(1);
    body.copy_from_slice(&compact);
    RecoverableSignature::from_bytes(bytes).is_fc_canonical()
}
