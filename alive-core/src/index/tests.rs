//! Accounts, numbers, undo and loading, over made-up blocks.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::{
    Network, StreamId,
    backend::{BlockId, Commit, StoredAccount, StreamStore},
    fuzzing::Tape,
    memory::MemoryStreamStore,
};
use futures_util::FutureExt as _;

fn at(secs: u32) -> Timestamp {
    Timestamp::from_unix_secs(secs)
}

fn op(account: &str, json: &str) -> SignedOp {
    SignedOp::from_parts(&[account], json).unwrap()
}

fn configure(account: &str, link: &str) -> SignedOp {
    op(account, &format!(r#"{{"op":2,"link":"{link}"}}"#))
}

fn id(text: &str) -> BlockId {
    text.parse().unwrap()
}

fn block(num: u64, name: &str, previous: &str, ops: Vec<SignedOp>) -> Block {
    Block {
        at: BlockRef { num, id: id(name) },
        previous: id(previous),
        time: at(100),
        ops: ops.into_iter().map(Ok).collect(),
    }
}

fn numbers(index: &Index) -> BTreeMap<String, (u32, u64)> {
    let streams = index.streams();
    let named = streams.map(|(key, stream)| {
        let info = stream.info();
        (format!("{}/{}", key.account, key.link), (info.number, info.id))
    });
    named.collect()
}

type DumpedAccount = (u32, BTreeMap<Link, (StreamKey, Stream)>);

/// Everything that an index holds, in one order.
#[derive(Debug, PartialEq)]
struct Dump {
    accounts: BTreeMap<AccountName, DumpedAccount>,
    created: u64,
    last: Option<BlockRef>,
    reversible: Vec<BlockChanges>,
}

fn dump(index: &Index) -> Dump {
    let accounts = index.accounts.iter().map(|(name, account)| {
        let streams = account
            .streams
            .iter()
            .map(|(link, slot)| (link.clone(), (StreamKey::clone(&slot.key), slot.stream.clone())));
        (name.clone(), (account.created, streams.collect()))
    });
    Dump {
        accounts: accounts.collect(),
        created: index.created,
        last: index.last.clone(),
        reversible: index.reversible.iter().cloned().collect(),
    }
}

#[test]
fn streams_are_numbered_within_their_account_and_over_all() {
    let mut index = Index::default();
    for (account, link) in [("a", "x"), ("b", "x"), ("a", "y"), ("a", "x"), ("b", "X")] {
        index.apply(&configure(account, link), at(1)).unwrap();
    }
    let want = [("a/x", (0, 1)), ("a/y", (1, 3)), ("b/X", (1, 4)), ("b/x", (0, 2))];
    assert_eq!(numbers(&index), want.map(|(name, ids)| (name.to_owned(), ids)).into());
}

#[test]
fn without_a_configure_push_and_end_are_refused_but_the_account_is_known() {
    let mut index = Index::default();
    let cid = "QmbFMke1KXqnYyBBWxB74N4c5SBnJMVAiMNRcGu6x1AwQH";
    let push = format!(r#"{{"op":0,"link":"s","seq":0,"src":"{cid}"}}"#);
    assert_eq!(index.apply(&op("a", &push), at(1)), Err(Refusal::NoStream));
    assert_eq!(index.apply(&op("b", r#"{"op":1,"link":"s"}"#), at(1)), Err(Refusal::NoStream));
    assert_eq!(index.streams().count(), 0);
    assert!(index.knows(&"a".parse().unwrap()) && index.knows(&"b".parse().unwrap()));
    assert!(!index.knows(&"c".parse().unwrap()));
}

#[test]
fn an_account_never_touches_the_streams_of_another() {
    let mut index = Index::default();
    index.apply(&configure("a", "s"), at(1)).unwrap();
    let before = index.stream(&"a".parse().unwrap(), &"s".parse().unwrap()).unwrap().clone();
    assert_eq!(index.apply(&op("b", r#"{"op":1,"link":"s"}"#), at(2)), Err(Refusal::NoStream));
    index.apply(&configure("b", "s"), at(3)).unwrap();
    index.apply(&op("b", r#"{"op":1,"link":"s"}"#), at(4)).unwrap();
    assert_eq!(index.stream(&"a".parse().unwrap(), &"s".parse().unwrap()), Some(&before));
}

#[test]
fn an_end_and_a_push_of_one_block_count_in_their_order() {
    let cid = "QmbFMke1KXqnYyBBWxB74N4c5SBnJMVAiMNRcGu6x1AwQH";
    let push = |seq: u8| op("a", &format!(r#"{{"op":0,"link":"s","seq":{seq},"src":"{cid}"}}"#));
    let end = || op("a", r#"{"op":1,"link":"s"}"#);
    let mut index = Index::default();
    let ops =
        vec![push(0), configure("a", "s"), push(1), push(1), push(0), push(1), end(), push(2)];
    let applied = index.apply_block(&block(1, "1", "0", ops)).unwrap();
    let accepted: Vec<_> = applied.refusals.iter().map(Option::is_none).collect();
    assert_eq!(accepted, [false, true, true, true, true, false, true, false]);
    assert_eq!(applied.changes.new_accounts, ["a".parse().unwrap()]);
}

#[test]
fn a_block_must_follow_by_number_and_id() {
    let mut index = Index::default();
    index.apply_block(&block(5, "5", "4", vec![])).unwrap();
    for (num, previous) in [(7, "5"), (6, "x"), (5, "4"), (6, "4")] {
        let before = dump(&index);
        let wrong = block(num, "n", previous, vec![configure("a", "s")]);
        assert_eq!(index.apply_block(&wrong), Err(OutOfOrder { got: num, last: 5 }));
        assert_eq!(dump(&index), before);
    }
    index.apply_block(&block(6, "6", "5", vec![])).unwrap();
}

#[test]
fn finalized_blocks_cannot_be_undone() {
    let mut index = Index::default();
    for num in 1..=5 {
        let [name, previous] = [num, num - 1].map(|n| n.to_string());
        index.apply_block(&block(num, &name, &previous, vec![])).unwrap();
    }
    index.finalize(3);
    index.finalize(1);
    assert_eq!(index.reversible().map(|block| block.at.num).collect::<Vec<_>>(), [4, 5]);
    let undone: Vec<_> = std::iter::from_fn(|| index.undo_block()).map(|b| b.at.num).collect();
    assert_eq!(undone, [5, 4]);
    assert_eq!(index.last(), Some(&BlockRef { num: 3, id: id("3") }));
}

#[test]
fn unloading_drops_every_stream_that_neither_undoing_nor_the_caller_needs() {
    let mut index = Index::default();
    let ops = [("a", "x"), ("a", "y"), ("b", "x")].map(|(account, link)| configure(account, link));
    index.apply_block(&block(1, "1", "0", ops.into())).unwrap();
    index.finalize(1);
    index.apply_block(&block(2, "2", "1", vec![configure("c", "x"), configure("d", "x")])).unwrap();
    index.unload(|key| key.link.as_str() == "y");
    assert_eq!(numbers(&index).into_keys().collect::<Vec<_>>(), ["a/y", "c/x", "d/x"]);
    assert!(!index.knows(&"b".parse().unwrap()));
    index.finalize(2);
    index.unload(|_| false);
    assert!(index.accounts.is_empty());
}

#[test]
fn a_store_that_lost_count_is_no_panic() {
    let mut index = Index::default();
    index.apply_block(&block(1, "1", "0", vec![configure("a", "x")])).unwrap();
    let reversible = index.reversible().cloned().collect();
    let mut index = Index::resume(index.last().unwrap().clone(), 0, reversible);
    index.load_account("a".parse().unwrap(), 0);
    index.undo_block().unwrap();
    assert_eq!(index.created, 0);
}

#[test]
fn a_stream_of_an_undone_block_gives_its_numbers_back() {
    let mut index = Index::default();
    index.apply_block(&block(1, "1", "0", vec![configure("a", "x")])).unwrap();
    index.apply_block(&block(2, "2", "1", vec![configure("a", "y"), configure("b", "z")])).unwrap();
    index.undo_block().unwrap();
    assert!(!index.knows(&"b".parse().unwrap()));
    index
        .apply_block(&block(2, "2b", "1", vec![configure("b", "w"), configure("a", "v")]))
        .unwrap();
    let want = [("a/v", (1, 3)), ("a/x", (0, 1)), ("b/w", (0, 2))];
    assert_eq!(numbers(&index), want.map(|(name, ids)| (name.to_owned(), ids)).into());
}

fn tape() -> impl Strategy<Value = Vec<u8>> {
    proptest::collection::vec(any::<u8>(), 0..3000)
}

/// Blocks until the tape is used up, forty at most.
fn blocks(data: &[u8]) -> Vec<Block> {
    let mut tape = Tape::new(data);
    let mut blocks: Vec<Block> = Vec::new();
    while tape.byte().is_some() && blocks.len() < 40 {
        blocks.push(tape.block(blocks.last().map(|block| &block.at)));
    }
    blocks
}

/// An index that has only a store to ask, as an indexer uses it.
struct Lazy {
    index: Index,
    store: MemoryStreamStore,
}

/// A store in memory never waits.
fn now<T, E: std::fmt::Debug>(work: impl Future<Output = Result<T, E>>) -> T {
    work.now_or_never().unwrap().unwrap()
}

impl Lazy {
    fn apply(&mut self, block: &Block, irreversible: u64) -> Applied {
        for op in &block.ops {
            let account = match op {
                Ok(signed) => Some(&signed.account),
                Err(refused) => refused.account.as_ref(),
            };
            let Some(account) = account else { continue };
            let stored = now(self.store.account(&Network::hive(), account));
            if let (false, Some(StoredAccount { created })) = (self.index.knows(account), stored) {
                self.index.load_account(account.clone(), created);
            }
            let Ok(signed) = op else { continue };
            let key = StreamKey { account: account.clone(), link: signed.op.link().clone() };
            if self.index.lacks(&key.account, &key.link)
                && let Some(stored) = now(self.store.stream(&stream_id(&key)))
            {
                self.index.load_stream(key, Stream::restore(stored.info, stored.pushes));
            }
        }
        let applied = self.index.apply_block(block).unwrap();
        let step = Commit::Apply { blocks: vec![applied.changes.clone()], irreversible };
        now(self.store.commit(&Network::hive(), &step));
        self.index.finalize(irreversible);
        applied
    }

    fn undo(&mut self) -> Option<BlockChanges> {
        let undone = self.index.undo_block()?;
        now(self.store.commit(&Network::hive(), &Commit::Undo(undone.clone())));
        Some(undone)
    }

    /// Forgets everything and starts from the store.
    fn restart(&mut self) {
        let Some(cursor) = now(self.store.cursor(&Network::hive())) else { return };
        let reversible = now(self.store.reversible(&Network::hive()));
        self.index = Index::resume(cursor.last, cursor.created, reversible);
    }
}

fn stream_id(key: &StreamKey) -> StreamId {
    StreamId::new(Network::hive(), key.account.clone(), key.link.clone())
}

proptest! {
    #[test]
    fn undo_restores_exactly_and_redo_does_the_same(data in tape(), back in any::<prop::sample::Index>()) {
        let mut index = Index::default();
        let mut states = Vec::new();
        let blocks = blocks(&data);
        for block in &blocks {
            let before = dump(&index);
            states.push((before, index.apply_block(block).unwrap()));
        }
        let end = dump(&index);
        let from = back.index(blocks.len() + 1);
        for (before, applied) in states[from..].iter().rev() {
            prop_assert_eq!(index.undo_block().map(|undone| undone.at), Some(applied.changes.at.clone()));
            // Below the first block, the index knows where that one started.
            let last = before.last.clone().or(Some(applied.changes.previous.clone()));
            prop_assert_eq!(dump(&index).last, last);
            index.last.clone_from(&before.last);
            prop_assert_eq!(&dump(&index), before);
            index.last = Some(applied.changes.previous.clone());
        }
        for (block, (_, applied)) in blocks.iter().zip(&states).skip(from) {
            prop_assert_eq!(&index.apply_block(block).unwrap(), applied);
        }
        if !blocks.is_empty() {
            prop_assert_eq!(dump(&index), end);
        }
    }

    #[test]
    fn loading_from_a_store_does_the_same_as_keeping_all(data in tape()) {
        let mut tape = Tape::new(&data);
        let mut whole = Index::default();
        let mut lazy = Lazy { index: Index::default(), store: MemoryStreamStore::default() };
        while let Some(step) = tape.byte() {
            match step % 8 {
                0..4 => {
                    let block = tape.block(whole.last());
                    let irreversible = block.at.num.saturating_sub(u64::from(step) / 16);
                    let applied = whole.apply_block(&block).unwrap();
                    whole.finalize(irreversible);
                    prop_assert_eq!(lazy.apply(&block, irreversible), applied);
                }
                4 | 5 => prop_assert_eq!(lazy.undo(), whole.undo_block()),
                6 => lazy.restart(),
                _ => lazy.index.unload(|key| key.account.as_str() == "bob"),
            }
            prop_assert_eq!(lazy.index.last(), whole.last());
            prop_assert_eq!(lazy.index.created, whole.created);
            prop_assert!(lazy.index.reversible().eq(whole.reversible()));
            for (key, stream) in whole.streams() {
                let stored = now(lazy.store.stream(&stream_id(key))).unwrap();
                prop_assert_eq!(&Stream::restore(stored.info, stored.pushes), stream);
                let loaded = lazy.index.stream(&key.account, &key.link);
                prop_assert!(loaded.is_none_or(|loaded| loaded == stream), "{:?}", key);
            }
            for (key, _) in lazy.index.streams() {
                prop_assert!(whole.stream(&key.account, &key.link).is_some(), "{:?} is gone", key);
            }
        }
    }

    #[test]
    fn changes_can_be_written_down_and_taken_back_twice(data in tape()) {
        let mut index = Index::default();
        for block in blocks(&data) {
            let changes = index.apply_block(&block).unwrap().changes;
            let json = serde_json::to_string(&changes).unwrap();
            prop_assert_eq!(&serde_json::from_str::<BlockChanges>(&json).unwrap(), &changes);
            for change in changes.changes {
                prop_assert_eq!(change.clone().inverse().inverse(), change);
            }
        }
    }
}
