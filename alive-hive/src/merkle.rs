//! The hash over a block's transactions: [`MerkleRoot`].

use ripemd::Ripemd160;
use sha2::{Digest, Sha256};

use crate::hex_text::hex_bytes;

hex_bytes! {
    /// Root of the Merkle tree over the transactions of a block, shortened by RIPEMD-160.
    ///
    /// Source: `spec/hive.md`, section 5.2.
    ///
    /// ```
    /// use alive_hive::MerkleRoot;
    /// assert_eq!(MerkleRoot::of([]), MerkleRoot::EMPTY);
    /// ```
    MerkleRoot, 20
}

impl MerkleRoot {
    /// The root of a block without transactions.
    pub const EMPTY: Self = Self([0; 20]);

    /// The root over these leaves, which [`crate::SignedTransaction::merkle_leaf`] gives.
    pub fn of(leaves: impl IntoIterator<Item = [u8; 32]>) -> Self {
        let mut level = Vec::from_iter(leaves);
        while level.len() > 1 {
            level = level.chunks(2).map(parent).collect();
        }
        match level.first() {
            Some(top) => Self(Ripemd160::digest(top).into()),
            None => Self::EMPTY,
        }
    }
}

/// A last node without a partner moves up unchanged.
fn parent(children: &[[u8; 32]]) -> [u8; 32] {
    match children {
        [single] => *single,
        both => Sha256::digest(both.as_flattened()).into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_odd_last_leaf_moves_up_unchanged() {
        let [a, b, c] = [[1; 32], [2; 32], [3; 32]];
        let ab: [u8; 32] = Sha256::digest([a, b].concat()).into();
        assert_eq!(MerkleRoot::of([a, b, c]), MerkleRoot::of([ab, c]));
        assert_ne!(MerkleRoot::of([a, b, c]), MerkleRoot::of([a, b, c, c]));
    }
}
