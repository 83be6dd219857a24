//! A block's JSON read in one go, borrowing from the text and keeping only what an indexer needs: [`BlockText`].
//!
//! It finds the same operations as [`crate::extract_blocks`] without building a tree of the rest.

mod packed;
mod read;
mod value;

use std::borrow::Cow;

use alive_core::{
    AccountName, OpError, SignedOp,
    backend::{Block, BlockRef, RefusedOp},
};
use serde::de::DeserializeSeed as _;

use crate::{block_id::BlockId, header::SignedHeader, merkle::MerkleRoot};
use packed::Packed;
pub(crate) use packed::pack_custom_json;
use read::BlockSeed;

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
