//! What tells one Graphene chain from another: [`HiveNetwork`], [`ChainId`], [`KeyPrefix`], [`Symbol`].

use std::{fmt, str::FromStr};

use alive_core::{Excerpt, Network, NetworkError};

use crate::{
    authority::AuthorityRule,
    hex_text::{hex_bytes, serde_as_text},
    time::TimePoint,
};

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
    pub const STM: Self = Self::letters(b"STM");
    /// Test networks as dhive knows them.
    pub const TST: Self = Self::letters(b"TST");
    /// Blurt.
    pub const BLT: Self = Self::letters(b"BLT");

    /// Of at most [`MAX_LEN`](Self::MAX_LEN) letters: only for constants.
    const fn letters(letters: &[u8]) -> Self {
        let mut bytes = [0; Self::MAX_LEN];
        let (room, _) = bytes.split_at_mut(letters.len());
        room.copy_from_slice(letters);
        #[expect(clippy::cast_possible_truncation, reason = "split_at_mut refused more than 16")]
        let len = letters.len() as u8;
        Self { bytes, len }
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

/// Name of a currency, such as `HIVE`: 3 to 7 upper-case ASCII letters, as the chain packs it.
///
/// ```
/// use alive_hive::Symbol;
/// assert_eq!("HIVE".parse::<Symbol>()?, Symbol::HIVE);
/// assert!("hive".parse::<Symbol>().is_err());
/// # Ok::<(), alive_hive::SymbolError>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Symbol(KeyPrefix);
serde_as_text!(Symbol);

impl Symbol {
    /// Shortest name, in bytes.
    pub const MIN_LEN: usize = 3;
    /// Longest name, in bytes. Source: `spec/hive.md`, section 4.1, "asset, legacy pack".
    pub const MAX_LEN: usize = 7;
    /// The currency of Hive.
    pub const HIVE: Self = Self(KeyPrefix::letters(b"HIVE"));
    /// The debt currency of Hive.
    pub const HBD: Self = Self(KeyPrefix::letters(b"HBD"));
    /// The currency of Hive's testnets.
    pub const TESTS: Self = Self(KeyPrefix::letters(b"TESTS"));
    /// The debt currency of Hive's testnets.
    pub const TBD: Self = Self(KeyPrefix::letters(b"TBD"));
    /// The currency of Blurt.
    pub const BLURT: Self = Self(KeyPrefix::letters(b"BLURT"));
    /// The currency of Steem.
    pub const STEEM: Self = Self(KeyPrefix::letters(b"STEEM"));
    /// The debt currency of Steem.
    pub const SBD: Self = Self(KeyPrefix::letters(b"SBD"));

    /// The name as text.
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }
}

impl fmt::Display for Symbol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for Symbol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Symbol({self})")
    }
}

impl FromStr for Symbol {
    type Err = SymbolError;

    fn from_str(text: &str) -> Result<Self, SymbolError> {
        let fits = (Self::MIN_LEN..=Self::MAX_LEN).contains(&text.len())
            && text.bytes().all(|byte| byte.is_ascii_uppercase());
        let prefix = text.parse().ok().filter(|_| fits);
        prefix.map(Self).ok_or_else(|| SymbolError(Excerpt::of(text)))
    }
}

/// The text is no [`Symbol`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0} is no name of a currency: 3 to 7 upper-case letters")]
pub struct SymbolError(Excerpt);

/// The text is no [`KeyPrefix`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0} is no key prefix: 1 to 16 upper-case letters and digits")]
pub struct KeyPrefixError(Excerpt);

/// Parameters of a chain of the Graphene family.
///
/// Its text is the name of a built-in chain, or a name with the parameters of any other one: `NAME,chain-id=HEX` and
/// then, where they differ from Hive's, `prefix=STM`, `liquid=HIVE`, `debt=HBD` (empty if there is none) and
/// `strict-since=TIME` (or `never`).
///
/// A node reports its own chain id and prefix; compare them with these before the first signature.
/// Source: `spec/hive.md`, section 1.
///
/// ```
/// use alive_hive::{ChainId, HiveNetwork, KeyPrefix};
/// let chain: HiveNetwork = "blurt".parse()?;
/// assert_eq!((chain.chain_id, chain.key_prefix), (ChainId::BLURT, KeyPrefix::BLT));
///
/// let text = format!("mine,chain-id={},prefix=TST,liquid=TESTS,debt=TBD", "07".repeat(32));
/// let mine: HiveNetwork = text.parse()?;
/// assert_eq!(mine.name.as_str(), "mine");
/// assert_eq!(mine.to_string(), text);
/// # Ok::<(), alive_hive::HiveNetworkError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct HiveNetwork {
    /// The name in stream ids.
    pub name: Network,
    /// Chain id of the signing digest.
    pub chain_id: ChainId,
    /// Letters in front of public keys.
    pub key_prefix: KeyPrefix,
    /// The name of the currency.
    pub liquid: Symbol,
    /// The name of the debt currency, if the chain has one.
    pub debt: Option<Symbol>,
    /// From when on it judges signatures by [`AuthorityRule::Strict`]; `None` if it does not.
    pub strict_since: Option<TimePoint>,
}
serde_as_text!(HiveNetwork);

impl HiveNetwork {
    /// When Hive's 28th hard fork was to happen, with which the strict rule came: 2025-11-19T13:00:00. The schedule of
    /// hived's source; that it happened then was not observed. Source: `spec/hive.md`, section 4.4.
    pub const STRICT_SINCE: TimePoint = TimePoint::from_unix_secs(1_763_557_200);

    /// The names of all built-in chains.
    pub const NAMES: [&str; 5] = ["hive", "hive_mirrornet", "hive_testnet", "blurt", "steem"];

    /// The main chain of Hive.
    pub fn hive() -> Self {
        let since = Some(Self::STRICT_SINCE);
        Self { strict_since: since, ..Self::custom(Network::hive(), ChainId::HIVE, KeyPrefix::STM) }
    }

    /// A Hive mirrornet with its default settings.
    pub fn hive_mirrornet() -> Self {
        Self {
            strict_since: Some(Self::STRICT_SINCE),
            ..Self::named("hive_mirrornet", ChainId::HIVE_MIRRORNET, KeyPrefix::STM)
        }
    }

    /// A Hive testnet with its default chain id and the prefix that dhive uses there. Some testnets are built with
    /// [`KeyPrefix::STM`]: their nodes say so.
    pub fn hive_testnet() -> Self {
        Self {
            liquid: Symbol::TESTS,
            debt: Some(Symbol::TBD),
            ..Self::named("hive_testnet", ChainId::HIVE_TESTNET, KeyPrefix::TST)
        }
    }

    /// The main chain of Blurt, which has no debt currency and is believed to judge signatures by the old rule.
    pub fn blurt() -> Self {
        Self {
            liquid: Symbol::BLURT,
            debt: None,
            strict_since: None,
            ..Self::named("blurt", ChainId::BLURT, KeyPrefix::BLT)
        }
    }

    /// The main chain of Steem, which is believed to judge signatures by the old rule.
    pub fn steem() -> Self {
        Self {
            liquid: Symbol::STEEM,
            debt: Some(Symbol::SBD),
            strict_since: None,
            ..Self::named("steem", ChainId::STEEM, KeyPrefix::STM)
        }
    }

    /// Any other chain of the family, such as a development chain: with Hive's currencies and its present rules from the
    /// first block on.
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
        Self {
            name,
            chain_id,
            key_prefix,
            liquid: Symbol::HIVE,
            debt: Some(Symbol::HBD),
            strict_since: Some(TimePoint::from_unix_secs(0)),
        }
    }

    /// Sets the names of the currencies.
    #[must_use]
    pub fn symbols(self, liquid: Symbol, debt: Option<Symbol>) -> Self {
        Self { liquid, debt, ..self }
    }

    /// Sets from when on signatures are judged strictly.
    #[must_use]
    pub fn strict_since(self, since: Option<TimePoint>) -> Self {
        Self { strict_since: since, ..self }
    }

    /// The built-in chain of that name, one of [`NAMES`](Self::NAMES).
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

    /// How the signatures of transactions are judged when the head block is of that time.
    ///
    /// ```
    /// use alive_hive::{AuthorityRule, HiveNetwork};
    /// let hive = HiveNetwork::hive();
    /// assert_eq!(hive.authority_rule("2025-11-19T12:59:57".parse()?), AuthorityRule::Escalating);
    /// assert_eq!(hive.authority_rule("2025-11-19T13:00:00".parse()?), AuthorityRule::Strict);
    /// # Ok::<(), alive_hive::TimePointError>(())
    /// ```
    pub fn authority_rule(&self, head_time: TimePoint) -> AuthorityRule {
        match self.strict_since {
            Some(since) if head_time >= since => AuthorityRule::Strict,
            _ => AuthorityRule::Escalating,
        }
    }

    fn named(name: &'static str, chain_id: ChainId, key_prefix: KeyPrefix) -> Self {
        #[expect(
            clippy::expect_used,
            reason = "the five names are constants, and a test builds each"
        )]
        let name = name.parse().expect("a built-in name is a network name");
        Self::custom(name, chain_id, key_prefix)
    }

    fn set(&mut self, key: &str, value: &str) -> Option<()> {
        match key {
            "chain-id" => self.chain_id = value.parse().ok()?,
            "prefix" => self.key_prefix = value.parse().ok()?,
            "liquid" => self.liquid = value.parse().ok()?,
            "debt" if value.is_empty() => self.debt = None,
            "debt" => self.debt = Some(value.parse().ok()?),
            "strict-since" if value == "never" => self.strict_since = None,
            "strict-since" => self.strict_since = Some(value.parse().ok()?),
            _ => return None,
        }
        Some(())
    }
}

impl fmt::Display for HiveNetwork {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.name)?;
        if Self::known(self.name.as_str()).as_ref() == Some(self) {
            return Ok(());
        }
        write!(f, ",chain-id={}", self.chain_id)?;
        let usual = Self::custom(self.name.clone(), self.chain_id, KeyPrefix::STM);
        if self.key_prefix != usual.key_prefix {
            write!(f, ",prefix={}", self.key_prefix)?;
        }
        if self.liquid != usual.liquid {
            write!(f, ",liquid={}", self.liquid)?;
        }
        if self.debt != usual.debt {
            write!(f, ",debt={}", self.debt.as_ref().map_or("", Symbol::as_str))?;
        }
        match self.strict_since {
            since if since == usual.strict_since => Ok(()),
            Some(since) => write!(f, ",strict-since={since}"),
            None => f.write_str(",strict-since=never"),
        }
    }
}

impl FromStr for HiveNetwork {
    type Err = HiveNetworkError;

    fn from_str(text: &str) -> Result<Self, HiveNetworkError> {
        let mut parts = text.split(',');
        let name = parts.next().unwrap_or_default();
        if !text.contains(',') {
            return Self::known(name).ok_or_else(|| HiveNetworkError::Unknown(Excerpt::of(name)));
        }
        let name = name.parse().map_err(HiveNetworkError::Name)?;
        let mut network = Self::custom(name, ChainId::HIVE, KeyPrefix::STM);
        let mut set = Vec::new();
        for part in parts {
            let refuse = || HiveNetworkError::Parameter(Excerpt::of(part));
            let (key, value) = part.split_once('=').ok_or_else(refuse)?;
            if set.contains(&key) {
                return Err(HiveNetworkError::Twice(Excerpt::of(key)));
            }
            network.set(key, value).ok_or_else(refuse)?;
            set.push(key);
        }
        // Without its own id a chain would be signed for as if it were Hive.
        if set.contains(&"chain-id") { Ok(network) } else { Err(HiveNetworkError::NoChainId) }
    }
}

/// Why a text is no [`HiveNetwork`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HiveNetworkError {
    /// The name is none.
    #[error(transparent)]
    Name(NetworkError),
    /// The chain is not known, so its id must be given.
    #[error("the network needs its chain-id=HEX")]
    NoChainId,
    /// Not a parameter, or not a value of it.
    #[error(
        "{0} is none of chain-id=HEX, prefix=STM, liquid=HIVE, debt=HBD, strict-since=TIME|never"
    )]
    Parameter(Excerpt),
    /// The parameter stands there twice.
    #[error("{0} stands there twice")]
    Twice(Excerpt),
    /// No built-in chain has this name.
    #[error(
        "there is no network {0}, only {known}; others are given as NAME,chain-id=HEX",
        known = HiveNetwork::NAMES.join(", ")
    )]
    Unknown(Excerpt),
}

#[cfg(test)]
mod tests {
    use sha2::{Digest, Sha256};

    use super::*;

    #[test]
    fn built_in_chains_are_found_by_their_own_name() {
        for name in HiveNetwork::NAMES {
            let network = HiveNetwork::known(name).unwrap();
            assert_eq!(network.name.as_str(), name);
            assert_eq!(name.parse(), Ok(network.clone()));
            assert_eq!(network.to_string(), name);
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

    /// A chain of that text after a name and a good id.
    fn read(rest: &str) -> Result<HiveNetwork, HiveNetworkError> {
        format!("mine,chain-id={}{rest}", "07".repeat(32)).parse()
    }

    #[test]
    fn a_chain_of_its_own_has_the_present_rules_of_hive_unless_it_says_otherwise() {
        let usual = read("").unwrap();
        let name = "mine".parse().unwrap();
        let want = HiveNetwork::custom(name, ChainId::from_bytes([7; 32]), KeyPrefix::STM);
        assert_eq!(usual, want);
        assert_eq!(usual.authority_rule(TimePoint::from_unix_secs(0)), AuthorityRule::Strict);

        let other = read(",prefix=XYZ,liquid=GOLD,debt=,strict-since=never").unwrap();
        let other_want = HiveNetwork { key_prefix: "XYZ".parse().unwrap(), ..want }
            .symbols("GOLD".parse().unwrap(), None)
            .strict_since(None);
        assert_eq!(other, other_want);
        assert_eq!(other.to_string().parse(), Ok(other.clone()));
        let later = other.strict_since(Some(HiveNetwork::STRICT_SINCE));
        assert!(later.to_string().ends_with(",debt=,strict-since=2025-11-19T13:00:00"));
        assert_eq!(later.to_string().parse(), Ok(later));
    }

    #[test]
    fn a_built_in_name_with_other_parameters_is_written_whole() {
        let other = HiveNetwork { key_prefix: KeyPrefix::TST, ..HiveNetwork::hive() };
        let text = other.to_string();
        assert!(text.starts_with("hive,chain-id=beeab0de"), "{text}");
        assert_eq!(text.parse(), Ok(other));
    }

    #[test]
    fn what_is_wrong_with_a_network_is_said() {
        let said = |text: &str| text.parse::<HiveNetwork>().unwrap_err().to_string();
        assert!(said("hvie").contains("hive_mirrornet"), "{}", said("hvie"));
        assert!(said("mine,prefix=TST").contains("chain-id"));
        let name = "A B,chain-id=00".parse::<HiveNetwork>();
        assert!(matches!(name, Err(HiveNetworkError::Name(_))));
        for rest in [",prefix=tst", ",debt=H", ",strict-since=now", ",colour=red", ","] {
            let error = read(rest).unwrap_err();
            assert!(matches!(error, HiveNetworkError::Parameter(_)), "{rest}: {error}");
        }
        assert!(matches!(read(",chain-id=07").unwrap_err(), HiveNetworkError::Twice(_)));
    }

    #[test]
    fn the_strict_rule_came_with_the_28th_hard_fork_and_to_hive_only() {
        let before: TimePoint = "2025-11-19T12:59:59".parse().unwrap();
        let then = before.after_secs(1);
        for name in ["hive", "hive_mirrornet"] {
            let rule = |time| HiveNetwork::known(name).unwrap().authority_rule(time);
            assert_eq!(
                [before, then].map(rule),
                [AuthorityRule::Escalating, AuthorityRule::Strict]
            );
        }
        for name in ["blurt", "steem"] {
            let rule = HiveNetwork::known(name).unwrap().authority_rule(then.after_secs(u32::MAX));
            assert_eq!(rule, AuthorityRule::Escalating, "{name}");
        }
    }
}
