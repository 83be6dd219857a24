//! Names of posts and tags: [`Permlink`], [`Tag`].

use std::{fmt, str::FromStr};

use alive_core::{Excerpt, Link};
use sha2::{Digest as _, Sha256};

use crate::hex_text::serde_as_text;

/// The name of the post about a stream, unique for its author: lower-case letters, digits and dashes.
///
/// It is the link where the link has that form. Other links are written in it, with the start of their hash behind so
/// that `Live`, `live` and `LIVE` have different posts. The same link always gives the same name.
///
/// ```
/// use alive_hive::post::Permlink;
/// assert_eq!(Permlink::of(&"stream-1".parse()?).to_string(), "stream-1");
/// assert_eq!(Permlink::of(&"My_Stream".parse()?).to_string(), "my-stream-00cb4611");
/// # Ok::<(), alive_core::LinkError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Permlink(Box<str>);

impl Permlink {
    /// Bytes of the hash that are written behind.
    const HASH_BYTES: usize = 4;

    /// The name of the post about the stream of that link.
    pub fn of(link: &Link) -> Self {
        let link = link.to_string();
        let is_plain =
            |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        if link.bytes().all(is_plain) {
            return Self(link.into());
        }
        let hash = Sha256::digest(link.as_bytes());
        let hash: Vec<u8> = hash.iter().copied().take(Self::HASH_BYTES).collect();
        let plain = link.to_ascii_lowercase().replace('_', "-");
        Self(format!("{plain}-{}", hex::encode(hash)).into())
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Permlink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A tag of a post: 1 to 24 lower-case letters, digits and dashes, beginning with a letter and not ending with a dash.
///
/// The form that front ends show; communities such as `hive-123456` have it, too.
///
/// ```
/// use alive_hive::post::Tag;
/// assert_eq!("music".parse::<Tag>()?.as_str(), "music");
/// assert!("Music".parse::<Tag>().is_err());
/// # Ok::<(), alive_hive::post::TagError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Tag(Box<str>);
serde_as_text!(Tag);

impl Tag {
    /// Longest tag, in bytes.
    pub const MAX_LEN: usize = 24;

    /// The tag as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for Tag {
    type Err = TagError;

    fn from_str(text: &str) -> Result<Self, TagError> {
        let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        let fits = text.len() <= Self::MAX_LEN
            && text.starts_with(|c: char| c.is_ascii_lowercase())
            && !text.ends_with('-')
            && text.bytes().all(allowed);
        if fits { Ok(Self(text.into())) } else { Err(TagError(Excerpt::of(text))) }
    }
}

/// The text is no [`Tag`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0} is no tag: 1 to 24 lower-case letters, digits and dashes, a letter first")]
pub struct TagError(Excerpt);
