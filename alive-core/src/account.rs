//! Who streams and where: [`Network`] and [`AccountName`].

use std::{fmt, str::FromStr};

use crate::text::{Excerpt, serde_as_text};

/// Name of a chain that carries streams, such as `hive` or `avalon`.
///
/// One to 32 lower-case ASCII letters, digits, dashes and underscores, so that it can stand in a path. A network that
/// this crate has never heard of is as good as any other: adding one takes no change here.
///
/// ```
/// use alive_core::Network;
/// assert_eq!("hive".parse::<Network>()?, Network::hive());
/// assert!("Hive".parse::<Network>().is_err());
/// # Ok::<(), alive_core::NetworkError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Network(Box<str>);
serde_as_text!(Network);

impl Network {
    /// Longest name of a network, in bytes. Our own limit.
    pub const MAX_LEN: usize = 32;

    /// The Hive chain.
    pub fn hive() -> Self {
        Self("hive".into())
    }

    /// The Avalon chain.
    pub fn avalon() -> Self {
        Self("avalon".into())
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for Network {
    type Err = NetworkError;

    fn from_str(s: &str) -> Result<Self, NetworkError> {
        if s.is_empty() || s.len() > Self::MAX_LEN {
            return Err(NetworkError::Len(s.len()));
        }
        match s.chars().find(|c| !matches!(c, 'a'..='z' | '0'..='9' | '-' | '_')) {
            Some(c) => Err(NetworkError::Char(c)),
            None => Ok(Self(s.into())),
        }
    }
}

/// Why a text is not a [`Network`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NetworkError {
    /// It has this character.
    #[error("character {0:?} is not allowed in the name of a network")]
    Char(char),
    /// It has this many bytes.
    #[error("name of a network of {0} bytes, 1 to {max} allowed", max = Network::MAX_LEN)]
    Len(usize),
}

/// Name of an account on a chain: 1 to 256 bytes.
///
/// The chain decides which names exist; this type only bounds them. The strict operation rule asks for a non-empty
/// string and no more. Source: `spec/indexer.md`, section 2, "Envelope"; the upper bound is ours.
///
/// ```
/// let alice: alive_core::AccountName = "alice".parse()?;
/// assert_eq!(alice.as_str(), "alice");
/// # Ok::<(), alive_core::AccountNameError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct AccountName(Box<str>);
serde_as_text!(AccountName);

impl AccountName {
    /// Longest name, in bytes. Our own limit; Hive allows 16 and Avalon 50.
    pub const MAX_LEN: usize = 256;

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for AccountName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for AccountName {
    type Err = AccountNameError;

    fn from_str(s: &str) -> Result<Self, AccountNameError> {
        if s.is_empty() || s.len() > Self::MAX_LEN {
            return Err(AccountNameError { len: s.len(), start: Excerpt::of(s) });
        }
        Ok(Self(s.into()))
    }
}

/// Why a text is not an [`AccountName`]: it has the wrong length.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("account name {start} of {len} bytes, 1 to {max} allowed", max = AccountName::MAX_LEN)]
pub struct AccountNameError {
    len: usize,
    start: Excerpt,
}
