//! Transactions that wait for a block: [`Pool`].

use std::collections::{HashMap, HashSet, VecDeque};

use crate::{
    block_id::TransactionId, operation::Operation, serialize::Pack, transaction::SignedTransaction,
};

/// Most transactions that wait at once. Our own limit.
const MAX_PENDING: usize = 20_000;
/// Most bytes of all transactions that wait. Our own limit.
const MAX_PENDING_BYTES: usize = 32 << 20;

/// A transaction that was found good when it came.
#[derive(Clone, Debug)]
pub(super) struct Pending {
    pub(super) id: TransactionId,
    /// The pack that its signatures sign.
    pub(super) pack: Pack,
    /// Its bytes with signatures.
    pub(super) size: usize,
    pub(super) signed: SignedTransaction,
}

impl Pending {
    pub(super) fn new(signed: SignedTransaction, pack: Pack) -> Self {
        Self { id: signed.id(pack), pack, size: signed.to_bytes(pack).len(), signed }
    }

    /// The accounts of its custom operations, each as often as it stands in another of them.
    fn custom_op_accounts(&self) -> impl Iterator<Item = &str> {
        self.signed.transaction.operations.iter().flat_map(|operation| {
            let auths = match operation {
                Operation::CustomJson(op) => Some((&op.required_auths, &op.required_posting_auths)),
                _ => None,
            };
            auths
                .into_iter()
                .flat_map(|(active, posting)| active.union(posting).map(String::as_str))
        })
    }
}

/// Waiting transactions, first come first.
#[derive(Debug, Default)]
pub(super) struct Pool {
    waiting: VecDeque<Pending>,
    ids: HashSet<TransactionId>,
    bytes: usize,
    /// Waiting custom operations of each account that has some.
    custom_ops: HashMap<Box<str>, usize>,
}

impl Pool {
    pub(super) fn len(&self) -> usize {
        self.waiting.len()
    }

    pub(super) fn has(&self, id: &TransactionId) -> bool {
        self.ids.contains(id)
    }

    /// Whether there is no room for another one.
    pub(super) fn is_full(&self) -> bool {
        self.waiting.len() >= MAX_PENDING || self.bytes >= MAX_PENDING_BYTES
    }

    pub(super) fn push(&mut self, pending: Pending) {
        for account in pending.custom_op_accounts() {
            *self.custom_ops.entry(account.into()).or_default() += 1;
        }
        self.ids.insert(pending.id);
        self.bytes += pending.size;
        self.waiting.push_back(pending);
    }

    /// Takes all out, to be put into a block or pushed again.
    pub(super) fn take(&mut self) -> VecDeque<Pending> {
        self.ids.clear();
        self.custom_ops.clear();
        self.bytes = 0;
        std::mem::take(&mut self.waiting)
    }

    /// An account that would have more than `limit` custom operations waiting with this transaction.
    pub(super) fn over_limit<'a>(&self, new: &'a Pending, limit: usize) -> Option<&'a str> {
        let mut own: HashMap<&str, usize> = HashMap::new();
        new.custom_op_accounts().find(|account| {
            let own = own.entry(account).or_default();
            *own += 1;
            *own + self.custom_ops.get(*account).copied().unwrap_or_default() > limit
        })
    }
}
