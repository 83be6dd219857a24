//! Blocks: [`SignedBlock`], which we make, and [`ReportedBlock`], which a node tells us and we check.
//!
//! Source: `spec/hive.md`, sections 5.1 to 5.3.

use serde_json::{Value, json};

use crate::{
    block_id::{BlockId, TransactionId},
    header::{HeaderError, SignedHeader},
    json_form::{JsonError, JsonForm, Object, items, text},
    keys::PublicKey,
    merkle::MerkleRoot,
    network::KeyPrefix,
    serialize::Pack,
    transaction::SignedTransaction,
};

/// A block with all it holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedBlock {
    /// Header and signature.
    pub header: SignedHeader,
    /// The transactions, in their order.
    pub transactions: Vec<SignedTransaction>,
}

impl SignedBlock {
    /// The root that belongs into the header, for transactions of the legacy pack.
    pub fn merkle_root(transactions: &[SignedTransaction]) -> MerkleRoot {
        MerkleRoot::of(transactions.iter().map(|one| one.merkle_leaf(Pack::Legacy)))
    }

    /// Writes the block. In the HF26 form it is what `block_api.get_block` has under `block`, in the legacy form the
    /// answer of `condenser_api.get_block`, where each transaction also names itself and its block.
    ///
    /// # Errors
    /// [`HeaderError`] if the block has no id or no signer.
    pub fn to_json(&self, form: JsonForm, prefix: &KeyPrefix) -> Result<Value, HeaderError> {
        let signing_key = self.header.signing_key()?;
        let ids = self.transactions.iter().map(|one| one.id(Pack::Legacy));
        let ids: Vec<TransactionId> = ids.collect();
        let transactions = self.transactions.iter().map(|one| one.to_json(form, prefix));
        let mut transactions: Vec<Value> = transactions.collect();
        if form == JsonForm::Legacy {
            let named = transactions.iter_mut().filter_map(Value::as_object_mut).zip(&ids);
            for (index, (transaction, id)) in named.enumerate() {
                transaction.insert("transaction_id".into(), json!(id));
                transaction.insert("block_num".into(), json!(self.header.header.block_num()));
                transaction.insert("transaction_num".into(), json!(index));
            }
        }
        let mut block = self.header.to_json();
        if let Some(object) = block.as_object_mut() {
            object.insert("transactions".into(), Value::Array(transactions));
            object.insert("block_id".into(), json!(self.header.block_id()?));
            object.insert("signing_key".into(), signing_key.to_text(prefix).into());
            object.insert("transaction_ids".into(), json!(ids));
        }
        Ok(block)
    }
}

/// A block as a node tells it: nothing in it is checked yet.
///
/// Its transactions stay as they came, since most operations of the chain are none of ours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReportedBlock {
    /// Header and signature.
    pub header: SignedHeader,
    /// The id that the node names.
    pub block_id: BlockId,
    /// The ids that the node names for the transactions.
    pub transaction_ids: Vec<TransactionId>,
    transactions: Vec<Value>,
}

impl ReportedBlock {
    /// Reads a block of `block_api` (what stands under `block`) or of `condenser_api`.
    ///
    /// # Errors
    /// [`JsonError`] names the member at fault.
    pub fn from_json(value: &Value) -> Result<Self, JsonError> {
        let object = Object::of(value)?;
        Ok(Self {
            header: SignedHeader::from_json(value)?,
            block_id: object.read("block_id", |value| Ok(text(value)?.parse::<BlockId>()?))?,
            transaction_ids: object.read("transaction_ids", |value| {
                items(value, |item| Ok(text(item)?.parse::<TransactionId>()?))
            })?,
            transactions: object
                .read("transactions", |value| items(value, |item| Ok(item.clone())))?,
        })
    }

    /// Checks that header and signature give the named id, and tells who signed.
    ///
    /// An unknown extension of the header makes this impossible ([`HeaderError::UnknownExtension`]); such a block is
    /// not wrong for that.
    ///
    /// # Errors
    /// [`BlockMismatch`] says what does not hold.
    pub fn check_header(&self) -> Result<PublicKey, BlockMismatch> {
        let real = self.header.block_id()?;
        if real != self.block_id {
            return Err(BlockMismatch::BlockId { named: self.block_id, real });
        }
        Ok(self.header.signing_key()?)
    }

    /// Checks that the transactions have the named ids and the header's Merkle root, and returns them.
    ///
    /// # Errors
    /// [`BlockMismatch`] says what does not hold; [`BlockMismatch::Transaction`] also for a block with operations
    /// that this crate cannot pack, which proves nothing against the block.
    pub fn check_transactions(
        &self,
        prefix: &KeyPrefix,
    ) -> Result<Vec<SignedTransaction>, BlockMismatch> {
        let (found, named) = (self.transactions.len(), self.transaction_ids.len());
        if found != named {
            return Err(BlockMismatch::Count { found, named });
        }
        let mut transactions = Vec::with_capacity(found);
        let mut leaves = Vec::with_capacity(found);
        for (index, (value, id)) in self.transactions.iter().zip(&self.transaction_ids).enumerate()
        {
            let transaction = SignedTransaction::from_json(value, prefix)
                .map_err(|source| BlockMismatch::Transaction { index, source })?;
            let pack = transaction.pack_of(id);
            let pack = pack.ok_or(BlockMismatch::TransactionId { index, named: *id })?;
            leaves.push(transaction.merkle_leaf(pack));
            transactions.push(transaction);
        }
        if MerkleRoot::of(leaves) != self.header.header.transaction_merkle_root {
            return Err(BlockMismatch::MerkleRoot);
        }
        Ok(transactions)
    }
}

/// Where a block is not what its own hashes say.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BlockMismatch {
    /// Header and signature give another id.
    #[error("the block is named {named} and has the id {real}")]
    BlockId {
        /// What the node says.
        named: BlockId,
        /// What the bytes say.
        real: BlockId,
    },
    /// Not as many ids as transactions.
    #[error("{found} transactions, {named} ids")]
    Count {
        /// Transactions found.
        found: usize,
        /// Ids named.
        named: usize,
    },
    /// The header's bytes or signer cannot be told.
    #[error(transparent)]
    Header(#[from] HeaderError),
    /// The transactions have another Merkle root.
    #[error("the transactions have another Merkle root than the header names")]
    MerkleRoot,
    /// A transaction cannot be read.
    #[error("transaction {index} cannot be read")]
    Transaction {
        /// Which one, from 0.
        index: usize,
        /// Why.
        source: JsonError,
    },
    /// A transaction has another id in both packs.
    #[error("transaction {index} does not have the id {named}")]
    TransactionId {
        /// Which one, from 0.
        index: usize,
        /// What the node says.
        named: TransactionId,
    },
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        header::BlockHeader,
        keys::PrivateKey,
        network::ChainId,
        operation::{CustomJson, Transfer},
        signature::SignAlgorithm,
        time::TimePoint,
        transaction::{Tapos, Transaction},
    };

    fn key() -> PrivateKey {
        PrivateKey::from_bytes(&[6; 32]).unwrap()
    }

    fn block() -> SignedBlock {
        let time = TimePoint::from_unix_secs(1_700_000_000);
        let pay = Transfer {
            from: "alice".into(),
            to: "bob".into(),
            amount: "1.000 HIVE".parse().unwrap(),
            memo: String::new(),
        };
        let operations = [CustomJson::posting("alice", "alive-test", "{}").into(), pay.into()];
        let sign = |operation| {
            let transaction = Transaction::new(Tapos::of(&BlockId::ZERO), time, vec![operation]);
            transaction.sign(&[&key()], &ChainId::HIVE, SignAlgorithm::Dhive)
        };
        let transactions = Vec::from(operations.map(sign));
        let header = BlockHeader {
            previous: BlockId::ZERO,
            timestamp: time,
            witness: "alice".into(),
            transaction_merkle_root: SignedBlock::merkle_root(&transactions),
            extensions: Vec::new(),
        };
        SignedBlock { header: header.sign(&key()).unwrap(), transactions }
    }

    #[test]
    fn a_block_of_ours_passes_every_check_in_both_forms() {
        for form in [JsonForm::Hf26, JsonForm::Legacy] {
            let json = block().to_json(form, &KeyPrefix::STM).unwrap();
            let reported = ReportedBlock::from_json(&json).unwrap();
            assert_eq!(reported.check_header(), Ok(key().public_key()));
            assert_eq!(reported.check_transactions(&KeyPrefix::STM), Ok(block().transactions));
        }
    }

    #[test]
    fn a_changed_header_or_transaction_is_found_out() {
        let json = block().to_json(JsonForm::Legacy, &KeyPrefix::STM).unwrap();
        let changed = |change: &dyn Fn(&mut Value)| {
            let mut json = json.clone();
            change(&mut json);
            ReportedBlock::from_json(&json).unwrap()
        };
        let header = changed(&|json| json["witness"] = "bob".into());
        assert!(matches!(header.check_header(), Err(BlockMismatch::BlockId { .. })));
        let payee =
            changed(&|json| json["transactions"][1]["operations"][0][1]["to"] = "eve".into());
        let found = payee.check_transactions(&KeyPrefix::STM);
        assert!(matches!(found, Err(BlockMismatch::TransactionId { index: 1, .. })));
        let swapped = changed(&|json| {
            for list in ["transactions", "transaction_ids"] {
                json[list].as_array_mut().unwrap().reverse();
            }
        });
        let found = swapped.check_transactions(&KeyPrefix::STM);
        assert_eq!(found, Err(BlockMismatch::MerkleRoot));
        let fewer = changed(&|json| json["transactions"] = json!([]));
        let found = fewer.check_transactions(&KeyPrefix::STM);
        assert_eq!(found, Err(BlockMismatch::Count { found: 0, named: 2 }));
    }
}
