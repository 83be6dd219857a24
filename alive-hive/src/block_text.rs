//! A block's JSON read in one go, borrowing from the text and keeping only what an indexer needs: [`BlockText`].
//!
//! It finds the same operations as [`crate::extract_blocks`] without building a tree of the rest.

use std::{borrow::Cow, fmt};

use alive_core::{
    backend::{Block, BlockRef, RefusedOp},
    {AccountName, OpError, SignedOp},
};
use serde::{
    Deserialize, Deserializer,
    de::{self, DeserializeSeed, IgnoredAny, MapAccess, SeqAccess, Visitor},
};
use serde_json::Value;

use crate::{
    block_id::BlockId,
    header::{BlockHeader, HeaderExtension, SignedHeader},
    merkle::MerkleRoot,
    signature::RecoverableSignature,
    time::TimePoint,
};

/// A block as a node tells it, with the operations of one `custom_json` id. Nothing in it is checked.
#[derive(Debug)]
pub(crate) struct BlockText<'t> {
    pub(crate) header: SignedHeader,
    pub(crate) block_id: BlockId,
    /// How many transactions it has.
    pub(crate) transactions: usize,
    pub(crate) ops: Vec<OpText<'t>>,
    /// Whether it has no members but those that hived writes.
    pub(crate) is_plain: bool,
}

/// A `custom_json` under our id.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct OpText<'t> {
    /// The accounts that sign with their posting authority; `None` if one of them is no text.
    posting: Option<Vec<Cow<'t, str>>>,
    json: Cow<'t, str>,
}

impl<'t> BlockText<'t> {
    /// Reads one block of `block_api` or `condenser_api`.
    ///
    /// # Errors
    /// It is no JSON, or lacks a member of a header, its id or its transactions, or has one of them twice.
    pub(crate) fn parse(text: &'t [u8], custom_json_id: &str) -> Result<Self, serde_json::Error> {
        let mut json = serde_json::Deserializer::from_slice(text);
        let block = BlockSeed { custom_json_id }.deserialize(&mut json)?;
        json.end()?;
        Ok(block)
    }

    /// The block as core's indexer takes it: every operation read or refused.
    pub(crate) fn to_block(&self) -> Block {
        to_block(&self.header, &self.block_id, self.ops.iter().map(OpText::read).collect())
    }
}

/// A block of core of this header.
pub(crate) fn to_block(
    header: &SignedHeader,
    id: &BlockId,
    ops: Vec<Result<SignedOp, RefusedOp>>,
) -> Block {
    Block {
        at: BlockRef { num: id.block_num().into(), id: (*id).into() },
        previous: header.header.previous.into(),
        time: header.header.timestamp.into(),
        ops,
    }
}

impl OpText<'_> {
    fn read(&self) -> Result<SignedOp, RefusedOp> {
        signed_op(self.posting.as_deref(), &self.json)
    }
}

/// Reads an operation by the strict rule: exactly one posting authority, a non-empty name, and a payload that is an
/// operation. `None` stands for a list that holds something else than names. Source: `spec/indexer.md`, section 2.
pub(crate) fn signed_op<S: AsRef<str>>(
    posting: Option<&[S]>,
    json: &str,
) -> Result<SignedOp, RefusedOp> {
    let Some(names) = posting else {
        let reason = OpError::Envelope("required_posting_auths is no list of names");
        return Err(RefusedOp { account: None, reason });
    };
    SignedOp::from_parts(names, json).map_err(|reason| {
        let account = match names {
            [name] => name.as_ref().parse::<AccountName>().ok(),
            _ => None,
        };
        RefusedOp { account, reason }
    })
}

#[derive(Clone, Copy, Deserialize)]
#[serde(field_identifier, rename_all = "snake_case")]
enum BlockKey {
    BlockId,
    Extensions,
    Previous,
    SigningKey,
    Timestamp,
    TransactionIds,
    TransactionMerkleRoot,
    Transactions,
    Witness,
    WitnessSignature,
    #[serde(other)]
    Other,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(field_identifier, rename_all = "snake_case")]
enum TransactionKey {
    Operations,
    #[serde(other)]
    Other,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(field_identifier, rename_all = "snake_case")]
enum OperationKey {
    Type,
    Value,
    #[serde(other)]
    Other,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(field_identifier, rename_all = "snake_case")]
enum BodyKey {
    Id,
    Json,
    RequiredPostingAuths,
    #[serde(other)]
    Other,
}

#[derive(Clone, Copy)]
struct BlockSeed<'a> {
    custom_json_id: &'a str,
}

impl<'de> DeserializeSeed<'de> for BlockSeed<'_> {
    type Value = BlockText<'de>;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<BlockText<'de>, D::Error> {
        from.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for BlockSeed<'_> {
    type Value = BlockText<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a block")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<BlockText<'de>, A::Error> {
        let (mut previous, mut timestamp, mut witness, mut root) = (None, None, None, None);
        let (mut extensions, mut signature, mut block_id) = (None, None, None);
        let (mut transactions, mut is_plain) = (None, true);
        let mut ops = Vec::new();
        while let Some(key) = map.next_key::<BlockKey>()? {
            match key {
                BlockKey::BlockId => once(&mut block_id, map.next_value::<BlockId>()?, "block_id"),
                BlockKey::Extensions => {
                    once(&mut extensions, map.next_value::<Vec<Value>>()?, "extensions")
                }
                BlockKey::Previous => once(&mut previous, map.next_value::<BlockId>()?, "previous"),
                BlockKey::Timestamp => {
                    once(&mut timestamp, map.next_value::<TimePoint>()?, "timestamp")
                }
                BlockKey::Witness => once(&mut witness, map.next_value::<String>()?, "witness"),
                BlockKey::TransactionMerkleRoot => {
                    once(&mut root, map.next_value::<MerkleRoot>()?, "transaction_merkle_root")
                }
                BlockKey::WitnessSignature => once(
                    &mut signature,
                    map.next_value::<RecoverableSignature>()?,
                    "witness_signature",
                ),
                BlockKey::Transactions => {
                    let seed = Transactions { id: self.custom_json_id, ops: &mut ops };
                    once(&mut transactions, map.next_value_seed(seed)?, "transactions")
                }
                BlockKey::SigningKey | BlockKey::TransactionIds => {
                    map.next_value::<IgnoredAny>().map(|_| None)?
                }
                BlockKey::Other => {
                    is_plain = false;
                    map.next_value::<IgnoredAny>().map(|_| None)?
                }
            }
            .map_or(Ok(()), |name| Err(de::Error::duplicate_field(name)))?;
        }
        let extensions: Vec<Value> = must(extensions, "extensions")?;
        let header = BlockHeader {
            previous: must(previous, "previous")?,
            timestamp: must(timestamp, "timestamp")?,
            witness: must(witness, "witness")?,
            transaction_merkle_root: must(root, "transaction_merkle_root")?,
            extensions: extensions.iter().map(HeaderExtension::from_json).collect(),
        };
        let header =
            SignedHeader { header, witness_signature: must(signature, "witness_signature")? };
        Ok(BlockText {
            header,
            block_id: must(block_id, "block_id")?,
            transactions: must(transactions, "transactions")?,
            ops,
            is_plain,
        })
    }
}

/// Sets a member; its name if it was set before.
fn once<T>(place: &mut Option<T>, value: T, name: &'static str) -> Option<&'static str> {
    place.replace(value).map(|_| name)
}

fn must<T, E: de::Error>(value: Option<T>, name: &'static str) -> Result<T, E> {
    value.ok_or_else(|| E::missing_field(name))
}

/// Visitor methods for all kinds of JSON that a place may have and that say nothing there.
macro_rules! passes_over {
    ($none:expr; $($kind:ident)*) => { $(passes_over!(@ $kind $none);)* };
    (@ bool $none:expr) => {
        fn visit_bool<E: de::Error>(self, _: bool) -> Result<Self::Value, E> { Ok($none) }
    };
    (@ number $none:expr) => {
        fn visit_i64<E: de::Error>(self, _: i64) -> Result<Self::Value, E> { Ok($none) }
        fn visit_u64<E: de::Error>(self, _: u64) -> Result<Self::Value, E> { Ok($none) }
        fn visit_f64<E: de::Error>(self, _: f64) -> Result<Self::Value, E> { Ok($none) }
    };
    (@ null $none:expr) => {
        fn visit_unit<E: de::Error>(self) -> Result<Self::Value, E> { Ok($none) }
    };
    (@ text $none:expr) => {
        fn visit_str<E: de::Error>(self, _: &str) -> Result<Self::Value, E> { Ok($none) }
    };
    (@ array $none:expr) => {
        fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
            while seq.next_element::<IgnoredAny>()?.is_some() {}
            Ok($none)
        }
    };
    (@ object $none:expr) => {
        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
            while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
            Ok($none)
        }
    };
}

/// Counts transactions and collects the operations in them.
struct Transactions<'a, 'de> {
    id: &'a str,
    ops: &'a mut Vec<OpText<'de>>,
}

impl<'de> DeserializeSeed<'de> for Transactions<'_, 'de> {
    type Value = usize;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<usize, D::Error> {
        from.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for Transactions<'_, 'de> {
    type Value = usize;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array of transactions")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<usize, A::Error> {
        let mut count = 0;
        loop {
            let seed = TransactionSeed { id: self.id, ops: &mut *self.ops };
            match seq.next_element_seed(seed)? {
                Some(()) => count += 1,
                None => return Ok(count),
            }
        }
    }
}

/// Collects the operations of one transaction.
struct TransactionSeed<'a, 'de> {
    id: &'a str,
    ops: &'a mut Vec<OpText<'de>>,
}

impl<'de> DeserializeSeed<'de> for TransactionSeed<'_, 'de> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<(), D::Error> {
        from.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for TransactionSeed<'_, 'de> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a transaction")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let before = self.ops.len();
        while let Some(key) = map.next_key::<TransactionKey>()? {
            match key {
                TransactionKey::Operations => {
                    // Of equal members the last counts.
                    self.ops.truncate(before);
                    map.next_value_seed(Operations { id: self.id, ops: &mut *self.ops })?;
                }
                TransactionKey::Other => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        Ok(())
    }

    passes_over! { (); null bool number text array }
}

/// Collects the operations of a list.
struct Operations<'a, 'de> {
    id: &'a str,
    ops: &'a mut Vec<OpText<'de>>,
}

impl<'de> DeserializeSeed<'de> for Operations<'_, 'de> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<(), D::Error> {
        from.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Operations<'_, 'de> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of operations")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        while let Some(op) = seq.next_element_seed(OperationSeed { id: self.id })? {
            self.ops.extend(op);
        }
        Ok(())
    }

    passes_over! { (); null bool number text object }
}

/// Reads one operation if it is ours.
#[derive(Clone, Copy)]
struct OperationSeed<'a> {
    id: &'a str,
}

impl<'de> DeserializeSeed<'de> for OperationSeed<'_> {
    type Value = Option<OpText<'de>>;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<Self::Value, D::Error> {
        from.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for OperationSeed<'_> {
    type Value = Option<OpText<'de>>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an operation")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        let name = seq.next_element::<Text<'de>>()?;
        let is_custom = name.and_then(|name| name.0).is_some_and(|name| name == "custom_json");
        let op = seq.next_element_seed(Body { id: self.id })?.flatten();
        let mut is_pair = true;
        while seq.next_element::<IgnoredAny>()?.is_some() {
            is_pair = false;
        }
        Ok(op.filter(|_| is_custom && is_pair))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let (mut is_custom, mut op) = (false, None);
        while let Some(key) = map.next_key::<OperationKey>()? {
            match key {
                OperationKey::Type => {
                    let name = map.next_value::<Text<'de>>()?.0;
                    is_custom = name.is_some_and(|name| name == "custom_json_operation");
                }
                OperationKey::Value => op = map.next_value_seed(Body { id: self.id })?,
                OperationKey::Other => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        Ok(op.filter(|_| is_custom))
    }

    passes_over! { None; null bool number text }
}

/// Reads the body of an operation if its id is ours and its payload a text.
#[derive(Clone, Copy)]
struct Body<'a> {
    id: &'a str,
}

impl<'de> DeserializeSeed<'de> for Body<'_> {
    type Value = Option<OpText<'de>>;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<Self::Value, D::Error> {
        from.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Body<'_> {
    type Value = Option<OpText<'de>>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the body of an operation")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let (mut is_ours, mut json, mut posting) = (false, None, Some(Vec::new()));
        while let Some(key) = map.next_key::<BodyKey>()? {
            match key {
                BodyKey::Id => {
                    is_ours = map.next_value::<Text<'de>>()?.0.is_some_and(|id| id == self.id);
                }
                BodyKey::Json => json = map.next_value::<Text<'de>>()?.0,
                BodyKey::RequiredPostingAuths => posting = map.next_value::<Names<'de>>()?.0,
                BodyKey::Other => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        Ok(json.filter(|_| is_ours).map(|json| OpText { posting, json }))
    }

    passes_over! { None; null bool number text array }
}

/// A text, or `None` for any other JSON.
struct Text<'t>(Option<Cow<'t, str>>);

impl<'de> Deserialize<'de> for Text<'de> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Read;
        impl<'de> Visitor<'de> for Read {
            type Value = Text<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text")
            }

            fn visit_borrowed_str<E: de::Error>(self, text: &'de str) -> Result<Text<'de>, E> {
                Ok(Text(Some(Cow::Borrowed(text))))
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Text<'de>, E> {
                Ok(Text(Some(Cow::Owned(text.to_owned()))))
            }

            passes_over! { Text(None); null bool number array object }
        }
        from.deserialize_any(Read)
    }
}

/// Names of accounts: `None` for a list that holds something else, none for what is no list.
struct Names<'t>(Option<Vec<Cow<'t, str>>>);

impl<'de> Deserialize<'de> for Names<'de> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Read;
        impl<'de> Visitor<'de> for Read {
            type Value = Names<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list of names")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Names<'de>, A::Error> {
                let mut names = Some(Vec::new());
                while let Some(Text(name)) = seq.next_element()? {
                    names = names.zip(name).map(|(mut names, name)| {
                        names.push(name);
                        names
                    });
                }
                Ok(Names(names))
            }

            passes_over! { Names(Some(Vec::new())); null bool number text object }
        }
        from.deserialize_any(Read)
    }
}
