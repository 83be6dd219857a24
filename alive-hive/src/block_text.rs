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
use sha2::{Digest as _, Sha256};

use crate::{
    block_id::BlockId,
    header::{BlockHeader, HeaderExtension, SignedHeader},
    merkle::MerkleRoot,
    serialize::{Pack, Packer},
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
    packed: Packed,
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

    /// The root of its transactions; `None` if one of them holds anything else than `custom_json`.
    pub(crate) fn merkle_root(&self) -> Option<MerkleRoot> {
        self.packed.root()
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

/// Transactions in the binary form that the Merkle tree hashes, as long as that is known.
#[derive(Debug, Default)]
struct Packed {
    bytes: Vec<u8>,
    /// Where each transaction ends.
    ends: Vec<usize>,
    /// Whether one of the transactions could not be packed.
    is_broken: bool,
}

impl Packed {
    fn root(&self) -> Option<MerkleRoot> {
        if self.is_broken {
            return None;
        }
        let mut from = 0;
        let leaf = |end: &usize| {
            let transaction = self.bytes.get(from..*end).unwrap_or_default();
            from = *end;
            Sha256::digest(transaction).into()
        };
        Some(MerkleRoot::of(self.ends.iter().map(leaf)))
    }

    /// Source: `spec/hive.md`, section 4.1.
    fn push(&mut self, parts: &Parts<'_>, operations: &Packer) -> Option<()> {
        let mut to = Packer { bytes: std::mem::take(&mut self.bytes), pack: Pack::Legacy };
        to.raw(&u16::try_from(parts.ref_block_num?).ok()?.to_le_bytes());
        to.raw(&u32::try_from(parts.ref_block_prefix?).ok()?.to_le_bytes());
        to.raw(&parts.expiration.as_ref()?.parse::<TimePoint>().ok()?.as_unix_secs().to_le_bytes());
        to.count(parts.operations?);
        to.raw(&operations.bytes);
        to.count(0);
        let signatures = parts.signatures.as_ref()?;
        to.count(signatures.len());
        for signature in signatures {
            to.raw(signature.parse::<RecoverableSignature>().ok()?.as_bytes());
        }
        self.bytes = to.bytes;
        self.ends.push(self.bytes.len());
        Some(())
    }
}

/// The members of a transaction.
#[derive(Default)]
struct Parts<'t> {
    ref_block_num: Option<u64>,
    ref_block_prefix: Option<u64>,
    expiration: Option<Cow<'t, str>>,
    /// How many, if all of them are `custom_json`.
    operations: Option<usize>,
    signatures: Option<Vec<Cow<'t, str>>>,
}

/// Any `custom_json`.
struct Custom<'t> {
    active: Option<Vec<Cow<'t, str>>>,
    posting: Option<Vec<Cow<'t, str>>>,
    id: Cow<'t, str>,
    json: Cow<'t, str>,
}

impl Custom<'_> {
    /// Packs it; `None` if that cannot be done.
    fn pack<'a>(&'a self, to: &mut Packer) -> Option<()> {
        let names = |names: &'a Option<Vec<Cow<'_, str>>>| {
            let names = names.as_ref()?.iter().map(AsRef::as_ref);
            Some(names.collect::<Vec<&str>>())
        };
        pack_custom_json(to, &names(&self.active)?, &names(&self.posting)?, &self.id, &self.json);
        Some(())
    }
}

/// Packs a `custom_json`. Source: `spec/hive.md`, section 4.1.
pub(crate) fn pack_custom_json(
    to: &mut Packer,
    active: &[&str],
    posting: &[&str],
    id: &str,
    json: &str,
) {
    to.count(CUSTOM_JSON);
    for names in [active, posting] {
        // A set: hived sorts it.
        let mut sorted;
        let names = if names.len() > 1 {
            sorted = names.to_vec();
            sorted.sort_unstable();
            sorted.dedup();
            &sorted
        } else {
            names
        };
        to.count(names.len());
        for name in names {
            to.text(name);
        }
    }
    to.text(id);
    to.text(json);
}

/// Number of the operation. Source: `spec/hive.md`, section 4.1.
const CUSTOM_JSON: usize = 18;

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

/// A whole number, or `None` for any other JSON.
struct Number(Option<u64>);

impl<'de> Deserialize<'de> for Number {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Read;
        impl<'de> Visitor<'de> for Read {
            type Value = Number;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number")
            }

            fn visit_u64<E: de::Error>(self, number: u64) -> Result<Number, E> {
                Ok(Number(Some(number)))
            }

            fn visit_i64<E: de::Error>(self, _: i64) -> Result<Number, E> {
                Ok(Number(None))
            }

            fn visit_f64<E: de::Error>(self, _: f64) -> Result<Number, E> {
                Ok(Number(None))
            }

            passes_over! { Number(None); null bool text array object }
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
