//! How signatures are made: the algorithms of dhive and of hived.
//!
//! Source: `spec/hive.md`, section 3.3.

use ecdsa::hazmat::sign_prehashed;
use k256::{FieldBytes, NonZeroScalar, Scalar, Secp256k1, elliptic_curve::ops::Reduce};
use secp256k1::constants::CURVE_ORDER;
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use crate::{
    keys::PrivateKey,
    nonce::NonceCandidates,
    signature::{RecoverableSignature, is_fc_canonical},
};

/// Grinds the additional data of RFC 6979 until the result is fc canonical: 1.98 attempts in the mean, each one call
/// of libsecp256k1 and one SHA-256 block.
pub(crate) fn sign_as_dhive(digest: &[u8; 32], key: &PrivateKey) -> RecoverableSignature {
    let seed = Sha256::new_with_prefix(digest);
    let mut attempt = 1_u8;
    loop {
        let extra: [u8; 32] = seed.clone().chain_update([attempt]).finalize().into();
        let (recovery_id, compact) = sign_with_extra(digest, key, &extra);
        if is_fc_canonical(&compact) {
            return RecoverableSignature::new(recovery_id, &compact);
        }
        // Half of all attempts succeed, so the end of the byte (dhive starts over there) is out of reach.
        attempt = attempt.wrapping_add(1);
    }
}

/// Signs with the second candidate of plain RFC 6979; the first one is always thrown away.
///
/// The bindings to libsecp256k1 cannot choose a candidate (that takes a nonce function written in unsafe code), so the
/// signing itself is done by `ecdsa` over `k256`, in constant time.
pub(crate) fn sign_as_hived(digest: &[u8; 32], key: &PrivateKey) -> RecoverableSignature {
    let reduced = <Scalar as Reduce<FieldBytes>>::reduce(&(*digest).into()).to_bytes().into();
    let mut nonces = NonceCandidates::new(&key.to_bytes(), &reduced, &[]);
    let _ = nonces.next_candidate();
    let (recovery_id, compact) = sign_with_candidates(digest, key, &mut nonces);
    RecoverableSignature::new(recovery_id, &compact)
}

/// One attempt with 32 bytes of additional data, which see the digest unreduced.
fn sign_with_extra(digest: &[u8; 32], key: &PrivateKey, extra: &[u8; 32]) -> (u8, [u8; 64]) {
    if *digest < CURVE_ORDER {
        let (compact, recovery_id) = alive_signing::sign(digest, key.as_secret(), Some(extra));
        return (recovery_id, compact);
    }
    // libsecp256k1 of today reduces such a digest before it makes the nonce; the one in dhive does not.
    let mut nonces = NonceCandidates::new(&key.to_bytes(), digest, extra);
    sign_with_candidates(digest, key, &mut nonces)
}

/// Signs with the first candidate that fits, in practice the next one. Gives low s.
fn sign_with_candidates(
    digest: &[u8; 32],
    key: &PrivateKey,
    nonces: &mut NonceCandidates,
) -> (u8, [u8; 64]) {
    #[expect(clippy::expect_used, reason = "a private key is a scalar by its type")]
    let secret = Zeroizing::new(scalar(&key.to_bytes()).expect("a private key is a scalar"));
    loop {
        let nonce = scalar(&nonces.next_candidate()).map(Zeroizing::new);
        let signed = nonce.map(|nonce| sign_prehashed::<Secp256k1>(&secret, &nonce, digest));
        if let Some(Ok((signature, recovery_id))) = signed {
            return (recovery_id.to_byte(), signature.to_bytes().into());
        }
    }
}

/// The number from 1 to the order of the curve less one that these bytes are.
fn scalar(bytes: &[u8; 32]) -> Option<NonZeroScalar> {
    NonZeroScalar::from_repr((*bytes).into()).into_option()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn both_libraries_sign_alike_with_the_first_candidate(
            scalar: [u8; 32], digest: [u8; 32], extra: [u8; 32],
        ) {
            prop_assume!(digest < CURVE_ORDER);
            if let Ok(key) = PrivateKey::from_bytes(&scalar) {
                let mut nonces = NonceCandidates::new(&scalar, &digest, &extra);
                let ours = sign_with_candidates(&digest, &key, &mut nonces);
                prop_assert_eq!(ours, sign_with_extra(&digest, &key, &extra));
            }
        }
    }
}
