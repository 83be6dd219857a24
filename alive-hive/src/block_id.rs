//! Identifiers of blocks and transactions: [`BlockId`], [`TransactionId`].

use alive_core::backend;
use sha2::{Digest, Sha256};

use crate::hex_text::hex_bytes;

hex_bytes! {
    /// Identifier of a block; its first four bytes are the block's number.
    ///
    /// Source: `spec/hive.md`, sections 4.2 and 5.1.
    ///
    /// ```
    /// use alive_hive::BlockId;
    /// let id: BlockId = "000f4240e8f91385f7bff8f5aeebddc9b14e4281".parse()?;
    /// assert_eq!(id.block_num(), 1_000_000);
    /// # Ok::<(), alive_hive::HexError>(())
    /// ```
    BlockId, 20
}

impl BlockId {
    /// What the first block has as its `previous`.
    pub const ZERO: Self = Self([0; 20]);

    /// The block's number.
    pub fn block_num(&self) -> u32 {
        let [a, b, c, d, ..] = self.0;
        u32::from_be_bytes([a, b, c, d])
    }

    /// A block's hash with its number put in front.
    pub(crate) fn numbered(number: u32, mut hash: [u8; 20]) -> Self {
        hash.split_at_mut(4).0.copy_from_slice(&number.to_be_bytes());
        Self(hash)
    }
}

impl From<BlockId> for backend::BlockId {
    #[expect(
        clippy::expect_used,
        reason = "40 digits are within the 128 that any block id may have"
    )]
    fn from(id: BlockId) -> Self {
        let mut digits = [0; 2 * BlockId::LEN];
        let text = faster_hex::hex_encode(&id.0, &mut digits).ok();
        text.and_then(|text| text.parse().ok()).expect("40 digits are a block id")
    }
}

hex_bytes! {
    /// Identifier of a transaction: the start of the hash of its binary form without signatures.
    ///
    /// It is the same on every chain. Source: `spec/hive.md`, section 4.1.
    TransactionId, 20
}

impl TransactionId {
    /// The identifier of a transaction of this binary form.
    pub(crate) fn of(bytes: &[u8]) -> Self {
        let hash = <[u8; 32]>::from(Sha256::digest(bytes));
        let mut id = [0; 20];
        id.copy_from_slice(hash.split_at(20).0);
        Self(id)
    }
}
