//! Signatures of 64 bytes and the number that tells which key made them: [`Signature`], [`RecoveryId`].

use std::{fmt, str::FromStr};

use secp256k1::{
    Message,
    ecdsa::{self, RecoverableSignature},
};

use crate::{
    digest::Hash,
    keys::{PrivateKey, PublicKey},
};

/// 64 bytes never take more letters of base58.
const MAX_TEXT_LEN: usize = 88;

/// Which of up to four keys made a signature: 0 to 3.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct RecoveryId(u8);

impl RecoveryId {
    /// The number as an id, `None` above 3.
    pub fn new(number: u8) -> Option<Self> {
        (number <= 3).then_some(Self(number))
    }

    /// The number.
    pub fn as_u8(self) -> u8 {
        self.0
    }
}

/// A signature: r and s, 32 bytes each, big endian. Its text is base58.
///
/// Any 64 bytes are a value; [`verify`](Self::verify) and [`recover`](Self::recover) judge them. The same digest and key
/// always give the same bytes (RFC 6979, low s). Others can change a recoverable signature without the key, so tell
/// transactions apart by their hash, never by their signature. Source: `spec/avalon.md`, section 3.
///
/// ```
/// use alive_avalon::{Hash, PrivateKey, Signature};
/// let key: PrivateKey = "9odcnzDGD9jKPbgrJWZeWan5etiggTc23v8RLyoockTy".parse()?;
/// let digest = Hash::of("hello");
/// let (signature, recovery_id) = Signature::sign(&digest, &key);
/// assert!(signature.verify(&digest, &key.public_key()));
/// assert_eq!(signature.recover(&digest, recovery_id), Some(key.public_key()));
/// # Ok::<(), alive_avalon::KeyError>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Signature([u8; Self::LEN]);

impl Signature {
    /// Bytes of a signature.
    pub const LEN: usize = 64;

    /// Takes the bytes as they are.
    pub const fn from_bytes(bytes: [u8; Self::LEN]) -> Self {
        Self(bytes)
    }

    /// r and s.
    pub const fn as_bytes(&self) -> &[u8; Self::LEN] {
        &self.0
    }

    /// Signs a digest.
    pub fn sign(digest: &Hash, key: &PrivateKey) -> (Self, RecoveryId) {
        let (bytes, id) = alive_signing::sign(digest.as_bytes(), key.as_secret(), None);
        (Self(bytes), RecoveryId(id))
    }

    /// Whether this key made it. A high s is refused.
    pub fn verify(&self, digest: &Hash, key: &PublicKey) -> bool {
        let message = Message::from_digest(*digest.as_bytes());
        ecdsa::Signature::from_compact(&self.0)
            .is_ok_and(|signature| ecdsa::verify(&signature, message, key.as_point()).is_ok())
    }

    /// The key that made it, `None` if no key could. A high s is taken.
    pub fn recover(&self, digest: &Hash, id: RecoveryId) -> Option<PublicKey> {
        let id = ecdsa::RecoveryId::from_u8_masked(id.0);
        let signature = RecoverableSignature::from_compact(&self.0, id).ok()?;
        let message = Message::from_digest(*digest.as_bytes());
        signature.recover_ecdsa(message).ok().map(PublicKey::from_point)
    }
}

impl fmt::Display for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = [0; 90];
        let start = base58(&self.0, &mut text);
        let text = text.get(start..).and_then(|text| std::str::from_utf8(text).ok());
        f.write_str(text.ok_or(fmt::Error)?)
    }
}

impl fmt::Debug for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Signature({self})")
    }
}

impl FromStr for Signature {
    type Err = SignatureTextError;

    fn from_str(text: &str) -> Result<Self, SignatureTextError> {
        let mut bytes = [0; Self::LEN];
        if text.len() > MAX_TEXT_LEN {
            return Err(SignatureTextError);
        }
        // Ten times as fast as a decoder of any length, which would cost half as much as the signature itself.
        five8::decode_64(text, &mut bytes).map_err(|_| SignatureTextError)?;
        Ok(Self(bytes))
    }
}

/// Letters of base58 by their values.
const LETTERS: &[u8; 58] = b"123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz";

/// Writes 64 bytes in base58 to the end of a buffer, and gives where the text begins: a division of the whole number tells
/// five letters at once.
///
/// The same function of `five8` is unrolled into 19 kB of code, which takes eight times as long between two signatures.
fn base58(bytes: &[u8; Signature::LEN], text: &mut [u8; 90]) -> usize {
    /// Five letters.
    const GROUP: u64 = 58_u64.pow(5);
    let mut number = [0_u32; 16];
    for (limb, bytes) in number.iter_mut().zip(bytes.as_chunks::<4>().0) {
        *limb = u32::from_be_bytes(*bytes);
    }
    let mut rest = number.as_mut_slice();
    // 18 groups hold the greatest number.
    for group in text.as_chunks_mut::<5>().0.iter_mut().rev() {
        while let [0, less @ ..] = rest {
            rest = less;
        }
        let mut left = 0;
        for limb in rest.iter_mut() {
            let value = (left << 32) | u64::from(*limb);
            #[expect(clippy::cast_possible_truncation, reason = "what is left is less than GROUP")]
            {
                *limb = (value / GROUP) as u32;
            }
            left = value % GROUP;
        }
        for digit in group.iter_mut().rev() {
            *digit = (left % 58) as u8;
            left /= 58;
        }
    }
    // Each zero byte in front is a letter of its own.
    let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
    let digits = text.iter().take_while(|digit| **digit == 0).count();
    for digit in text.iter_mut() {
        *digit = LETTERS.get(usize::from(*digit)).copied().unwrap_or_default();
    }
    digits.saturating_sub(zeros)
}

/// The text is no [`Signature`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a signature is 64 bytes in base58")]
pub struct SignatureTextError;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The same signature with the other s, which everybody can make.
    fn high(signature: Signature, id: RecoveryId) -> (Signature, RecoveryId) {
        let mut bytes = *signature.as_bytes();
        let (_, s) = bytes.split_at_mut(32);
        let order = secp256k1::constants::CURVE_ORDER;
        let mut borrow = 0;
        for (s, n) in s.iter_mut().zip(order).rev() {
            let left = i16::from(n) - i16::from(*s) - borrow;
            borrow = i16::from(left < 0);
            *s = u8::try_from(left & 0xff).unwrap();
        }
        (Signature(bytes), RecoveryId(id.0 ^ 1))
    }

    #[test]
    fn ids_above_three_are_none() {
        assert_eq!(RecoveryId::new(3).map(RecoveryId::as_u8), Some(3));
        assert_eq!(RecoveryId::new(4), None);
    }

    #[test]
    fn numbers_that_are_no_scalars_tell_no_key() {
        let digest = Hash::of("");
        for bytes in [[0; 64], [0xff; 64]] {
            for id in 0..4 {
                assert_eq!(Signature(bytes).recover(&digest, RecoveryId(id)), None);
            }
        }
    }

    #[test]
    fn texts_of_another_length_are_refused() {
        for len in [0, 1, 63, 65, 100] {
            assert!(bs58::encode(vec![1; len]).into_string().parse::<Signature>().is_err());
        }
        assert!("1".repeat(1_000_000).parse::<Signature>().is_err());
    }

    proptest! {
        #[test]
        fn base58_is_that_of_any_length(
            bytes in prop::collection::vec(any::<u8>(), 60..67),
            zeros in 0_usize..66,
            odd in "[1-9A-HJ-NP-Za-km-z0OIl ]{80,90}",
        ) {
            let mut bytes = bytes;
            let zeros = zeros.min(bytes.len());
            bytes[..zeros].fill(0);
            for text in [bs58::encode(&bytes).into_string(), odd] {
                let decoded = bs58::decode(&text).into_vec().ok();
                let decoded = decoded.and_then(|bytes| <[u8; 64]>::try_from(bytes).ok());
                let signature: Option<Signature> = text.parse().ok();
                prop_assert_eq!(signature.map(|signature| signature.0), decoded);
                if let Some(signature) = signature {
                    prop_assert_eq!(signature.to_string(), text);
                }
            }
        }

        #[test]
        fn what_is_signed_is_verified_and_recovered(scalar: [u8; 32], digest: [u8; 32]) {
            let Ok(key) = PrivateKey::from_bytes(&scalar) else { return Ok(()) };
            let digest = Hash::from_bytes(digest);
            let (signature, id) = Signature::sign(&digest, &key);
            prop_assert!(signature.verify(&digest, &key.public_key()));
            prop_assert_eq!(signature.recover(&digest, id), Some(key.public_key()));
            prop_assert_eq!(signature.to_string().parse(), Ok(signature));
            let (high, id) = high(signature, id);
            prop_assert!(!high.verify(&digest, &key.public_key()), "a high s is refused");
            prop_assert_eq!(high.recover(&digest, id), Some(key.public_key()), "but recovered");
        }
    }
}
