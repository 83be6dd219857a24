//! Blocks: [`Block`], the two ways to hash them, and the leader's signature.

use std::ops::Range;

use alive_core::Excerpt;

use crate::{
    digest::Hash,
    json_ref::{JsonMember, JsonRef},
    json_text::{JsonText, JsonTextError, RootMembers},
    keys::PublicKey,
    signature::Signature,
    transaction::{Body, Parts, SIGNING, pieces},
};

/// The first block with playlists, and with hashes of the second kind. Source: `spec/avalon.md`, section 1.
pub const FIRST_PLAYLIST_BLOCK: u64 = 17_150_000;

/// How a block is hashed. Source: `spec/avalon.md`, section 8.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum BlockHashing {
    /// The header and how many transactions there are, but not what they are: check each transaction's own hash.
    V1,
    /// All of the block's text.
    V2,
}

impl BlockHashing {
    /// How the block of this number is hashed on the public chain.
    pub fn at(num: u64) -> Self {
        if num < FIRST_PLAYLIST_BLOCK { Self::V1 } else { Self::V2 }
    }
}

/// A block as a node tells it. [`check_hash`](Self::check_hash) tells whether it is what it says.
///
/// ```
/// use alive_avalon::{Block, BlockError, BlockHashing};
/// let block = Block::from_json(
///     r#"{"_id":17150001,"phash":"ab","timestamp":1700000000000,"txs":[],"miner":"dtube","hash":"cd"}"#,
/// )?;
/// assert_eq!(block.num(), 17_150_001);
/// assert_eq!(block.check_hash(BlockHashing::at(block.num())), Err(BlockError::Hash));
/// # Ok::<(), BlockError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Block {
    text: JsonText,
    /// Where its transactions stand, brackets and all.
    txs: Range<usize>,
    /// How much of the text is hashed with a brace behind, where that is all.
    body: Option<usize>,
    num: u64,
    time_ms: i64,
    previous: Box<str>,
    hash: Box<str>,
    miner: Box<str>,
}

impl Block {
    /// Reads what a node answers.
    ///
    /// # Errors
    /// [`BlockError`] if it is no JSON, or a member that every block has is not there.
    pub fn from_json(text: &str) -> Result<Self, BlockError> {
        let (text, members) = JsonText::with_members(text)?;
        Self::read(text, members.as_ref())
    }

    /// Takes a text that was read already.
    ///
    /// # Errors
    /// As [`from_json`](Self::from_json).
    pub fn from_text(text: JsonText) -> Result<Self, BlockError> {
        Self::read(text, None)
    }

    /// The places of the members need not be found again by who has them.
    fn read(text: JsonText, members: Option<&RootMembers>) -> Result<Self, BlockError> {
        let members: Vec<JsonMember<'_>> = match members {
            Some(members) => members.of(&text).collect(),
            None => text.root().members().collect(),
        };
        let (mut num, mut time_ms, mut txs) = (None, None, None);
        let (mut previous, mut hash, mut miner) = (None, None, None);
        let boxed = |value: JsonRef<'_>| value.to_text().map(Box::from);
        let mut body = Body::default();
        for (key, value) in members {
            body.member(key, value);
            match key.as_str() {
                r#""_id""# => num = value.to_safe_integer().and_then(|num| u64::try_from(num).ok()),
                r#""timestamp""# => time_ms = value.to_safe_integer().filter(|ms| *ms >= 0),
                r#""txs""# => {
                    let start = body.end() - value.as_str().len();
                    txs = value.is_array().then_some(start..body.end());
                }
                r#""phash""# => previous = boxed(value),
                r#""hash""# => hash = boxed(value),
                r#""miner""# => miner = boxed(value),
                _ => {}
            }
        }
        Ok(Self {
            txs: txs.ok_or(BlockError::Member("txs"))?,
            body: body.of(text.as_str()).map(str::len),
            num: num.ok_or(BlockError::Member("_id"))?,
            time_ms: time_ms.ok_or(BlockError::Member("timestamp"))?,
            previous: previous.ok_or(BlockError::Member("phash"))?,
            hash: hash.ok_or(BlockError::Member("hash"))?,
            miner: miner.ok_or(BlockError::Member("miner"))?,
            text,
        })
    }

    /// Its text.
    pub fn as_text(&self) -> &JsonText {
        &self.text
    }

    /// Its number.
    pub fn num(&self) -> u64 {
        self.num
    }

    /// When it was made, in milliseconds since 1970.
    pub fn time_ms(&self) -> i64 {
        self.time_ms
    }

    /// The hash of the block before it, as it says.
    pub fn previous(&self) -> &str {
        &self.previous
    }

    /// Its hash, as it says.
    pub fn hash(&self) -> &str {
        &self.hash
    }

    /// The leader who made it.
    pub fn miner(&self) -> &str {
        &self.miner
    }

    /// Its transactions, unchecked.
    pub fn transactions(&self) -> impl Iterator<Item = Parts<'_>> {
        let list = self.text.as_str().get(self.txs.clone()).unwrap_or_default();
        let mut rest = list.strip_prefix('[').unwrap_or_default();
        std::iter::from_fn(move || {
            let (parts, after) = Parts::split(rest).filter(|_| !rest.starts_with(']'))?;
            rest = after.strip_prefix(',').unwrap_or(after);
            Some(parts)
        })
    }

    /// The hash that it must have.
    pub fn computed_hash(&self, hashing: BlockHashing) -> Hash {
        match hashing {
            BlockHashing::V1 => Hash::of(v1_text(self.text.root())),
            BlockHashing::V2 => match self.body.and_then(|end| self.text.as_str().get(..end)) {
                Some(body) => Hash::of_pieces([body, "}"]),
                None => Hash::of_pieces(pieces(self.text.root(), &SIGNING)),
            },
        }
    }

    /// Checks the hash that it says.
    ///
    /// # Errors
    /// [`BlockError::Hash`] if it is another one.
    pub fn check_hash(&self, hashing: BlockHashing) -> Result<Hash, BlockError> {
        let hash = self.computed_hash(hashing);
        if hash.is_written(&self.hash) { Ok(hash) } else { Err(BlockError::Hash) }
    }

    /// Checks the hash, and that the leader signed it. The key must be the one that the leader had at this block.
    ///
    /// # Errors
    /// [`BlockError::Hash`] or [`BlockError::Signature`].
    pub fn check(
        &self,
        hashing: BlockHashing,
        leader: Option<&PublicKey>,
    ) -> Result<(), BlockError> {
        let hash = self.check_hash(hashing)?;
        let signature = self.text.root().member("signature").and_then(JsonRef::to_text);
        let signature = signature.and_then(|text| text.parse::<Signature>().ok());
        match (signature, leader) {
            (Some(signature), Some(leader)) if signature.verify(&hash, leader) => Ok(()),
            _ => Err(BlockError::Signature { miner: Excerpt::of(&self.miner) }),
        }
    }
}

/// Why a text is no block, or not the one it says.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BlockError {
    /// Its hash is another one.
    #[error("invalid hash")]
    Hash,
    /// It is no JSON.
    #[error("block: {0}")]
    Json(#[from] JsonTextError),
    /// This member is missing or not of its kind.
    #[error("{0} of a block is missing or not of its kind")]
    Member(&'static str),
    /// The leader's key did not sign it.
    #[error("invalid miner signature, {miner} did not sign it")]
    Signature {
        /// Who should have.
        miner: Excerpt,
    },
}

/// What was hashed before playlists: texts and numbers without anything between them, a transaction as what JavaScript
/// makes of any object.
fn v1_text(block: JsonRef<'_>) -> String {
    let plain = |name| {
        let value = block.member(name).filter(|value: &JsonRef<'_>| value.is_truthy());
        value.map(|value| {
            value.to_text().map_or(value.as_str().to_owned(), std::borrow::Cow::into_owned)
        })
    };
    let count = block.member("txs").into_iter().flat_map(JsonRef::items).count();
    let always = |name| {
        let value = block.member(name).map(|value| value.as_str().to_owned());
        plain(name).or(value).unwrap_or_default()
    };
    let mut text = always("_id") + &always("phash") + &always("timestamp");
    text += &vec!["[object Object]"; count].join(",");
    text += &always("miner");
    ["missedBy", "dist", "burn"].into_iter().filter_map(plain).for_each(|part| text += &part);
    text
}
