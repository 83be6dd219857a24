//! Transactions: [`Transaction`], [`SignedTransaction`], [`Tapos`] and their identifiers.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::{
    block_id::{BlockId, TransactionId},
    json_form::{JsonError, JsonForm, Object, items, text},
    keys::{PrivateKey, PublicKey},
    network::{ChainId, KeyPrefix},
    operation::Operation,
    serialize::{DecodeError, Field, NoExtensions, Pack, Packer, Unpacker},
    signature::{RecoverRule, RecoverableSignature, SignAlgorithm, SignatureError},
    time::TimePoint,
};

/// The recent block that a transaction leans on ("transaction as proof of stake"): it is valid only on chains that
/// have that block.
///
/// Any block of the last 65536 will do. Source: `spec/hive.md`, section 4.2.
///
/// ```
/// use alive_hive::{BlockId, Tapos};
/// let head: BlockId = "000f4240e8f91385f7bff8f5aeebddc9b14e4281".parse()?;
/// assert_eq!(Tapos::of(&head), Tapos { ref_block_num: 16960, ref_block_prefix: 2232678888 });
/// # Ok::<(), alive_hive::HexError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Tapos {
    /// Low 16 bits of the block's number.
    pub ref_block_num: u16,
    /// Four bytes of its id.
    pub ref_block_prefix: u32,
}

impl Tapos {
    /// The reference to that block.
    pub fn of(block: &BlockId) -> Self {
        let [_, _, high, low, a, b, c, d, ..] = *block.as_bytes();
        Self {
            ref_block_num: u16::from_be_bytes([high, low]),
            ref_block_prefix: u32::from_le_bytes([a, b, c, d]),
        }
    }
}

/// A transaction before its signatures.
///
/// ```
/// use alive_hive::{
///     BlockId, ChainId, CustomJson, Pack, PrivateKey, SignAlgorithm, Tapos, TimePoint, Transaction,
/// };
/// let head: BlockId = "05f5e1013d59dd6272c2aa0503316c7b119ea322".parse()?;
/// let push = CustomJson::posting("alice", "alive-test", r#"{"op":1,"link":"stream1"}"#);
/// let expiration = "2026-11-21T00:01:00".parse::<TimePoint>()?;
/// let transaction = Transaction::new(Tapos::of(&head), expiration, vec![push.into()]);
/// transaction.validate()?;
///
/// let key = PrivateKey::from_bytes(&[1; 32])?;
/// let signed = transaction.sign(&[&key], &ChainId::HIVE, SignAlgorithm::Dhive);
/// let signers = signed.signing_keys(&ChainId::HIVE, Pack::Legacy)?;
/// assert_eq!(signers, [key.public_key()]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transaction {
    /// Low 16 bits of the number of the block it leans on.
    pub ref_block_num: u16,
    /// Four bytes of that block's id.
    pub ref_block_prefix: u32,
    /// When it is void. The chain takes at most 24 hours ahead of the head block; 60 seconds are usual.
    pub expiration: TimePoint,
    /// What it does, at least one operation.
    pub operations: Vec<Operation>,
}

impl Transaction {
    /// Most bytes of a transaction with its signatures. Source: `spec/hive.md`, section 4.3.
    pub const MAX_BYTES: usize = 65_536;
    /// Bytes before the operations: reference and expiration.
    const HEAD_BYTES: usize = 10;

    /// A transaction of some operations.
    pub fn new(tapos: Tapos, expiration: TimePoint, operations: Vec<Operation>) -> Self {
        let Tapos { ref_block_num, ref_block_prefix } = tapos;
        Self { ref_block_num, ref_block_prefix, expiration, operations }
    }

    /// The block it leans on.
    pub fn tapos(&self) -> Tapos {
        Tapos { ref_block_num: self.ref_block_num, ref_block_prefix: self.ref_block_prefix }
    }

    /// Reads a transaction whose operations are in either JSON form. Members that a transaction does not have, such
    /// as signatures, are ignored.
    ///
    /// # Errors
    /// [`JsonError`] names the member at fault.
    pub fn from_json(value: &Value, prefix: &KeyPrefix) -> Result<Self, JsonError> {
        let object = Object::of(value)?;
        let transaction = Self {
            ref_block_num: u16::read_member(object, "ref_block_num", prefix)?,
            ref_block_prefix: u32::read_member(object, "ref_block_prefix", prefix)?,
            expiration: object
                .read("expiration", |value| Ok(text(value)?.parse::<TimePoint>()?))?,
            operations: object.read("operations", |value| {
                items(value, |item| Operation::from_json(item, prefix))
            })?,
        };
        NoExtensions::read_member(object, "extensions", prefix)?;
        Ok(transaction)
    }

    /// Writes the transaction.
    pub fn to_json(&self, form: JsonForm, prefix: &KeyPrefix) -> Value {
        let operations = self.operations.iter().map(|operation| operation.to_json(form, prefix));
        json!({
            "ref_block_num": self.ref_block_num,
            "ref_block_prefix": self.ref_block_prefix,
            "expiration": self.expiration.to_string(),
            "operations": operations.collect::<Vec<_>>(),
            "extensions": [],
        })
    }

    /// The binary form.
    pub fn to_bytes(&self, pack: Pack) -> Vec<u8> {
        let mut to = Packer::new(pack);
        self.pack(&mut to);
        to.bytes
    }

    /// Reads the binary form, strictly: what is accepted packs to the same bytes again.
    ///
    /// # Errors
    /// [`DecodeError`] says at which byte. Operations other than those of [`Operation`] are refused.
    pub fn from_bytes(bytes: &[u8], pack: Pack) -> Result<Self, DecodeError> {
        let mut from = Unpacker::new(bytes, pack);
        let transaction = Self::unpack(&mut from)?;
        from.finish()?;
        Ok(transaction)
    }

    /// Its identifier. Without assets both packs give the same one.
    pub fn id(&self, pack: Pack) -> TransactionId {
        TransactionId::of(&self.to_bytes(pack))
    }

    /// What its signers sign: it depends on the chain, the identifier does not.
    pub fn digest(&self, chain: &ChainId, pack: Pack) -> [u8; 32] {
        let bytes = self.to_bytes(pack);
        Sha256::new_with_prefix(chain.as_bytes()).chain_update(bytes).finalize().into()
    }

    /// Whether an asset in it makes the packs differ.
    pub fn packs_differ(&self) -> bool {
        self.operations.iter().any(|operation| {
            matches!(
                operation,
                Operation::AccountCreate(_)
                    | Operation::CommentOptions(_)
                    | Operation::Transfer(_)
                    | Operation::TransferToVesting(_)
            )
        })
    }

    /// Signs with each key, in the legacy pack as every client does.
    pub fn sign(
        self,
        keys: &[&PrivateKey],
        chain: &ChainId,
        algorithm: SignAlgorithm,
    ) -> SignedTransaction {
        let digest = self.digest(chain, Pack::Legacy);
        let sign = |key: &&PrivateKey| RecoverableSignature::sign(&digest, key, algorithm);
        SignedTransaction { signatures: keys.iter().map(sign).collect(), transaction: self }
    }

    fn pack(&self, to: &mut Packer) {
        to.bytes.reserve(Self::HEAD_BYTES);
        self.ref_block_num.pack(to);
        self.ref_block_prefix.pack(to);
        self.expiration.as_unix_secs().pack(to);
        to.count(self.operations.len());
        self.operations.iter().for_each(|operation| operation.pack(to));
        NoExtensions.pack(to);
    }

    fn unpack(from: &mut Unpacker<'_>) -> Result<Self, DecodeError> {
        let ref_block_num = u16::unpack(from)?;
        let ref_block_prefix = u32::unpack(from)?;
        let expiration = TimePoint::from_unix_secs(u32::unpack(from)?);
        let mut operations = Vec::new();
        for _ in 0..from.count()? {
            operations.push(Operation::unpack(from)?);
        }
        NoExtensions::unpack(from)?;
        Ok(Self { ref_block_num, ref_block_prefix, expiration, operations })
    }
}

/// A transaction with its signatures.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedTransaction {
    /// What is signed.
    pub transaction: Transaction,
    /// The signatures, in any order.
    pub signatures: Vec<RecoverableSignature>,
}

impl SignedTransaction {
    /// Reads a signed transaction whose operations are in either JSON form.
    ///
    /// # Errors
    /// [`JsonError`] names the member at fault.
    pub fn from_json(value: &Value, prefix: &KeyPrefix) -> Result<Self, JsonError> {
        let transaction = Transaction::from_json(value, prefix)?;
        let signatures = Object::of(value)?.read("signatures", |value| {
            items(value, |item| Ok(text(item)?.parse::<RecoverableSignature>()?))
        })?;
        Ok(Self { transaction, signatures })
    }

    /// Writes the signed transaction, as nodes take it for broadcast.
    pub fn to_json(&self, form: JsonForm, prefix: &KeyPrefix) -> Value {
        let mut value = self.transaction.to_json(form, prefix);
        if let Some(object) = value.as_object_mut() {
            object.insert("signatures".into(), json!(self.signatures));
        }
        value
    }

    /// The binary form with signatures: what the Merkle tree hashes and what counts as the size.
    pub fn to_bytes(&self, pack: Pack) -> Vec<u8> {
        let mut to = Packer::new(pack);
        self.transaction.pack(&mut to);
        to.count(self.signatures.len());
        self.signatures.iter().for_each(|signature| to.raw(signature.as_bytes()));
        to.bytes
    }

    /// Reads the binary form with signatures, strictly.
    ///
    /// # Errors
    /// [`DecodeError`] says at which byte.
    pub fn from_bytes(bytes: &[u8], pack: Pack) -> Result<Self, DecodeError> {
        let mut from = Unpacker::new(bytes, pack);
        let transaction = Transaction::unpack(&mut from)?;
        let mut signatures = Vec::new();
        for _ in 0..from.count()? {
            signatures.push(RecoverableSignature::from_bytes(from.array()?));
        }
        from.finish()?;
        Ok(Self { transaction, signatures })
    }

    /// Its identifier, which does not depend on the signatures.
    pub fn id(&self, pack: Pack) -> TransactionId {
        self.transaction.id(pack)
    }

    /// The leaf of the block's Merkle tree. Source: `spec/hive.md`, section 5.2.
    pub fn merkle_leaf(&self, pack: Pack) -> [u8; 32] {
        Sha256::digest(self.to_bytes(pack)).into()
    }

    /// The key of each signature, by hived's rules, in their order.
    ///
    /// # Errors
    /// [`SignatureError`] of the first signature that is refused.
    pub fn signing_keys(
        &self,
        chain: &ChainId,
        pack: Pack,
    ) -> Result<Vec<PublicKey>, SignatureError> {
        let digest = self.transaction.digest(chain, pack);
        let recover =
            |signature: &RecoverableSignature| signature.recover(&digest, RecoverRule::Hived);
        self.signatures.iter().map(recover).collect()
    }

    /// The pack whose identifier is `id`: how to read a transaction with assets out of a block.
    pub fn pack_of(&self, id: &TransactionId) -> Option<Pack> {
        [Pack::Legacy, Pack::Hf26].into_iter().find(|pack| self.id(*pack) == *id)
    }
}

/// The accounts whose authority a transaction needs.
///
/// Source: `spec/hive.md`, section 4.4; which operation needs what is hived's own rule.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RequiredAuthorities {
    /// By their active authority.
    pub active: BTreeSet<String>,
    /// By their owner authority.
    pub owner: BTreeSet<String>,
    /// By their posting authority.
    pub posting: BTreeSet<String>,
}

impl Transaction {
    /// Whose authority it needs, over all operations.
    pub fn required_authorities(&self) -> RequiredAuthorities {
        let mut required = RequiredAuthorities::default();
        for operation in &self.operations {
            required.add(operation);
        }
        required
    }
}

impl RequiredAuthorities {
    fn add(&mut self, operation: &Operation) {
        let (level, account) = match operation {
            Operation::Vote(op) => (&mut self.posting, &op.voter),
            Operation::Comment(op) => (&mut self.posting, &op.author),
            Operation::CommentOptions(op) => (&mut self.posting, &op.author),
            Operation::Transfer(op) => (&mut self.active, &op.from),
            Operation::TransferToVesting(op) => (&mut self.active, &op.from),
            Operation::AccountCreate(op) => (&mut self.active, &op.creator),
            Operation::AccountUpdate2(op) => {
                let keys = op.active.is_some() || op.posting.is_some() || op.memo_key.is_some();
                let level = match (&op.owner, keys || !op.json_metadata.is_empty()) {
                    (Some(_), _) => &mut self.owner,
                    (None, true) => &mut self.active,
                    (None, false) => &mut self.posting,
                };
                (level, &op.account)
            }
            Operation::CustomJson(op) => {
                self.active.extend(op.required_auths.iter().cloned());
                self.posting.extend(op.required_posting_auths.iter().cloned());
                return;
            }
        };
        level.insert(account.clone());
    }
}
