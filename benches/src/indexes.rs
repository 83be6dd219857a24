//! Ways to take operations in: through the index, and through the least that any index must do.

use std::{collections::HashMap, hint::black_box};

use alive_core::{AccountName, Index, Link, Op, Pushed, SignedOp, Timestamp, backend::Block};

/// Blocks that may still be replaced.
pub const REVERSIBLE: u64 = 21;

/// Applies operations one by one, without undo.
pub fn apply(index: &mut Index, ops: &[SignedOp]) {
    for op in ops {
        black_box(index.apply(op, Timestamp::EPOCH).expect("every operation is accepted"));
    }
}

/// Applies blocks, the last [`REVERSIBLE`] of which can be undone.
pub fn apply_blocks(index: &mut Index, blocks: &[Block]) {
    for block in blocks {
        let applied = index.apply_block(block).expect("they are in order");
        assert!(applied.refusals.iter().all(Option::is_none), "every operation is accepted");
        index.finalize(block.at.num.saturating_sub(REVERSIBLE));
    }
}

/// An index that knows streams but none of their pushes.
pub fn prepared(configures: &[SignedOp]) -> Index {
    let mut index = Index::default();
    apply(&mut index, configures);
    index
}

/// Lists of pushes by stream.
pub type Lists = HashMap<(AccountName, Link), Vec<Pushed>>;

/// Finds the list of each push and appends it: no rules, no states, no undo.
pub fn append(lists: &mut Lists, ops: &[SignedOp]) {
    for op in ops {
        let Op::Push(push) = &op.op else { continue };
        let key = (op.account.clone(), push.link.clone());
        lists.entry(key).or_default().push(Pushed::from(push));
    }
}
