//! Transactions whose fate is open: [`Ledger`]. What is submitted again after a failure or a dropped future goes on with
//! the same bytes.

use std::collections::VecDeque;

use crate::{
    block_id::TransactionId, operation::Operation, time::TimePoint, transaction::SignedTransaction,
};

use super::inclusion::Search;

/// Most transactions remembered after their submission was given up. Our own limit.
const MAX_OPEN: usize = 256;
/// As many transactions are watched after they were seen in a block before others have to wait: more than the 16 blocks
/// that may be replaced take. Source: `spec/hive.md`, sections 4.3 and 5.5.
const MAX_SEEN: usize = 128;

/// A signed transaction on its way.
#[derive(Clone, Debug)]
pub(super) struct Attempt {
    pub(super) signed: SignedTransaction,
    pub(super) search: Search,
    /// How often it was looked for since it was seen in a block.
    pub(super) looks: u32,
}

impl Attempt {
    pub(super) fn id(&self) -> TransactionId {
        self.search.id
    }

    pub(super) fn expiration(&self) -> TimePoint {
        self.search.expiration
    }
}

#[derive(Debug)]
struct Entry {
    serial: u64,
    attempt: Attempt,
    is_claimed: bool,
}

/// All transactions of a broadcaster that may be on their way.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    open: VecDeque<Entry>,
    seen: VecDeque<Attempt>,
    /// What was seen in a block and is gone, until it is in one again.
    owed: VecDeque<Vec<Operation>>,
    next_serial: u64,
}

impl Ledger {
    /// Takes up what was given up before for the same operations.
    pub(super) fn claim(&mut self, operations: &[Operation]) -> Option<(u64, Attempt)> {
        let is_it = |entry: &&mut Entry| {
            !entry.is_claimed && entry.attempt.signed.transaction.operations == operations
        };
        let entry = self.open.iter_mut().find(is_it)?;
        entry.is_claimed = true;
        Some((entry.serial, entry.attempt.clone()))
    }

    /// Notes a transaction that is about to be sent.
    pub(super) fn open(&mut self, attempt: Attempt) -> u64 {
        let serial = self.next_serial;
        self.next_serial += 1;
        self.open.push_back(Entry { serial, attempt, is_claimed: true });
        let given_up = self.open.iter().filter(|entry| !entry.is_claimed).count();
        let may_go = |entry: &Entry| {
            !entry.is_claimed && !self.is_owed(&entry.attempt.signed.transaction.operations)
        };
        if given_up > MAX_OPEN
            && let Some(oldest) = self.open.iter().position(may_go)
        {
            drop(self.open.remove(oldest));
        }
        serial
    }

    /// Nobody waits for it any more, but it may be out.
    pub(super) fn give_up(&mut self, serial: u64) {
        if let Some(entry) = self.open.iter_mut().find(|entry| entry.serial == serial) {
            entry.is_claimed = false;
        }
    }

    /// It is over. One that was only seen stays watched.
    pub(super) fn settle(&mut self, serial: u64, is_watched: bool) {
        let Some(place) = self.open.iter().position(|entry| entry.serial == serial) else { return };
        let Some(entry) = self.open.remove(place) else { return };
        if is_watched {
            self.seen.push_back(entry.attempt);
        }
    }

    /// Whether as much is watched as shall be: what comes next waits.
    pub(super) fn is_full(&self) -> bool {
        self.seen.len() >= MAX_SEEN
    }

    /// Counts a look at one that was seen, and gives how many there were.
    pub(super) fn count_look(&mut self, id: &TransactionId) -> u32 {
        let Some(attempt) = self.seen.iter_mut().find(|one| one.id() == *id) else { return 0 };
        attempt.looks = attempt.looks.saturating_add(1);
        attempt.looks
    }

    /// What was seen in a block that could still be replaced, the oldest first.
    pub(super) fn seen(&self) -> Vec<Attempt> {
        self.seen.iter().cloned().collect()
    }

    /// It was seen and is gone: its way begins again, and is owed to whoever was told that it had ended.
    pub(super) fn reopen(&mut self, id: &TransactionId) {
        let Some(place) = self.seen.iter().position(|attempt| attempt.id() == *id) else { return };
        if let Some(attempt) = self.seen.remove(place) {
            self.owed.push_back(attempt.signed.transaction.operations.clone());
            let serial = self.open(attempt);
            self.give_up(serial);
        }
    }

    /// The oldest operations that are owed.
    pub(super) fn owed(&self) -> Option<Vec<Operation>> {
        self.owed.front().cloned()
    }

    /// Whether these are owed.
    pub(super) fn is_owed(&self, operations: &[Operation]) -> bool {
        self.owed.iter().any(|owed| owed == operations)
    }

    /// The oldest that were owed are in a block again.
    pub(super) fn repaid(&mut self) {
        self.owed.pop_front();
    }

    /// It needs no watching any more.
    pub(super) fn forget(&mut self, id: &TransactionId) {
        self.seen.retain(|attempt| attempt.id() != *id);
    }

    /// Whether a transaction of that id is one of ours. The same operations on the same head give the same bytes.
    pub(super) fn has(&self, id: &TransactionId) -> bool {
        self.open.iter().any(|entry| entry.attempt.id() == *id)
            || self.seen.iter().any(|attempt| attempt.id() == *id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{operation::CustomJson, serialize::Pack, transaction::Transaction};

    fn attempt(json: &str, second: u32) -> Attempt {
        let expiration = TimePoint::from_unix_secs(second);
        let operations = vec![CustomJson::posting("alice", "test", json).into()];
        let transaction =
            Transaction { ref_block_num: 0, ref_block_prefix: 0, expiration, operations };
        let search = Search::new(transaction.id(Pack::Legacy), expiration, transaction.tapos());
        let signed = SignedTransaction { transaction, signatures: Vec::new() };
        Attempt { signed, search, looks: 0 }
    }

    fn operations(json: &str) -> Vec<Operation> {
        attempt(json, 0).signed.transaction.operations
    }

    #[test]
    fn what_was_given_up_is_taken_up_once_and_only_for_the_same_operations() {
        let mut ledger = Ledger::default();
        let serial = ledger.open(attempt("1", 1));
        assert!(ledger.claim(&operations("1")).is_none(), "somebody waits for it");
        ledger.give_up(serial);
        assert!(ledger.claim(&operations("2")).is_none());
        let (claimed, taken) = ledger.claim(&operations("1")).unwrap();
        assert_eq!((claimed, taken.id()), (serial, attempt("1", 1).id()));
        assert!(ledger.claim(&operations("1")).is_none());
        ledger.settle(serial, false);
        assert!(!ledger.has(&taken.id()));
    }

    #[test]
    fn what_was_seen_is_watched_until_it_is_forgotten() {
        let mut ledger = Ledger::default();
        let serial = ledger.open(attempt("1", 1));
        ledger.settle(serial, true);
        let id = attempt("1", 1).id();
        assert!(ledger.has(&id));
        assert_eq!(ledger.seen().len(), 1);
        ledger.forget(&id);
        assert!(ledger.seen().is_empty() && !ledger.has(&id));
    }

    #[test]
    fn what_is_given_up_is_bounded_and_what_is_waited_for_or_owed_is_never_dropped() {
        let mut ledger = Ledger::default();
        let first = ledger.open(attempt("waited for", 0));
        let owed = ledger.open(attempt("owed", 0));
        ledger.settle(owed, true);
        ledger.reopen(&attempt("owed", 0).id());
        for second in 0..1000 {
            let serial = ledger.open(attempt("1", second));
            ledger.give_up(serial);
        }
        assert!(ledger.open.len() <= MAX_OPEN + 3);
        assert!(ledger.open.iter().any(|entry| entry.serial == first));
        assert!(ledger.claim(&operations("owed")).is_some());
    }

    #[test]
    fn what_was_seen_is_never_dropped_but_says_when_it_is_enough() {
        let mut ledger = Ledger::default();
        for second in 0..u32::try_from(MAX_SEEN).unwrap() {
            assert!(!ledger.is_full());
            let serial = ledger.open(attempt("2", second));
            ledger.settle(serial, true);
        }
        assert!(ledger.is_full());
        let serial = ledger.open(attempt("2", 999));
        ledger.settle(serial, true);
        assert_eq!(ledger.seen().len(), MAX_SEEN + 1);
        assert_eq!(ledger.seen().first().unwrap().id(), attempt("2", 0).id());
        assert_eq!((1..=3).map(|_| ledger.count_look(&attempt("2", 0).id())).sum::<u32>(), 6);
    }
}
