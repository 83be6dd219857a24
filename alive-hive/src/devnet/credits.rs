//! Resource credits of a development chain: [`Credits`].
//!
//! Every transaction has a price by hived's formula. Only where the configuration sets a limit do accounts run out of
//! credits. The common pools stand still, so that prices do not change. Source: `spec/hive.md`, section 7.

use std::collections::BTreeMap;

use alive_devnet::{Journal, Mark};

use crate::{
    cost::{Cost, Manabar, ObjectSizes, PerResource, Prices},
    operation::Operation,
    time::TimePoint,
    transaction::Transaction,
};

use super::{pool::Pending, witness};

/// What an account shows to have where nobody runs out.
const UNLIMITED: u64 = 1_000_000_000_000_000;

/// What all accounts have, and what operations have cost so far.
#[derive(Debug)]
pub(super) struct Credits {
    limit: Option<u64>,
    prices: Prices,
    /// Only of accounts that have paid; the others have all they can.
    bars: Journal<Box<str>, Manabar, u32>,
    /// By name of operation, of transactions with that operation alone.
    stats: BTreeMap<&'static str, OperationStats>,
}

/// What transactions with a single operation of one kind have cost.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct OperationStats {
    pub(super) count: u64,
    pub(super) cost: PerResource<u64>,
    pub(super) total: u64,
    pub(super) usage: PerResource<u64>,
}

/// Whether one who has not enough is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Charge {
    /// It is refused, as nodes do to what clients send them.
    Enforce,
    /// It pays what it has, since blocks are no matter of credits.
    Take,
}

/// An account has less than it needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct NotEnough {
    pub(super) account: Box<str>,
    pub(super) has: u64,
    pub(super) needs: u64,
}

impl Credits {
    pub(super) fn new(limit: Option<u64>, prices: Prices) -> Self {
        Self { limit, prices, bars: Journal::default(), stats: BTreeMap::new() }
    }

    pub(super) fn prices(&self) -> &Prices {
        &self.prices
    }

    /// What an account has.
    pub(super) fn of(&self, account: &str, now: TimePoint) -> Manabar {
        let max = self.limit.unwrap_or(UNLIMITED);
        let full = Manabar { current: max, max, updated: now };
        self.bars.get(account).copied().unwrap_or(full)
    }

    /// Takes the price of a transaction from its payer and says what it was.
    pub(super) fn charge(
        &mut self,
        block: u32,
        now: TimePoint,
        pending: &Pending,
        charge: Charge,
    ) -> Result<u64, NotEnough> {
        let needs = self.price(pending, now).1.total;
        let payer = payer(&pending.signed.transaction).filter(|name| !witness::is_one(name));
        let (Some(payer), Some(_)) = (payer, self.limit) else { return Ok(needs) };
        let mut bar = self.of(payer, now);
        if let Err(has) = bar.take(needs, now) {
            if charge == Charge::Enforce {
                return Err(NotEnough { account: payer.into(), has, needs });
            }
            bar.current = 0;
        }
        self.bars.set(block, payer.into(), bar);
        Ok(needs)
    }

    /// Counts a transaction that is in a block.
    pub(super) fn count(&mut self, pending: &Pending, now: TimePoint) {
        let [operation] = pending.signed.transaction.operations.as_slice() else { return };
        let (usage, cost) = self.price(pending, now);
        let stats = self.stats.entry(operation.name()).or_default();
        let add = |to: &PerResource<u64>, new: &PerResource<u64>| {
            PerResource::from_fn(|of| to.get(of).saturating_add(*new.get(of)))
        };
        stats.count += 1;
        stats.usage = add(&stats.usage, &usage);
        stats.cost = add(&stats.cost, &cost.by_resource);
        stats.total = stats.total.saturating_add(cost.total);
    }

    pub(super) fn stats(&self) -> impl Iterator<Item = (&'static str, OperationStats)> {
        self.stats.iter().map(|(name, stats)| (*name, *stats))
    }

    fn price(&self, pending: &Pending, now: TimePoint) -> (PerResource<u64>, Cost) {
        let usage = ObjectSizes::HIVED.usage(&pending.signed, pending.pack, now);
        (usage, self.prices.cost(&usage))
    }

    pub(super) fn mark(&self) -> Mark {
        self.bars.mark()
    }

    pub(super) fn undo_to(&mut self, mark: Mark) {
        self.bars.undo_to(mark);
    }

    pub(super) fn undo_after(&mut self, block: u32) {
        self.bars.undo_after(block);
    }

    pub(super) fn settle(&mut self, block: u32) {
        self.bars.settle(block);
    }
}

/// Who pays: of the first operation that has one, its first active account, else owner, else posting.
/// Source: `spec/hive.md`, section 7.
fn payer(transaction: &Transaction) -> Option<&str> {
    transaction.operations.iter().find_map(|operation| {
        let name = match operation {
            Operation::AccountCreate(op) => &op.creator,
            Operation::AccountUpdate2(op) => &op.account,
            Operation::Comment(op) => &op.author,
            Operation::CommentOptions(op) => &op.author,
            Operation::CustomJson(op) => {
                op.required_auths.first().or(op.required_posting_auths.first())?
            }
            Operation::Transfer(op) => &op.from,
            Operation::TransferToVesting(op) => &op.from,
            Operation::Vote(op) => &op.voter,
        };
        Some(name.as_str())
    })
}
