//! Which stream: [`Link`] and [`StreamId`].

use std::{fmt, str::FromStr};

use crate::{
    account::{AccountName, AccountNameError, Network, NetworkError},
    text::serde_as_text,
};

/// Permlink of a stream: 1 to 50 ASCII letters, digits, dashes and underscores. Case matters.
/// Source: `spec/indexer.md`, section 1.
///
/// ```
/// let link: alive_core::Link = "stream-1".parse()?;
/// assert_eq!(link.to_string(), "stream-1");
/// # Ok::<(), alive_core::LinkError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Link(Box<str>);
serde_as_text!(Link);

impl Link {
    /// Longest link, in bytes.
    pub const MAX_LEN: usize = 50;

    /// The link as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for Link {
    type Err = LinkError;

    fn from_str(s: &str) -> Result<Self, LinkError> {
        if s.is_empty() || s.len() > Self::MAX_LEN {
            return Err(LinkError::Len(s.len()));
        }
        match s.chars().find(|c| !(c.is_ascii_alphanumeric() || matches!(c, '-' | '_'))) {
            Some(c) => Err(LinkError::Char(c)),
            None => Ok(Self(s.into())),
        }
    }
}

/// Why a text is not a [`Link`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LinkError {
    /// It has this character.
    #[error("character {0:?} is not allowed in a link")]
    Char(char),
    /// It has this many bytes.
    #[error("link of {0} bytes, 1 to {max} allowed", max = Link::MAX_LEN)]
    Len(usize),
}

/// A stream's full name: its network, its streamer and its link, written `hive/alice/stream1`.
///
/// ```
/// use alive_core::{Network, StreamId};
/// let id: StreamId = "hive/alice/stream1".parse()?;
/// assert_eq!(id.network, Network::hive());
/// assert_eq!(id.account.as_str(), "alice");
/// assert_eq!(id.to_string(), "hive/alice/stream1");
/// # Ok::<(), alive_core::StreamIdError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct StreamId {
    /// The chain that carries it.
    pub network: Network,
    /// The streamer.
    pub account: AccountName,
    /// The streamer's name for it.
    pub link: Link,
}
serde_as_text!(StreamId);

impl StreamId {
    /// Puts the three parts together.
    pub fn new(network: Network, account: AccountName, link: Link) -> Self {
        Self { network, account, link }
    }
}

impl fmt::Display for StreamId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}", self.network, self.account, self.link)
    }
}

impl FromStr for StreamId {
    type Err = StreamIdError;

    /// Neither a network nor a link can hold a slash, so an account name may.
    fn from_str(s: &str) -> Result<Self, StreamIdError> {
        let (network, rest) = s.split_once('/').ok_or(StreamIdError::Form)?;
        let (account, link) = rest.rsplit_once('/').ok_or(StreamIdError::Form)?;
        Ok(Self { network: network.parse()?, account: account.parse()?, link: link.parse()? })
    }
}

/// Why a text is not a [`StreamId`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StreamIdError {
    /// The account's name is not one.
    #[error("account of a stream id")]
    Account(#[from] AccountNameError),
    /// It has not three parts.
    #[error("a stream id is written network/account/link")]
    Form,
    /// The link is not one.
    #[error("link of a stream id")]
    Link(#[from] LinkError),
    /// The network's name is not one.
    #[error("network of a stream id")]
    Network(#[from] NetworkError),
}
