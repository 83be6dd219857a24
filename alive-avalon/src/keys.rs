//! Keys and their texts: [`PrivateKey`], [`PublicKey`].

use std::{fmt, str::FromStr};

use secp256k1::SecretKey;
use zeroize::{Zeroize, Zeroizing};

/// Longest base58 text of a key that is worth decoding; the chain's own limit for public keys.
/// Source: `spec/avalon.md`, section 2.
const MAX_TEXT_LEN: usize = 50;

/// A private key: a scalar from 1 to the order of secp256k1 less one. Its text is base58 of 32 bytes, nothing else.
///
/// It has no `Display` and no serde form, its `Debug` shows nothing, and it is overwritten when dropped.
/// Source: `spec/avalon.md`, section 2.
///
/// ```
/// use alive_avalon::PrivateKey;
/// let key: PrivateKey = "9odcnzDGD9jKPbgrJWZeWan5etiggTc23v8RLyoockTy".parse()?;
/// assert_eq!(key.public_key().to_string(), "wWeTwckfsXX9eEYxYLnke3vYKVpXi4JLTDX6UR7duXgy");
/// assert_eq!(format!("{key:?}"), "PrivateKey(..)");
/// # Ok::<(), alive_avalon::KeyError>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct PrivateKey(SecretKey);

impl PrivateKey {
    /// Takes a scalar, big endian. To make a key, give it 32 random bytes, and others if these are no scalar.
    ///
    /// # Errors
    /// [`KeyError::Scalar`] if it is zero or not below the order of the curve.
    pub fn from_bytes(scalar: &[u8; 32]) -> Result<Self, KeyError> {
        SecretKey::from_secret_bytes(*scalar).map(Self).map_err(|_| KeyError::Scalar)
    }

    /// The scalar, big endian; overwritten when dropped.
    pub fn to_bytes(&self) -> Zeroizing<[u8; 32]> {
        Zeroizing::new(self.0.to_secret_bytes())
    }

    /// The text; overwritten when dropped.
    pub fn to_base58(&self) -> Zeroizing<String> {
        Zeroizing::new(bs58::encode(self.0.as_secret_bytes()).into_string())
    }

    /// The public key that belongs to it.
    pub fn public_key(&self) -> PublicKey {
        PublicKey(self.0.public_key())
    }

    /// The key as the curve library wants it.
    pub(crate) fn as_secret(&self) -> &SecretKey {
        &self.0
    }
}

impl Drop for PrivateKey {
    fn drop(&mut self) {
        self.0.non_secure_erase();
    }
}

impl fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PrivateKey(..)")
    }
}

impl FromStr for PrivateKey {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, KeyError> {
        let bytes = Zeroizing::new(base58::<32>(text)?);
        Self::from_bytes(&bytes)
    }
}

/// A public key: a point of secp256k1. Its text is base58 of its 33 compressed bytes, nothing else.
///
/// ```
/// use alive_avalon::PublicKey;
/// let key: PublicKey = "wWeTwckfsXX9eEYxYLnke3vYKVpXi4JLTDX6UR7duXgy".parse()?;
/// assert_eq!(PublicKey::from_bytes(key.to_bytes())?, key);
/// # Ok::<(), alive_avalon::KeyError>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PublicKey(secp256k1::PublicKey);

impl PublicKey {
    /// Bytes of a compressed point.
    pub const LEN: usize = 33;

    /// Takes a compressed point (SEC 1).
    ///
    /// # Errors
    /// [`KeyError::Point`] if the bytes are not a point of the curve.
    pub fn from_bytes(bytes: [u8; Self::LEN]) -> Result<Self, KeyError> {
        secp256k1::PublicKey::from_byte_array_compressed(bytes)
            .map(Self)
            .map_err(|_| KeyError::Point)
    }

    /// The compressed point.
    pub fn to_bytes(&self) -> [u8; Self::LEN] {
        self.0.serialize()
    }

    /// A point that the curve library made.
    pub(crate) fn from_point(point: secp256k1::PublicKey) -> Self {
        Self(point)
    }

    /// The point as the curve library wants it.
    pub(crate) fn as_point(&self) -> &secp256k1::PublicKey {
        &self.0
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&bs58::encode(self.to_bytes()).into_string())
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({self})")
    }
}

impl FromStr for PublicKey {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, KeyError> {
        Self::from_bytes(base58(text)?)
    }
}

/// Why a text or some bytes are no key. The text of a private key never stands in it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// A character that base58 does not have.
    #[error("a character of the key is not base58")]
    Base58,
    /// Not as many bytes as a key has.
    #[error("the key does not have {expected} bytes before base58")]
    Len {
        /// Bytes that belong there.
        expected: usize,
    },
    /// The bytes are no compressed point of the curve.
    #[error("the public key is not a point of the curve")]
    Point,
    /// The scalar is zero or not below the order of the curve.
    #[error("the private key is not a scalar of the curve")]
    Scalar,
}

/// Decodes exactly `N` bytes.
fn base58<const N: usize>(text: &str) -> Result<[u8; N], KeyError> {
    let wrong_len = KeyError::Len { expected: N };
    if text.len() > MAX_TEXT_LEN {
        return Err(wrong_len);
    }
    let mut bytes = [0; N];
    // A private key passes through here: the buffer goes out as the result or is overwritten.
    match bs58::decode(text).onto(&mut bytes[..]) {
        Ok(len) if len == N => Ok(bytes),
        Ok(_) | Err(bs58::decode::Error::BufferTooSmall) => {
            bytes.zeroize();
            Err(wrong_len)
        }
        Err(_) => {
            bytes.zeroize();
            Err(KeyError::Base58)
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::zero(&[0; 32], KeyError::Scalar)]
    #[case::above_the_order(&[0xff; 32], KeyError::Scalar)]
    #[case::a_public_key(&[2; 33], KeyError::Len { expected: 32 })]
    #[case::a_hive_wif(&[0x80; 37], KeyError::Len { expected: 32 })]
    #[case::short(&[1; 31], KeyError::Len { expected: 32 })]
    fn a_private_key_with_a_defect_is_refused(#[case] bytes: &[u8], #[case] why: KeyError) {
        let text = bs58::encode(bytes).into_string();
        assert_eq!(text.parse::<PrivateKey>().unwrap_err(), why);
    }

    #[test]
    fn blanks_and_other_letters_are_refused_anywhere() {
        let text = "9odcnzDGD9jKPbgrJWZeWan5etiggTc23v8RLyoockTy";
        for at in [0, 20, text.len()] {
            for odd in [" ", "\t", "\n", "0", "O", "I", "l", "é"] {
                let (before, after) = text.split_at(at);
                let odd = format!("{before}{odd}{after}");
                assert_eq!(odd.parse::<PrivateKey>().unwrap_err(), KeyError::Base58);
            }
        }
    }

    #[test]
    fn points_not_compressed_and_the_null_key_are_refused() {
        let point = PrivateKey::from_bytes(&[1; 32]).unwrap().0.public_key();
        let long = bs58::encode(point.serialize_uncompressed()).into_string();
        assert_eq!(long.parse::<PublicKey>(), Err(KeyError::Len { expected: 33 }));
        assert_eq!(PublicKey::from_bytes([0; 33]), Err(KeyError::Point));
        let mut hybrid = point.serialize();
        hybrid[0] += 4;
        assert_eq!(PublicKey::from_bytes(hybrid), Err(KeyError::Point));
    }

    #[test]
    fn errors_do_not_repeat_a_private_key() {
        let error = "0odcnzDGD9jKPbgrJWZeWan5etiggTc23v8RLyoockTy".parse::<PrivateKey>();
        assert!(!format!("{error:?}").contains("odcnz"));
    }

    proptest! {
        #[test]
        fn keys_survive_their_texts(scalar: [u8; 32], zeros in 0_usize..20) {
            let mut scalar = scalar;
            scalar[..zeros].fill(0);
            if let Ok(key) = PrivateKey::from_bytes(&scalar) {
                prop_assert_eq!(&*key.to_bytes(), &scalar);
                prop_assert!(key.to_base58().parse::<PrivateKey>().unwrap() == key);
                let public = key.public_key();
                prop_assert_eq!(public.to_string().parse(), Ok(public));
            }
        }
    }
}
