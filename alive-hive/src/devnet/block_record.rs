//! A block as the log keeps it: the JSON that `block_api.get_block` shows ([`BlockRecord`]).

use serde_json::{Value, json};

use crate::{
    block::{BlockMismatch, ReportedBlock},
    block_id::{BlockId, TransactionId},
    header::{BlockHeader, HeaderError, SignedHeader},
    json_form::{JsonError, JsonForm},
    keys::PrivateKey,
    merkle::MerkleRoot,
    network::KeyPrefix,
    serialize::Pack,
    time::TimePoint,
    transaction::SignedTransaction,
};

use super::pool::Pending;

/// A block and the pack in which each of its transactions is signed.
#[derive(Debug)]
pub(super) struct BlockRecord {
    pub(super) header: SignedHeader,
    pub(super) id: BlockId,
    pub(super) transactions: Vec<Packed>,
}

/// A transaction, its id and its pack.
#[derive(Clone, Debug)]
pub(super) struct Packed {
    pub(super) id: TransactionId,
    pub(super) pack: Pack,
    pub(super) signed: SignedTransaction,
}

impl BlockRecord {
    /// Makes the block and signs it.
    pub(super) fn make(
        previous: BlockId,
        timestamp: TimePoint,
        witness: &str,
        transactions: Vec<Packed>,
        key: &PrivateKey,
    ) -> Result<Self, HeaderError> {
        let leaves = transactions.iter().map(|one| one.signed.merkle_leaf(one.pack));
        let header = BlockHeader {
            previous,
            timestamp,
            witness: witness.into(),
            transaction_merkle_root: MerkleRoot::of(leaves),
            extensions: Vec::new(),
        };
        let header = header.sign(key)?;
        let id = header.block_id()?;
        Ok(Self { header, id, transactions })
    }

    /// Reads a record and checks that it is the block it says to be.
    pub(super) fn read(bytes: &[u8], prefix: &KeyPrefix) -> Result<Self, RecordError> {
        let value: Value = serde_json::from_slice(bytes)?;
        let reported = ReportedBlock::from_json(&value)?;
        reported.check_header()?;
        let transactions = reported.check_transactions(prefix)?;
        let packed = |(signed, id): (SignedTransaction, &TransactionId)| {
            let pack = signed.pack_of(id).unwrap_or_default();
            Packed { id: *id, pack, signed }
        };
        let transactions = transactions.into_iter().zip(&reported.transaction_ids).map(packed);
        Ok(Self {
            transactions: transactions.collect(),
            header: reported.header,
            id: reported.block_id,
        })
    }

    pub(super) fn time(&self) -> TimePoint {
        self.header.header.timestamp
    }

    /// Writes the block. In the legacy form each transaction also names itself and its block.
    pub(super) fn to_json(&self, form: JsonForm, prefix: &KeyPrefix) -> Result<Value, HeaderError> {
        let transaction = |(index, one): (usize, &Packed)| {
            let mut value = one.signed.to_json(form, prefix);
            if let (JsonForm::Legacy, Some(members)) = (form, value.as_object_mut()) {
                members.insert("transaction_id".into(), json!(one.id));
                members.insert("block_num".into(), json!(self.id.block_num()));
                members.insert("transaction_num".into(), json!(index));
            }
            value
        };
        let transactions = self.transactions.iter().enumerate().map(transaction);
        let mut block = self.header.to_json();
        let signing_key = self.header.signing_key()?.to_text(prefix);
        let ids = self.transactions.iter().map(|one| one.id);
        if let Some(members) = block.as_object_mut() {
            members.insert("transactions".into(), transactions.collect());
            members.insert("block_id".into(), json!(self.id));
            members.insert("signing_key".into(), signing_key.into());
            members.insert("transaction_ids".into(), json!(ids.collect::<Vec<_>>()));
        }
        Ok(block)
    }
}

impl From<Pending> for Packed {
    fn from(Pending { id, pack, signed, .. }: Pending) -> Self {
        Self { id, pack, signed }
    }
}

impl From<Packed> for Pending {
    fn from(Packed { id, pack, signed }: Packed) -> Self {
        let size = signed.to_bytes(pack).len();
        Self { id, pack, size, signed }
    }
}

/// Why a record is no block.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RecordError {
    /// It does not have the form of a block.
    #[error("not a block")]
    Form(#[from] JsonError),
    /// It is no JSON.
    #[error("not JSON")]
    Json(#[from] serde_json::Error),
    /// It does not have the hashes it names.
    #[error("the block is not what it says to be")]
    Mismatch(#[from] BlockMismatch),
    /// It does not follow the block before it.
    #[error("the block does not follow the one before it")]
    Order,
}
