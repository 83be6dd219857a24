//! What tells one Graphene chain from another: [`HiveNetwork`], [`ChainId`], [`KeyPrefix`].

use std::{fmt, str::FromStr};

use alive_core::{Excerpt, Network};

use crate::hex_text::{hex_bytes, serde_as_text};

hex_bytes! {
    /// The 32 bytes that bind a signature to one chain; they enter the signing digest and nothing else.
    ///
    /// Source: `spec/hive.md`, section 1.
    ///
    /// ```
    /// use alive_hive::ChainId;
    /// assert!(ChainId::HIVE.to_string().starts_with("beeab0de0000"));
    /// ```
    ChainId, 32
}

impl ChainId {
    /// The main chain of Hive.
    pub const HIVE: Self = Self::starting_with([0xbe, 0xea, 0xb0, 0xde]);
    /// A mirrornet with its default settings.
    pub const HIVE_MIRRORNET: Self = Self::starting_with([0x42, 0, 0, 0]);
    /// A testnet with its default settings: sha256 of the byte 7 and the word `testnet`.
    pub const HIVE_TESTNET: Self = Self([
        0x18, 0xdc, 0xf0, 0xa2, 0x85, 0x36, 0x5f, 0xc5, 0x8b, 0x71, 0xf1, 0x8b, 0x3d, 0x3f, 0xec,
        0x95, 0x4a, 0xa0, 0xc1, 0x41, 0xc4, 0x4e, 0x4e, 0x5c, 0xb4, 0xcf, 0x77, 0x7b, 0x9e, 0xab,
        0x27, 0x4e,
    ]);
    /// The main chain of Blurt.
    pub const BLURT: Self = Self([
        0xcd, 0x8d, 0x90, 0xf2, 0x9a, 0xe2, 0x73, 0xab, 0xec, 0x3e, 0xaa, 0x77, 0x31, 0xe2, 0x59,
        0x34, 0xc6, 0x3e, 0xb6, 0x54, 0xd5, 0x50, 0x80, 0xca, 0xff, 0x2e, 0xbb, 0x7f, 0x5d, 0xf6,
        0x38, 0x1f,
    ]);
    /// The main chain of Steem.
    pub const STEEM: Self = Self([0; 32]);

    const fn starting_with(start: [u8; 4]) -> Self {
        let mut id = [0; 32];
        [id[0], id[1], id[2], id[3]] = start;
        Self(id)
    }
}

/// Letters in front of the text of a public key, such as `STM`: 1 to 16 upper-case ASCII letters and digits.
///
/// The upper bound is ours; every known chain uses three letters. Source: `spec/hive.md`, sections 1 and 2.
///
/// ```
/// use alive_hive::KeyPrefix;
/// assert_eq!("STM".parse::<KeyPrefix>()?, KeyPrefix::STM);
/// assert!("stm".parse::<KeyPrefix>().is_err());
/// # Ok::<(), alive_hive::KeyPrefixError>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct KeyPrefix {
    bytes: [u8; Self::MAX_LEN],
    len: u8,
}
serde_as_text!(KeyPrefix);

impl KeyPrefix {
    /// Longest prefix, in bytes.
    pub const MAX_LEN: usize = 16;
    /// Hive and Steem.
    pub const STM: Self = Self::three(*b"STM");
    /// Test networks as dhive knows them.
    pub const TST: Self = Self::three(*b"TST");
    /// Blurt.
    pub const BLT: Self = Self::three(*b"BLT");

    const fn three(letters: [u8; 3]) -> Self {
        let mut bytes = [0; Self::MAX_LEN];
        [bytes[0], bytes[1], bytes[2]] = letters;
        Self { bytes, len: 3 }
    }

    /// The prefix as text.
    pub fn as_str(&self) -> &str {
        // Only ASCII is ever stored, so neither fall-back is reached.
        self.bytes
            .get(..usize::from(self.len))
            .and_then(|bytes| std::str::from_utf8(bytes).ok())
            .unwrap_or_default()
    }
}

impl fmt::Display for KeyPrefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for KeyPrefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyPrefix({self})")
    }
}

impl FromStr for KeyPrefix {
    type Err = KeyPrefixError;

    fn from_str(text: &str) -> Result<Self, KeyPrefixError> {
        let refuse = || KeyPrefixError(Excerpt::of(text));
        let upper = |byte: &u8| byte.is_ascii_uppercase() || byte.is_ascii_digit();
        let mut bytes = [0; Self::MAX_LEN];
        let room = bytes.get_mut(..text.len()).ok_or_else(refuse)?;
        if room.is_empty() || !text.as_bytes().iter().all(upper) {
            return Err(refuse());
        }
        room.copy_from_slice(text.as_bytes());
        let len = u8::try_from(text.len()).map_err(|_| refuse())?;
        Ok(Self { bytes, len })
    }
}

/// The text is no [`KeyPrefix`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0} is no key prefix: 1 to 16 upper-case letters and digits")]
pub struct KeyPrefixError(Excerpt);

/// Parameters of a chain of the Graphene family.
///
/// A node reports its own chain id and prefix; compare them with these before the first signature.
/// Source: `spec/hive.md`, section 1.
///
/// ```
/// use alive_hive::{ChainId, HiveNetwork, KeyPrefix};
/// let chain = HiveNetwork::blurt();
/// assert_eq!((chain.chain_id, chain.key_prefix), (ChainId::BLURT, KeyPrefix::BLT));
/// assert_eq!(HiveNetwork::known("blurt"), Some(chain));
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct HiveNetwork {
    /// Name of the chain in stream ids and settings.
    pub name: Network,
    /// Chain id of the signing digest.
    pub chain_id: ChainId,
    /// Letters in front of public keys.
    pub key_prefix: KeyPrefix,
}

impl HiveNetwork {
    /// The main chain of Hive.
    pub fn hive() -> Self {
        Self { name: Network::hive(), chain_id: ChainId::HIVE, key_prefix: KeyPrefix::STM }
    }

    /// A Hive mirrornet with its default settings.
    pub fn hive_mirrornet() -> Self {
        Self::named("hive_mirrornet", ChainId::HIVE_MIRRORNET, KeyPrefix::STM)
    }

    /// A Hive testnet with its default chain id and the prefix that dhive uses there. Some testnets are built with
    /// [`KeyPrefix::STM`]: their nodes say so.
    pub fn hive_testnet() -> Self {
        Self::named("hive_testnet", ChainId::HIVE_TESTNET, KeyPrefix::TST)
    }

    /// The main chain of Blurt.
    pub fn blurt() -> Self {
        Self::named("blurt", ChainId::BLURT, KeyPrefix::BLT)
    }

    /// The main chain of Steem.
    pub fn steem() -> Self {
        Self::named("steem", ChainId::STEEM, KeyPrefix::STM)
    }

    /// Any other chain of the family, such as a development chain.
    ///
    /// ```
    /// use alive_core::Network;
    /// use alive_hive::{ChainId, HiveNetwork, KeyPrefix};
    /// let name: Network = "devnet".parse()?;
    /// let chain = HiveNetwork::custom(name, ChainId::from_bytes([7; 32]), KeyPrefix::STM);
    /// assert_ne!(chain.chain_id, ChainId::HIVE);
    /// # Ok::<(), alive_core::NetworkError>(())
    /// ```
    pub fn custom(name: Network, chain_id: ChainId, key_prefix: KeyPrefix) -> Self {
        Self { name, chain_id, key_prefix }
    }

    /// The built-in chain of that name: `hive`, `hive_mirrornet`, `hive_testnet`, `blurt` or `steem`.
    pub fn known(name: &str) -> Option<Self> {
        match name {
            "hive" => Some(Self::hive()),
            "hive_mirrornet" => Some(Self::hive_mirrornet()),
            "hive_testnet" => Some(Self::hive_testnet()),
            "blurt" => Some(Self::blurt()),
            "steem" => Some(Self::steem()),
            _ => None,
        }
    }

    fn named(name: &'static str, chain_id: ChainId, key_prefix: KeyPrefix) -> Self {
        #[expect(
            clippy::expect_used,
            reason = "the five names are constants, and a test builds each"
        )]
        let name = name.parse().expect("a built-in name is a network name");
        Self { name, chain_id, key_prefix }
    }
}

#[cfg(test)]
mod tests {
    use sha2::{Digest, Sha256};

    use super::*;

    #[test]
    fn built_in_chains_are_found_by_their_own_name() {
        for name in ["hive", "hive_mirrornet", "hive_testnet", "blurt", "steem"] {
            assert_eq!(HiveNetwork::known(name).unwrap().name.as_str(), name);
        }
        assert_eq!(HiveNetwork::known("Hive"), None);
    }

    #[test]
    fn the_testnet_id_is_the_hash_of_the_length_prefixed_word() {
        let hash: [u8; 32] = Sha256::digest(b"\x07testnet").into();
        assert_eq!(ChainId::HIVE_TESTNET, ChainId::from_bytes(hash));
    }

    #[test]
    fn a_prefix_of_the_wrong_form_is_refused() {
        for text in ["", "stm", "ST M", "STMSTMSTMSTMSTMST", "ÄTM"] {
            assert!(text.parse::<KeyPrefix>().is_err(), "{text:?}");
        }
        assert_eq!("ABCDEFGH01234567".parse::<KeyPrefix>().unwrap().as_str(), "ABCDEFGH01234567");
    }

    #[test]
    fn a_chain_id_of_another_length_is_refused() {
        assert!("beeab0de".parse::<ChainId>().is_err());
        assert!("g".repeat(64).parse::<ChainId>().is_err());
        assert_eq!(ChainId::BLURT.to_string().parse(), Ok(ChainId::BLURT));
    }
}
