//! Recoverable signatures, the ways to make them and the rules to accept them.

use std::{fmt, str::FromStr};

use secp256k1::{Message, ecdsa::RecoverableSignature as Recoverable, ecdsa::RecoveryId};

use crate::{
    hex_text::{HexError, read_hex, serde_as_text},
    keys::{PrivateKey, PublicKey},
    sign::{sign_as_dhive, sign_as_hived},
};

/// Lowest header byte: recovery id 0, "uncompressed".
const HEADER_MIN: u8 = 27;
/// Highest header byte: recovery id 3, "compressed".
const HEADER_MAX: u8 = 34;
/// What every signer adds to the recovery id.
const HEADER_WRITTEN: u8 = 31;

/// Half of the order of the curve, big endian: the greatest low s.
const HALF_ORDER: [u8; 32] = [
    0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
    0x5d, 0x57, 0x6e, 0x73, 0x57, 0xa4, 0x50, 0x1d, 0xdf, 0xe9, 0x2f, 0x46, 0x68, 0x1b, 0x20, 0xa0,
];

/// How to choose the nonce. The bytes differ, the recovered key does not.
///
/// Source: `spec/hive.md`, section 3.3.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum SignAlgorithm {
    /// RFC 6979 with `sha256(digest || attempt)` as additional data, first attempt that is fc canonical. Every chain of
    /// the family takes it, old ones and strict verifiers too.
    #[default]
    Dhive,
    /// RFC 6979 with its second candidate, as hived itself and beekeeper sign. The top bit of r may be set.
    Hived,
}

/// Which signatures [`RecoverableSignature::recover`] takes.
///
/// Source: `spec/hive.md`, section 3.2.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum RecoverRule {
    /// What hived accepts, so what a node or an indexer must accept: s below hived's own bound, which lets some high s
    /// through.
    #[default]
    Hived,
    /// One form only: s at most half of the order.
    LowS,
    /// Any form that recovers a key. For data off chain, where the key counts and not the form.
    Plain,
}

/// A signature of 65 bytes from which the signer's public key can be recovered: header, r, s.
///
/// Any 65 bytes are a value; [`RecoverableSignature::recover`] judges them. Two clients sign the same digest with the
/// same key and get different bytes, so compare recovered keys, never signatures. The text form is 130 hexadecimal
/// digits: either case is read, lower case is written. Source: `spec/hive.md`, section 3.1.
///
/// ```
/// use alive_hive::{PrivateKey, RecoverRule, RecoverableSignature, SignAlgorithm};
/// let key: PrivateKey = "5JmjNbjjWKSagouiMApk8VLJk3QzaK8hmPauzNgf2dXAefhB1Wz".parse()?;
/// let digest = [7; 32];
/// let ours = RecoverableSignature::sign(&digest, &key, SignAlgorithm::Dhive);
/// let theirs = RecoverableSignature::sign(&digest, &key, SignAlgorithm::Hived);
/// assert_ne!(ours, theirs);
/// assert_eq!(ours.recover(&digest, RecoverRule::Hived)?, key.public_key());
/// assert_eq!(theirs.recover(&digest, RecoverRule::Hived)?, key.public_key());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct RecoverableSignature([u8; Self::LEN]);
serde_as_text!(RecoverableSignature);

impl RecoverableSignature {
    /// Bytes of a signature.
    pub const LEN: usize = 65;
    /// Upper bound of s in hived: it compares the bytes of s with those of half the order **reversed**, and accepts
    /// what is less.
    pub const HIVED_S_BOUND: [u8; 32] = [
        0xa0, 0x20, 0x1b, 0x68, 0x46, 0x2f, 0xe9, 0xdf, 0x1d, 0x50, 0xa4, 0x57, 0x73, 0x6e, 0x57,
        0x5d, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
        0xff, 0x7f,
    ];

    /// Takes the bytes as they are.
    pub const fn from_bytes(bytes: [u8; Self::LEN]) -> Self {
        Self(bytes)
    }

    /// Header, r and s.
    pub const fn as_bytes(&self) -> &[u8; Self::LEN] {
        &self.0
    }

    /// Signs a digest. The same digest, key and algorithm always give the same bytes.
    pub fn sign(digest: &[u8; 32], key: &PrivateKey, algorithm: SignAlgorithm) -> Self {
        match algorithm {
            SignAlgorithm::Dhive => sign_as_dhive(digest, key),
            SignAlgorithm::Hived => sign_as_hived(digest, key),
        }
    }

    /// The public key whose owner signed the digest.
    ///
    /// # Errors
    /// [`SignatureError`] if the rule refuses the signature or no key fits it.
    pub fn recover(
        &self,
        digest: &[u8; 32],
        rule: RecoverRule,
    ) -> Result<PublicKey, SignatureError> {
        let recovery_id = self.recovery_id()?;
        let compact = self.r_and_s();
        // It refuses r and s that are not below the order; zero is refused by the recovery itself.
        let signature = Recoverable::from_compact(compact, RecoveryId::from_u8_masked(recovery_id))
            .map_err(|_| SignatureError::Scalar)?;
        match rule {
            RecoverRule::Hived if !self.is_hived_canonical() => return Err(SignatureError::HighS),
            RecoverRule::LowS if !self.is_low_s() => return Err(SignatureError::HighS),
            RecoverRule::Hived | RecoverRule::LowS | RecoverRule::Plain => {}
        }
        signature
            .recover_ecdsa(Message::from_digest(*digest))
            .map(|point| PublicKey::from_point(&point))
            .map_err(|_| SignatureError::NoKey)
    }

    /// The two bits that choose among the points with x = r; the "compressed" bit of the header is ignored.
    ///
    /// # Errors
    /// [`SignatureError::Header`] if the header is outside 27 to 34.
    pub fn recovery_id(&self) -> Result<u8, SignatureError> {
        match self.header() {
            header @ HEADER_MIN..=HEADER_MAX => Ok((header - HEADER_MIN) & 3),
            header => Err(SignatureError::Header(header)),
        }
    }

    /// Whether s is at most half of the order of the curve.
    pub fn is_low_s(&self) -> bool {
        self.s() <= HALF_ORDER.as_slice()
    }

    /// Whether hived's own test takes s. All low s pass it.
    pub fn is_hived_canonical(&self) -> bool {
        self.s() < Self::HIVED_S_BOUND.as_slice()
    }

    /// Whether r and s both have the canonical form of the older Graphene chains: top bit clear and no needless
    /// leading zero byte.
    pub fn is_fc_canonical(&self) -> bool {
        is_fc_canonical(self.r_and_s())
    }

    /// A signature as every client writes it: "compressed" header, r, s.
    pub(crate) fn new(recovery_id: u8, compact: &[u8; 64]) -> Self {
        let mut bytes = [0; Self::LEN];
        let (header, rest) = bytes.split_at_mut(1);
        header.fill(HEADER_WRITTEN + recovery_id);
        rest.copy_from_slice(compact);
        Self(bytes)
    }

    fn header(&self) -> u8 {
        let [header, ..] = self.0;
        header
    }

    fn r_and_s(&self) -> &[u8] {
        self.0.split_at(1).1
    }

    fn s(&self) -> &[u8] {
        self.0.split_at(33).1
    }
}

impl fmt::Display for RecoverableSignature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for RecoverableSignature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RecoverableSignature({self})")
    }
}

impl FromStr for RecoverableSignature {
    type Err = HexError;

    fn from_str(text: &str) -> Result<Self, HexError> {
        read_hex(text).map(Self)
    }
}

/// Why a signature is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SignatureError {
    /// The header byte is outside 27 to 34.
    #[error("header byte {0} of the signature is outside 27..=34")]
    Header(u8),
    /// The number s is too great for the rule.
    #[error("s of the signature is not canonical")]
    HighS,
    /// No public key fits: r is no x coordinate of the curve, r or s is zero, or the point is at infinity.
    #[error("no key can be recovered from the signature")]
    NoKey,
    /// One of r and s is not below the order of the curve.
    #[error("r or s of the signature is not below the order of the curve")]
    Scalar,
}

/// See [`RecoverableSignature::is_fc_canonical`].
pub(crate) fn is_fc_canonical(compact: &[u8]) -> bool {
    let fits = |number: &[u8]| match number {
        [first, second, ..] => first & 0x80 == 0 && !(*first == 0 && second & 0x80 == 0),
        _ => false,
    };
    let (r, s) = compact.split_at(32.min(compact.len()));
    fits(r) && fits(s)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn key(scalar: [u8; 32]) -> Option<PrivateKey> {
        PrivateKey::from_bytes(&scalar).ok()
    }

    #[test]
    fn a_header_outside_the_range_is_refused_and_the_compressed_bit_is_ignored() {
        let (digest, key) = ([3; 32], key([5; 32]).unwrap());
        let signed = RecoverableSignature::sign(&digest, &key, SignAlgorithm::Dhive);
        let with = |header| {
            let mut bytes = *signed.as_bytes();
            bytes[0] = header;
            RecoverableSignature::from_bytes(bytes).recover(&digest, RecoverRule::Hived)
        };
        assert_eq!(with(26), Err(SignatureError::Header(26)));
        assert_eq!(with(35), Err(SignatureError::Header(35)));
        assert_eq!(with(signed.header() - 4), Ok(key.public_key()));
    }

    #[test]
    fn high_s_just_under_the_bound_of_hived_passes_there_but_not_where_low_s_is_required() {
        let mut bytes = [1; 65];
        bytes[0] = 31;
        bytes[33..].copy_from_slice(&RecoverableSignature::HIVED_S_BOUND);
        let at_bound = RecoverableSignature::from_bytes(bytes);
        bytes[64] -= 1;
        let under = RecoverableSignature::from_bytes(bytes);
        let digest = [9; 32];
        assert_eq!(at_bound.recover(&digest, RecoverRule::Hived), Err(SignatureError::HighS));
        assert!(under.recover(&digest, RecoverRule::Hived).is_ok());
        assert_eq!(under.recover(&digest, RecoverRule::LowS), Err(SignatureError::HighS));
        assert!(at_bound.recover(&digest, RecoverRule::Plain).is_ok());
    }

    #[test]
    fn text_of_another_length_is_refused_rather_than_padded() {
        for len in [0, 128, 129, 131, 132] {
            assert!("1".repeat(len).parse::<RecoverableSignature>().is_err(), "{len} digits");
        }
        let upper = format!("{}AB", "0".repeat(128));
        let read: RecoverableSignature = upper.parse().unwrap();
        assert_eq!(read.to_string(), upper.to_lowercase());
    }

    #[test]
    fn digests_above_the_order_sign_and_recover() {
        let (digest, key) = ([0xff; 32], key([1; 32]).unwrap());
        for algorithm in [SignAlgorithm::Dhive, SignAlgorithm::Hived] {
            let signed = RecoverableSignature::sign(&digest, &key, algorithm);
            assert_eq!(signed.recover(&digest, RecoverRule::LowS), Ok(key.public_key()));
        }
    }

    proptest! {
        #[test]
        fn whatever_is_signed_recovers_to_the_signer(scalar: [u8; 32], digest: [u8; 32]) {
            if let Some(key) = key(scalar) {
                for algorithm in [SignAlgorithm::Dhive, SignAlgorithm::Hived] {
                    let signed = RecoverableSignature::sign(&digest, &key, algorithm);
                    for rule in [RecoverRule::Hived, RecoverRule::LowS, RecoverRule::Plain] {
                        prop_assert_eq!(signed.recover(&digest, rule), Ok(key.public_key()));
                    }
                    prop_assert_eq!(signed.to_string().parse(), Ok(signed));
                }
                let dhive = RecoverableSignature::sign(&digest, &key, SignAlgorithm::Dhive);
                prop_assert!(dhive.is_fc_canonical());
            }
        }

        #[test]
        fn any_65_bytes_are_judged_without_panic(bytes in prop::array::uniform32(any::<u8>()), header: u8, digest: [u8; 32]) {
            let mut all = [0; 65];
            all[0] = header;
            all[1..33].copy_from_slice(&bytes);
            all[33..].copy_from_slice(&bytes);
            let signature = RecoverableSignature::from_bytes(all);
            let plain = signature.recover(&digest, RecoverRule::Plain);
            if let Ok(key) = signature.recover(&digest, RecoverRule::Hived) {
                prop_assert_eq!(plain, Ok(key));
            }
        }
    }
}
