//! How a block's JSON is read: a visitor for each of its parts.

use std::fmt;

use serde::{
    Deserialize, Deserializer,
    de::{self, DeserializeSeed, IgnoredAny, MapAccess, SeqAccess, Visitor},
};
use serde_json::Value;

use super::{
    BlockText, OpText,
    packed::{Custom, Packed, Parts},
    value::{Names, Number, Text, passes_over},
};
use crate::{
    block_id::BlockId,
    header::{BlockHeader, HeaderExtension, SignedHeader},
    merkle::MerkleRoot,
    serialize::{Pack, Packer},
    signature::RecoverableSignature,
    time::TimePoint,
};

/// What is collected from the transactions of a block.
struct Collected<'a, 'de> {
    id: &'a str,
    ops: Vec<OpText<'de>>,
    packed: Packed,
    /// The operations of the transaction that is being read.
    operations: Packer,
}

impl<'a> Collected<'a, '_> {
    fn new(id: &'a str) -> Self {
        let operations = Packer::new(Pack::Legacy);
        Self { id, ops: Vec::new(), packed: Packed::default(), operations }
    }
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
    Expiration,
    Operations,
    RefBlockNum,
    RefBlockPrefix,
    Signatures,
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
    RequiredAuths,
    RequiredPostingAuths,
    #[serde(other)]
    Other,
}

#[derive(Clone, Copy)]
pub(super) struct BlockSeed<'a> {
    pub(super) custom_json_id: &'a str,
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
        let mut collected = Collected::new(self.custom_json_id);
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
                    let seed = Transactions(&mut collected);
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
            ops: collected.ops,
            packed: collected.packed,
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

/// Counts transactions and collects what is in them.
struct Transactions<'c, 'a, 'de>(&'c mut Collected<'a, 'de>);

impl<'de> DeserializeSeed<'de> for Transactions<'_, '_, 'de> {
    type Value = usize;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<usize, D::Error> {
        from.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for Transactions<'_, '_, 'de> {
    type Value = usize;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array of transactions")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<usize, A::Error> {
        let mut count = 0;
        while let Some(is_packed) = seq.next_element_seed(TransactionSeed(&mut *self.0))? {
            count += 1;
            self.0.packed.is_broken |= !is_packed;
        }
        Ok(count)
    }
}

/// Collects the operations of one transaction; whether it could be packed.
struct TransactionSeed<'c, 'a, 'de>(&'c mut Collected<'a, 'de>);

impl<'de> DeserializeSeed<'de> for TransactionSeed<'_, '_, 'de> {
    type Value = bool;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<bool, D::Error> {
        from.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for TransactionSeed<'_, '_, 'de> {
    type Value = bool;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a transaction")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<bool, A::Error> {
        let before = self.0.ops.len();
        let mut parts = Parts::default();
        while let Some(key) = map.next_key::<TransactionKey>()? {
            match key {
                TransactionKey::Expiration => parts.expiration = map.next_value::<Text<'de>>()?.0,
                TransactionKey::Operations => {
                    // Of equal members the last counts.
                    self.0.ops.truncate(before);
                    self.0.operations.bytes.clear();
                    parts.operations = map.next_value_seed(Operations(&mut *self.0))?;
                }
                TransactionKey::RefBlockNum => parts.ref_block_num = map.next_value::<Number>()?.0,
                TransactionKey::RefBlockPrefix => {
                    parts.ref_block_prefix = map.next_value::<Number>()?.0;
                }
                TransactionKey::Signatures => parts.signatures = map.next_value::<Names<'de>>()?.0,
                TransactionKey::Other => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        if self.0.packed.is_broken {
            return Ok(false);
        }
        Ok(self.0.packed.push(&parts, &self.0.operations).is_some())
    }

    passes_over! { false; null bool number text array }
}

/// Collects the operations of a list; how many there are if all could be packed.
struct Operations<'c, 'a, 'de>(&'c mut Collected<'a, 'de>);

impl<'de> DeserializeSeed<'de> for Operations<'_, '_, 'de> {
    type Value = Option<usize>;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<Option<usize>, D::Error> {
        from.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Operations<'_, '_, 'de> {
    type Value = Option<usize>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of operations")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Option<usize>, A::Error> {
        let mut packed = Some(0);
        while let Some(op) = seq.next_element_seed(OperationSeed)? {
            let Some(op) = op else {
                packed = None;
                continue;
            };
            packed = packed.filter(|_| op.pack(&mut self.0.operations).is_some());
            packed = packed.map(|count| count + 1);
            if op.id == self.0.id {
                self.0.ops.push(OpText { posting: op.posting, json: op.json });
            }
        }
        Ok(packed)
    }

    passes_over! { None; null bool number text object }
}

/// Reads one operation if it is a `custom_json`.
#[derive(Clone, Copy)]
struct OperationSeed;

impl<'de> DeserializeSeed<'de> for OperationSeed {
    type Value = Option<Custom<'de>>;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<Self::Value, D::Error> {
        from.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for OperationSeed {
    type Value = Option<Custom<'de>>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an operation")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        let name = seq.next_element::<Text<'de>>()?;
        let is_custom = name.and_then(|name| name.0).is_some_and(|name| name == "custom_json");
        let op = seq.next_element_seed(Body)?.flatten();
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
                OperationKey::Value => op = map.next_value_seed(Body)?,
                OperationKey::Other => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        Ok(op.filter(|_| is_custom))
    }

    passes_over! { None; null bool number text }
}

/// Reads the body of an operation if its id and payload are texts.
#[derive(Clone, Copy)]
struct Body;

impl<'de> DeserializeSeed<'de> for Body {
    type Value = Option<Custom<'de>>;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<Self::Value, D::Error> {
        from.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Body {
    type Value = Option<Custom<'de>>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the body of an operation")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let (mut id, mut json) = (None, None);
        let (mut active, mut posting) = (Some(Vec::new()), Some(Vec::new()));
        while let Some(key) = map.next_key::<BodyKey>()? {
            match key {
                BodyKey::Id => id = map.next_value::<Text<'de>>()?.0,
                BodyKey::Json => json = map.next_value::<Text<'de>>()?.0,
                BodyKey::RequiredAuths => active = map.next_value::<Names<'de>>()?.0,
                BodyKey::RequiredPostingAuths => posting = map.next_value::<Names<'de>>()?.0,
                BodyKey::Other => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        Ok(id.zip(json).map(|(id, json)| Custom { active, posting, id, json }))
    }

    passes_over! { None; null bool number text array }
}
