//! The streams of a network as a table without any cleverness: every push in a map, everything else looked up anew.
//!
//! It follows `spec/indexer.md`, section 3, and shares no code with [`Stream`](crate::Stream).

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    account::AccountName,
    content::{ContentId, StorageKind},
    gateway::GatewayUrl,
    index::Index,
    op::{Configure, LiveKey, LiveLayer, Op, Push, SignedOp},
    quality::Quality,
    segment::SegmentDuration,
    stream_id::Link,
    time::Timestamp,
    twins::Twins,
};

#[derive(Clone, Debug, Default)]
pub(crate) struct Model {
    rows: BTreeMap<(AccountName, Link), Row>,
    accounts: BTreeSet<AccountName>,
}

#[derive(Clone, Debug, PartialEq)]
struct Row {
    /// How many streams the streamer, and the network, had before.
    earlier: (usize, usize),
    created: Timestamp,
    last_updated: Timestamp,
    streamed: Option<(Timestamp, Timestamp)>,
    ended: bool,
    storage: StorageKind,
    l2: Option<LiveLayer>,
    live_key: Option<LiveKey>,
    gateway: Option<GatewayUrl>,
    also: Twins,
    pushes: BTreeMap<u16, Entry>,
}

type Entry = (ContentId, Option<SegmentDuration>, bool, Vec<(Quality, ContentId)>);

impl Model {
    /// An account signed something that is no operation.
    pub(crate) fn meet(&mut self, account: &AccountName) {
        self.accounts.insert(account.clone());
    }

    /// Whether the operation is accepted.
    pub(crate) fn apply(&mut self, signed: &SignedOp, at: Timestamp) -> bool {
        self.meet(&signed.account);
        let key = (signed.account.clone(), signed.op.link().clone());
        let of_account = self.rows.keys().filter(|(account, _)| *account == signed.account).count();
        let earlier = (of_account, self.rows.len());
        match (&signed.op, self.rows.get_mut(&key)) {
            (Op::Configure(configure), None) => {
                self.rows.insert(key, Row::new(configure, earlier, at));
                true
            }
            (_, None) => false,
            (Op::Configure(configure), Some(row)) => {
                row.l2 = configure.l2.or(row.l2);
                row.live_key = configure.live_key.clone().or(row.live_key.clone());
                row.gateway = configure.gateway.clone().or(row.gateway.clone());
                row.also = configure.also.clone().unwrap_or(row.also.clone());
                row.last_updated = at;
                true
            }
            (Op::End(_), Some(row)) => {
                row.ended = true;
                row.last_updated = at;
                true
            }
            (Op::Push(push), Some(row)) => row.push(push, at),
        }
    }

    /// The index holds the same, and nothing else.
    pub(crate) fn agrees_with(&self, index: &Index) {
        assert_eq!(index.streams().count(), self.rows.len());
        for ((account, link), row) in &self.rows {
            let Some(stream) = index.stream(account, link) else {
                panic!("{account} {link} is missing");
            };
            let (info, settings) = (stream.info(), &stream.info().settings);
            let pushes = stream.pushes().map(|(seq, pushed)| {
                let renditions = pushed.renditions.iter().map(|(quality, id)| (quality, *id));
                (seq.as_u16(), (pushed.src, pushed.len, pushed.discontinuity, renditions.collect()))
            });
            let got = Row {
                earlier: (
                    usize::try_from(info.number).unwrap_or(usize::MAX),
                    usize::try_from(info.id).unwrap_or(0).wrapping_sub(1),
                ),
                created: info.created,
                last_updated: info.last_updated,
                streamed: info.first_streamed.zip(info.last_streamed),
                ended: info.ended,
                storage: settings.storage,
                l2: settings.l2,
                live_key: settings.live_key.clone(),
                gateway: settings.gateway.clone(),
                also: settings.also.clone(),
                pushes: pushes.collect(),
            };
            assert_eq!(got, *row, "{account} {link}");
            assert!(stream.pushes().is_sorted_by_key(|(seq, _)| seq), "pushes come in order");
            assert_eq!(info.finalized.map(crate::Seq::as_u16), row.finalized());
            assert_eq!(info.head.map(crate::Seq::as_u16), row.pushes.keys().last().copied());
        }
        for name in super::Tape::ACCOUNTS {
            let account = name.parse().ok();
            let known = account.as_ref().map(|account| index.knows(account));
            let want = account.as_ref().map(|account| self.accounts.contains(account));
            assert_eq!(known, want, "{name} is known from its first operation on");
        }
    }
}

impl Row {
    fn new(configure: &Configure, earlier: (usize, usize), at: Timestamp) -> Self {
        Self {
            earlier,
            created: at,
            last_updated: at,
            streamed: None,
            ended: false,
            storage: configure.storage,
            l2: configure.l2,
            live_key: configure.live_key.clone(),
            gateway: configure.gateway.clone(),
            also: configure.also.clone().unwrap_or_default(),
            pushes: BTreeMap::new(),
        }
    }

    /// The last number of the run 0, 1, 2 … without a gap.
    fn finalized(&self) -> Option<u16> {
        (0..u16::MAX).take_while(|seq| self.pushes.contains_key(seq)).last()
    }

    fn push(&mut self, push: &Push, at: Timestamp) -> bool {
        let seq = push.seq.as_u16();
        let renditions: Vec<_> = push.renditions.iter().map(|(q, id)| (q, *id)).collect();
        let is_final = self.finalized().is_some_and(|finalized| seq <= finalized);
        let fits = push.src.kind() == self.storage
            && renditions.iter().all(|(_, id)| id.kind() == self.storage);
        if self.ended || is_final || !fits {
            return false;
        }
        self.pushes.insert(seq, (push.src, push.len, push.discontinuity, renditions));
        self.streamed = Some((self.streamed.map_or(at, |(first, _)| first), at));
        true
    }
}
