//! Keys and their texts: [`PrivateKey`] (WIF), [`PublicKey`] (prefix and base58), [`Role`].

use std::{fmt, str::FromStr};

use alive_core::Excerpt;
use ripemd::Ripemd160;
use secp256k1::SecretKey;
use sha2::{Digest, Sha256};
use zeroize::{Zeroize, Zeroizing};

use crate::network::KeyPrefix;

/// First byte of a WIF text, before base58. Source: `spec/hive.md`, section 2.
const WIF_VERSION: u8 = 0x80;
/// Bytes of a checksum.
const CHECKSUM_LEN: usize = 4;
/// Bytes of a WIF text before base58: version, scalar, checksum.
const WIF_LEN: usize = 1 + 32 + CHECKSUM_LEN;
/// Bytes of the text of a public key before base58: point, checksum.
const PUBLIC_LEN: usize = PublicKey::LEN + CHECKSUM_LEN;
/// Longest base58 text worth decoding; 37 bytes never take more than 51 letters.
const BASE58_MAX: usize = 64;

/// What a key of an account may be used for.
///
/// ```
/// use alive_hive::Role;
/// assert_eq!("posting".parse::<Role>()?, Role::Posting);
/// # Ok::<(), alive_hive::KeyError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Role {
    /// Moves funds.
    Active,
    /// Encrypts memos.
    Memo,
    /// Changes all keys.
    Owner,
    /// Posts, votes, streams.
    Posting,
}

impl Role {
    /// The name that master passwords are mixed with.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Memo => "memo",
            Self::Owner => "owner",
            Self::Posting => "posting",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Role {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, KeyError> {
        match text {
            "active" => Ok(Self::Active),
            "memo" => Ok(Self::Memo),
            "owner" => Ok(Self::Owner),
            "posting" => Ok(Self::Posting),
            other => Err(KeyError::Role(Excerpt::of(other))),
        }
    }
}

/// A private key: a scalar from 1 to the order of secp256k1 less one.
///
/// It has no `Display` and no serde form, its `Debug` shows nothing, and it is overwritten when dropped. Its text is
/// the WIF: parse it with `FromStr`, print it with [`PrivateKey::to_wif`].
/// Source: `spec/hive.md`, section 2.
///
/// ```
/// use alive_hive::{KeyPrefix, PrivateKey, Role};
/// let key = PrivateKey::from_password("alice", Role::Posting, "password")?;
/// assert_eq!(key.to_wif().as_str(), "5JZABPReZZqYBvrFYDAhmN6NQ6r9wDn9B9FnXPNLixhBaAyRbsq");
/// let public = key.public_key().to_text(&KeyPrefix::STM);
/// assert_eq!(public, "STM86eLQPsLySq5NASzEmkgCJ3LYAc3mqsswneuFCfT6xECn9aPv5");
/// assert_eq!(format!("{key:?}"), "PrivateKey(..)");
/// # Ok::<(), alive_hive::KeyError>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct PrivateKey(SecretKey);

impl PrivateKey {
    /// Takes a scalar, big endian.
    ///
    /// # Errors
    /// [`KeyError::Scalar`] if it is zero or not below the order of the curve.
    pub fn from_bytes(scalar: &[u8; 32]) -> Result<Self, KeyError> {
        SecretKey::from_secret_bytes(*scalar).map(Self).map_err(|_| KeyError::Scalar)
    }

    /// The key that wallets derive for `role` of `account` from its master password: the three texts, hashed without
    /// separator or normalisation.
    ///
    /// # Errors
    /// [`KeyError::Scalar`] if the hash is no scalar, which no one will live to see.
    pub fn from_password(account: &str, role: Role, password: &str) -> Result<Self, KeyError> {
        let hash = Sha256::new()
            .chain_update(account)
            .chain_update(role.as_str())
            .chain_update(password)
            .finalize();
        let scalar = Zeroizing::new(<[u8; 32]>::from(hash));
        Self::from_bytes(&scalar)
    }

    /// The scalar, big endian; overwritten when dropped.
    pub fn to_bytes(&self) -> Zeroizing<[u8; 32]> {
        Zeroizing::new(self.0.to_secret_bytes())
    }

    /// The WIF text; overwritten when dropped.
    pub fn to_wif(&self) -> Zeroizing<String> {
        let mut bytes = Zeroizing::new(Vec::with_capacity(WIF_LEN));
        bytes.push(WIF_VERSION);
        bytes.extend_from_slice(self.0.as_secret_bytes());
        let checksum = wif_checksum(&bytes);
        bytes.extend_from_slice(&checksum);
        Zeroizing::new(bs58::encode(&*bytes).into_string())
    }

    /// The public key that belongs to it.
    pub fn public_key(&self) -> PublicKey {
        PublicKey(self.0.public_key().serialize())
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

    /// Parses a WIF, strictly: 37 bytes, version 0x80, double SHA-256 checksum, no white space around it.
    fn from_str(wif: &str) -> Result<Self, KeyError> {
        let bytes = Zeroizing::new(base58::<WIF_LEN>(wif)?);
        let (body, checksum) = bytes.split_at(WIF_LEN - CHECKSUM_LEN);
        match body.split_first() {
            Some((&WIF_VERSION, _)) => {}
            Some((&version, _)) => return Err(KeyError::Version(version)),
            None => return Err(KeyError::Base58),
        }
        if wif_checksum(body) != checksum {
            return Err(KeyError::Checksum);
        }
        let mut scalar = Zeroizing::new([0; 32]);
        scalar.copy_from_slice(body.get(1..).unwrap_or_default());
        Self::from_bytes(&scalar)
    }
}

/// A public key: a compressed point of secp256k1, or the null key.
///
/// The null key (33 zero bytes) stands on chain where a key is switched off. It is a value but never a verifier: no
/// signature recovers to it. Keys compare by their bytes, which is the order hived sorts them in.
/// Source: `spec/hive.md`, section 2.
///
/// ```
/// use alive_hive::{KeyPrefix, PublicKey};
/// let text = "STM6VL2XYMsFBkRczQXzLUJwRpeYgtjNsd4vpjqkyacCbLhEy9f21";
/// let key = PublicKey::from_text(text, &KeyPrefix::STM)?;
/// assert_eq!(key.to_text(&KeyPrefix::BLT), text.replace("STM", "BLT"));
/// assert!(PublicKey::from_text(text, &KeyPrefix::BLT).is_err());
/// # Ok::<(), alive_hive::KeyError>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PublicKey([u8; Self::LEN]);

impl PublicKey {
    /// Bytes of a compressed point.
    pub const LEN: usize = 33;
    /// The key that means "no key".
    pub const NULL: Self = Self([0; Self::LEN]);

    /// Takes a compressed point (SEC 1) or the null key.
    ///
    /// # Errors
    /// [`KeyError::Point`] if the bytes are not a point of the curve.
    pub fn from_bytes(bytes: [u8; Self::LEN]) -> Result<Self, KeyError> {
        if bytes == Self::NULL.0 {
            return Ok(Self::NULL);
        }
        secp256k1::PublicKey::from_byte_array_compressed(bytes)
            .map(|point| Self(point.serialize()))
            .map_err(|_| KeyError::Point)
    }

    /// Parses the text form of a chain with that prefix, strictly: the prefix to the letter, then base58 of 33 bytes
    /// and the first 4 bytes of their RIPEMD-160.
    ///
    /// # Errors
    /// The first defect found, in the order prefix, base58, length, checksum, point.
    pub fn from_text(text: &str, prefix: &KeyPrefix) -> Result<Self, KeyError> {
        let body = text
            .strip_prefix(prefix.as_str())
            .ok_or_else(|| KeyError::Prefix { found: Excerpt::of(text), expected: *prefix })?;
        let bytes = base58::<PUBLIC_LEN>(body)?;
        let (point, checksum) = bytes.split_at(Self::LEN);
        if public_checksum(point) != checksum {
            return Err(KeyError::Checksum);
        }
        let mut key = [0; Self::LEN];
        key.copy_from_slice(point);
        Self::from_bytes(key)
    }

    /// The text form on a chain with that prefix.
    pub fn to_text(&self, prefix: &KeyPrefix) -> String {
        let mut bytes = [0; PUBLIC_LEN];
        let (point, checksum) = bytes.split_at_mut(Self::LEN);
        point.copy_from_slice(&self.0);
        checksum.copy_from_slice(&public_checksum(&self.0));
        format!("{prefix}{}", bs58::encode(bytes).into_string())
    }

    /// The compressed point, or 33 zero bytes.
    pub const fn as_bytes(&self) -> &[u8; Self::LEN] {
        &self.0
    }

    /// Whether it is the null key.
    pub fn is_null(&self) -> bool {
        *self == Self::NULL
    }

    /// A point that the curve library made.
    pub(crate) fn from_point(point: &secp256k1::PublicKey) -> Self {
        Self(point.serialize())
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({})", hex::encode(self.0))
    }
}

/// Why a text or some bytes are no key. The text of a private key never stands in it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// A character that base58 does not have.
    #[error("a character of the key is not base58")]
    Base58,
    /// The checksum does not fit: a typing error, most likely.
    #[error("the checksum of the key does not fit")]
    Checksum,
    /// Not as many bytes as a key has.
    #[error("the key does not have {expected} bytes before base58")]
    Len {
        /// Bytes that belong there.
        expected: usize,
    },
    /// The bytes are no compressed point of the curve.
    #[error("the public key is not a point of the curve")]
    Point,
    /// The text does not start with the letters of this chain.
    #[error("public key {found} does not start with {expected}")]
    Prefix {
        /// Start of the text.
        found: Excerpt,
        /// Letters that belong there.
        expected: KeyPrefix,
    },
    /// No such role.
    #[error("{0} is no role: owner, active, posting or memo")]
    Role(Excerpt),
    /// The scalar is zero or not below the order of the curve.
    #[error("the private key is not a scalar of the curve")]
    Scalar,
    /// The first byte of a WIF is not 0x80.
    #[error("the private key has version {0:#04x}, 0x80 expected")]
    Version(u8),
}

/// Decodes exactly `N` bytes.
fn base58<const N: usize>(text: &str) -> Result<[u8; N], KeyError> {
    let wrong_len = KeyError::Len { expected: N };
    if text.len() > BASE58_MAX {
        return Err(wrong_len);
    }
    let mut bytes = [0; N];
    // On the heap or not, a WIF passes through here: the buffer goes out as the result or is overwritten.
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

fn wif_checksum(body: &[u8]) -> [u8; CHECKSUM_LEN] {
    let [a, b, c, d, ..] = <[u8; 32]>::from(Sha256::digest(Sha256::digest(body)));
    [a, b, c, d]
}

fn public_checksum(point: &[u8]) -> [u8; CHECKSUM_LEN] {
    let [a, b, c, d, ..] = <[u8; 20]>::from(Ripemd160::digest(point));
    [a, b, c, d]
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;

    use super::*;

    /// Base58 of anything with a right WIF checksum.
    fn wif_of(body: &[u8]) -> String {
        bs58::encode([body, &wif_checksum(body)].concat()).into_string()
    }

    #[rstest]
    #[case::version(wif_of(&[&[0x81][..], &[1; 32]].concat()), KeyError::Version(0x81))]
    #[case::compressed(wif_of(&[&[0x80][..], &[1; 33]].concat()), KeyError::Len { expected: 37 })]
    #[case::short(wif_of(&[&[0x80][..], &[1; 31]].concat()), KeyError::Len { expected: 37 })]
    #[case::zero(wif_of(&[&[0x80][..], &[0; 32]].concat()), KeyError::Scalar)]
    #[case::order(wif_of(&[&[0x80][..], &[0xff; 32]].concat()), KeyError::Scalar)]
    #[case::space(" 5HpHagT65TZzG1PH3CSu63k8DbpvD8s5ip4nEB3kEsreAnchuDf".into(), KeyError::Base58)]
    #[case::not_ascii("é".into(), KeyError::Base58)]
    #[case::empty(String::new(), KeyError::Len { expected: 37 })]
    #[case::endless("5".repeat(1_000_000), KeyError::Len { expected: 37 })]
    fn a_wif_with_a_defect_is_refused(#[case] wif: String, #[case] why: KeyError) {
        assert_eq!(wif.parse::<PrivateKey>().unwrap_err(), why);
    }

    #[test]
    fn a_wif_with_a_single_hash_as_checksum_is_refused() {
        let body = [&[0x80][..], &[1; 32]].concat();
        let checksum: [u8; 32] = Sha256::digest(&body).into();
        let wif = bs58::encode([&body, &checksum[..4]].concat()).into_string();
        assert_eq!(wif.parse::<PrivateKey>().unwrap_err(), KeyError::Checksum);
    }

    #[test]
    fn an_uncompressed_public_key_is_refused() {
        let point =
            PrivateKey::from_bytes(&[1; 32]).unwrap().0.public_key().serialize_uncompressed();
        let text = bs58::encode([&point[..], &public_checksum(&point)].concat()).into_string();
        let refused = PublicKey::from_text(&format!("STM{text}"), &KeyPrefix::STM);
        assert_eq!(refused.unwrap_err(), KeyError::Len { expected: 37 });
    }

    #[test]
    fn the_null_key_has_its_known_text_and_parses_back() {
        let text = "STM1111111111111111111111111111111114T1Anm";
        assert_eq!(PublicKey::NULL.to_text(&KeyPrefix::STM), text);
        assert!(PublicKey::from_text(text, &KeyPrefix::STM).unwrap().is_null());
    }

    #[test]
    fn errors_and_debug_output_do_not_repeat_a_private_key() {
        let wif = "5Jv8AMSJQkPk9j7swWHjPKoG7Lzot9DiFX5q2dZa4miztE4CAna";
        let error = wif.parse::<PrivateKey>().unwrap_err();
        assert!(!format!("{error} {error:?}").contains("Jv8AMSJ"));
        let key = PrivateKey::from_bytes(&[0xab; 32]).unwrap();
        let shown = format!("{key:?} {:#?}", Some(&key)).to_lowercase();
        for secret in ["abab", "171, 171", key.to_wif().get(..8).unwrap()] {
            assert!(!shown.contains(&secret.to_lowercase()), "{shown}");
        }
    }

    #[test]
    fn white_space_in_a_password_counts() {
        let key = |password| PrivateKey::from_password("abc", Role::Memo, password).unwrap();
        assert_ne!(key(" x").public_key(), key("x").public_key());
    }

    proptest! {
        #[test]
        fn keys_survive_their_texts(scalar: [u8; 32]) {
            if let Ok(key) = PrivateKey::from_bytes(&scalar) {
                prop_assert_eq!(&*key.to_bytes(), &scalar);
                prop_assert!(key.to_wif().parse::<PrivateKey>().unwrap() == key);
                let public = key.public_key();
                let text = public.to_text(&KeyPrefix::TST);
                prop_assert_eq!(PublicKey::from_text(&text, &KeyPrefix::TST), Ok(public));
                prop_assert_eq!(PublicKey::from_bytes(*public.as_bytes()), Ok(public));
            }
        }
    }
}
