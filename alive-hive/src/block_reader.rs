//! Blocks out of the text of a node's answer, checked: [`BlockReader`].

use alive_core::backend::Block;
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::{
    block::{BlockMismatch, ReportedBlock},
    block_id::BlockId,
    block_text::{BlockText, to_block},
    extract::BlockAnswer,
    header::SignedHeader,
    merkle::MerkleRoot,
    network::KeyPrefix,
    plain_transactions::PlainTransactions,
    scan::Scanner,
};

/// Reads blocks out of the text of an answer, with the operations under one `custom_json` id.
///
/// Blocks that cannot hold such an operation are passed over by a search through their bytes; only the others are
/// parsed. Of every block is checked that its id is the one that its header hashes to (unless the header has an
/// extension that this crate does not know), that it is numbered after the block that it names as its previous one, and
/// that a block without transactions says so in its header. Whether blocks of one answer follow each other is left to
/// the caller. The
/// transactions of a block with an operation of ours must have the Merkle root of its header; if one of them holds an
/// operation that this crate cannot pack, that proves nothing and the node is trusted.
///
/// ```
/// use alive_hive::{BlockAnswer, BlockReader, KeyPrefix};
/// let reader = BlockReader::new("alive-test", KeyPrefix::STM);
/// let blocks = reader.read(br#"{"blocks":[]}"#, BlockAnswer::BlockRange)?;
/// assert!(blocks.is_empty());
/// # Ok::<(), alive_hive::BlockTextError>(())
/// ```
#[derive(Clone, Debug)]
pub struct BlockReader {
    custom_json_id: Box<str>,
    prefix: KeyPrefix,
    /// `None` if ids like this one cannot be found without parsing.
    scanner: Option<Scanner>,
}

impl BlockReader {
    /// A reader for the operations with this `custom_json` id, on a chain whose keys have this prefix.
    pub fn new(custom_json_id: impl Into<Box<str>>, prefix: KeyPrefix) -> Self {
        let custom_json_id = custom_json_id.into();
        let scanner = Scanner::new(&custom_json_id);
        Self { custom_json_id, prefix, scanner }
    }

    /// Reads the result of a method that gives blocks. A block that does not exist gives no block.
    ///
    /// # Errors
    /// [`BlockTextError`]: the node is at fault, not an account.
    pub fn read(&self, result: &[u8], method: BlockAnswer) -> Result<Vec<Block>, BlockTextError> {
        match self.scan(result, method) {
            Some(read) => read,
            None => self.parse(result, method),
        }
    }

    /// Reads like [`read`](Self::read), but parses every block: what `read` is compared with.
    ///
    /// # Errors
    /// [`BlockTextError`]: the node is at fault, not an account.
    pub fn parse(&self, result: &[u8], method: BlockAnswer) -> Result<Vec<Block>, BlockTextError> {
        let texts: Vec<&[u8]> = match method {
            BlockAnswer::Condenser => {
                let block: Option<&RawValue> = json(result)?;
                block.into_iter().map(bytes).collect()
            }
            BlockAnswer::Block => {
                let single: SingleBlock<'_> = json(result)?;
                single.block.into_iter().map(bytes).collect()
            }
            BlockAnswer::BlockRange => {
                let range: BlockRange<'_> = json(result)?;
                range.blocks.into_iter().map(bytes).collect()
            }
        };
        let mut blocks = Vec::with_capacity(texts.len());
        for text in texts {
            let block = BlockText::parse(text, &self.custom_json_id)?;
            check_header(&block.header, &block.block_id)?;
            if (block.transactions == 0)
                != (block.header.header.transaction_merkle_root == MerkleRoot::EMPTY)
            {
                return Err(BlockTextError::Transactions(BlockMismatch::MerkleRoot));
            }
            blocks.push(self.finish(text, &block)?);
        }
        Ok(blocks)
    }

    /// `None` where the answer is not of the form that can be scanned.
    fn scan(
        &self,
        result: &[u8],
        method: BlockAnswer,
    ) -> Option<Result<Vec<Block>, BlockTextError>> {
        let scanner = self.scanner.as_ref()?;
        let spans = match method {
            BlockAnswer::Block => scanner.single(result)?,
            BlockAnswer::BlockRange => scanner.range(result)?,
            BlockAnswer::Condenser => return None,
        };
        let mut blocks = Vec::with_capacity(spans.len());
        for span in spans {
            let follows = span.header.header.previous.block_num().checked_add(1);
            if follows != Some(span.block_id.block_num()) {
                return None;
            }
            if !span.is_ours {
                blocks.push(to_block(&span.header, &span.block_id, Vec::new()));
                continue;
            }
            let root = span.header.header.transaction_merkle_root;
            let plain = PlainTransactions::read(span.transactions, &self.custom_json_id);
            // The root proves that they were read right, and that they are those of the block.
            if let Some(plain) = plain.filter(|plain| plain.root == root) {
                blocks.push(to_block(&span.header, &span.block_id, plain.ops));
                continue;
            }
            // Only a whole block of the usual members is taken out of its surroundings.
            let block = BlockText::parse(span.text, &self.custom_json_id).ok();
            let block = block.filter(|block| block.is_plain)?;
            match self.finish(span.text, &block) {
                Ok(block) => blocks.push(block),
                Err(error) => return Some(Err(error)),
            }
        }
        Some(Ok(blocks))
    }

    /// Checks the transactions of a block if there are operations of ours among them.
    fn finish(&self, text: &[u8], block: &BlockText<'_>) -> Result<Block, BlockTextError> {
        let root = block.header.header.transaction_merkle_root;
        // A root that fits proves all; one that does not may be of a packing that the quick way does not know.
        if !block.ops.is_empty() && block.merkle_root() != Some(root) {
            let value = json(text)?;
            let unreadable = |source| {
                BlockTextError::Transactions(BlockMismatch::Transaction { index: 0, source })
            };
            let reported = ReportedBlock::from_json(&value).map_err(unreadable)?;
            match reported.check_transactions(&self.prefix) {
                Ok(_) | Err(BlockMismatch::Transaction { .. }) => {}
                Err(mismatch) => return Err(mismatch.into()),
            }
        }
        Ok(block.to_block())
    }
}

/// Compares a block's id with the one that its header gives, and with the number that it must have.
fn check_header(header: &SignedHeader, named: &BlockId) -> Result<(), BlockTextError> {
    // An unknown extension proves nothing against the block.
    if let Ok(real) = header.block_id()
        && real != *named
    {
        return Err(BlockMismatch::BlockId { named: *named, real }.into());
    }
    if header.header.previous.block_num().checked_add(1) == Some(named.block_num()) {
        Ok(())
    } else {
        Err(BlockTextError::Order { number: named.block_num().into() })
    }
}

#[derive(Deserialize)]
struct BlockRange<'t> {
    #[serde(borrow)]
    blocks: Vec<&'t RawValue>,
}

#[derive(Deserialize)]
struct SingleBlock<'t> {
    #[serde(borrow, default)]
    block: Option<&'t RawValue>,
}

fn json<'t, T: Deserialize<'t>>(text: &'t [u8]) -> Result<T, BlockTextError> {
    Ok(serde_json::from_slice(text)?)
}

fn bytes(raw: &RawValue) -> &[u8] {
    raw.get().as_bytes()
}

/// Why an answer is not taken as blocks.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BlockTextError {
    /// It is no JSON of the method's form.
    #[error("the answer is not what the method gives")]
    Json(#[from] serde_json::Error),
    /// A block has not the number that follows that of the block that it names as its previous one.
    #[error("block {number} is not numbered after its previous one")]
    Order {
        /// Its number.
        number: u64,
    },
    /// A block's id or transactions are not those of its header.
    #[error("a block is not what its header says")]
    Transactions(#[from] BlockMismatch),
}
