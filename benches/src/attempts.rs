//! Signing without us: the attempts of libsecp256k1 that a canonical signature needs, and nothing around them.

use alive_hive::{PrivateKey, RecoverableSignature};
use secp256k1::{Message, ecdsa::RecoverableSignature as Raw, ecdsa::RecoveryId};
use secp256k1_signing::{self as signing, Secp256k1, SecretKey, SignOnly};
use sha2::{Digest, Sha256};

/// One call of libsecp256k1: a digest and the additional data of its nonce.
#[derive(Clone, Copy, Debug)]
pub struct Attempt {
    digest: [u8; 32],
    extra: [u8; 32],
}

/// A context of libsecp256k1 without blinding, and a key in its form.
#[derive(Debug)]
pub struct RawKey {
    context: Secp256k1<SignOnly>,
    secret: SecretKey,
}

/// The key of a bench in the form of libsecp256k1.
pub fn raw_key(key: &PrivateKey) -> RawKey {
    let secret = SecretKey::from_byte_array(*key.to_bytes());
    let secret = secret.expect("a private key is one here, too");
    RawKey { context: Secp256k1::signing_only(), secret }
}

/// All attempts that signing these digests takes, the last one of each being the canonical one.
pub fn attempts(digests: &[[u8; 32]], key: &RawKey) -> Vec<Attempt> {
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
    pub fn run(&self, key: &RawKey) -> signing::ecdsa::RecoverableSignature {
        let message = signing::Message::from_digest(self.digest);
        key.context.sign_ecdsa_recoverable_with_noncedata(message, &key.secret, &self.extra)
    }
}

fn is_canonical(signature: &signing::ecdsa::RecoverableSignature) -> bool {
    let (_, compact) = signature.serialize_compact();
    let mut bytes = [31; RecoverableSignature::LEN];
    let (_, body) = bytes.split_at_mut(1);
    body.copy_from_slice(&compact);
    RecoverableSignature::from_bytes(bytes).is_fc_canonical()
}
