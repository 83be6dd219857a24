//! What a step leaves in the tables, whatever it did on the way: [`Outcome`].
//!
//! A page of blocks changes the same streams again and again. Folding the changes first makes every row one to write, and
//! all rows of a table one statement, which is what makes catching up fast.

use std::collections::BTreeMap;

use alive_core::{AccountName, BlockChanges, Change, Pushed, Seq, StreamInfo, StreamKey};

/// The rows that a step changes, in the order of their names.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Outcome<'s> {
    /// How many streams an account has more, of every account that the step is about.
    pub(super) accounts: BTreeMap<&'s AccountName, i64>,
    /// The streams that the step is about.
    pub(super) streams: BTreeMap<&'s StreamKey, Touched<'s>>,
    /// How many streams the network has more.
    pub(super) created: i64,
}

/// What becomes of a stream.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Touched<'s> {
    /// Its state in the end; `None` if it is gone.
    pub(super) info: Option<&'s StreamInfo>,
    /// Whether it was gone in between: nothing of what the tables hold of it stays.
    pub(super) removed: bool,
    /// What stands at a sequence number in the end.
    pub(super) pushes: BTreeMap<Seq, Option<&'s Pushed>>,
}

impl<'s> Outcome<'s> {
    /// Folds the changes of blocks, in their order.
    pub(super) fn of(blocks: impl IntoIterator<Item = &'s BlockChanges>) -> Self {
        let mut outcome = Self::default();
        for block in blocks {
            for account in &block.new_accounts {
                outcome.accounts.entry(account).or_default();
            }
            block.changes.iter().for_each(|change| outcome.put(change));
        }
        outcome
    }

    fn put(&mut self, change: &'s Change) {
        let created = i64::from(change.before.is_none()) - i64::from(change.after.is_none());
        *self.accounts.entry(&change.key.account).or_default() += created;
        self.created += created;
        let touched = self.streams.entry(&*change.key).or_default();
        touched.info = change.after.as_ref();
        if touched.info.is_none() {
            touched.removed = true;
            touched.pushes.clear();
        } else if let Some(push) = &change.push {
            touched.pushes.insert(push.seq, push.after.as_ref());
        }
    }
}

#[cfg(test)]
mod tests {
    use alive_core::{
        Index, SignedOp, Timestamp,
        backend::{Block, BlockRef},
    };

    use super::*;

    const CHUNK: &str = "QmbFMke1KXqnYyBBWxB74N4c5SBnJMVAiMNRcGu6x1AwQH";
    const OTHER: &str = "QmUMM8mL1p9oHns4s8U5LGQYjnm4sJ1kBd1ajUeddv3VXz";

    fn block(index: &mut Index, payloads: &[String]) -> BlockChanges {
        let at = |num: u64| BlockRef { num, id: num.to_string().parse().unwrap() };
        let last = index.last().cloned().unwrap_or_else(|| at(0));
        let op = |json: &String| Ok(SignedOp::from_parts(&["alice"], json).unwrap());
        let ops = payloads.iter().map(op).collect();
        let time = Timestamp::EPOCH;
        let block = Block { at: at(last.num + 1), previous: last.id, time, ops };
        index.apply_block(&block).unwrap().changes
    }

    fn push(seq: u16, src: &str) -> String {
        format!(r#"{{"op":0,"link":"s","seq":{seq},"src":"{src}"}}"#)
    }

    #[test]
    fn many_changes_of_a_stream_are_one_row_each() {
        let mut index = Index::default();
        let configure = r#"{"op":2,"link":"s"}"#.to_owned();
        let blocks = [
            block(&mut index, &[configure.clone(), push(1, CHUNK), push(1, OTHER)]),
            block(&mut index, &[configure, push(0, CHUNK)]),
        ];
        let outcome = Outcome::of(&blocks);
        let account = "alice".parse().unwrap();
        assert_eq!(outcome.accounts, BTreeMap::from([(&account, 1)]));
        assert_eq!(outcome.created, 1);
        let (_, touched) = outcome.streams.first_key_value().unwrap();
        assert_eq!((outcome.streams.len(), touched.removed), (1, false));
        let stream = index.streams().next().unwrap().1;
        assert_eq!(touched.info, Some(stream.info()));
        let pushes: Vec<_> =
            touched.pushes.iter().map(|(seq, push)| (*seq, push.unwrap())).collect();
        assert_eq!(pushes, stream.pushes().collect::<Vec<_>>());
    }

    #[test]
    fn undoing_a_creation_leaves_nothing() {
        let mut index = Index::default();
        block(&mut index, &[r#"{"op":2,"link":"s"}"#.to_owned(), push(0, CHUNK)]);
        let undone = index.undo_block().unwrap();
        let outcome = Outcome::of([&undone]);
        assert_eq!(outcome.created, -1);
        let (_, touched) = outcome.streams.first_key_value().unwrap();
        assert_eq!(*touched, Touched { info: None, removed: true, pushes: BTreeMap::new() });
    }
}
