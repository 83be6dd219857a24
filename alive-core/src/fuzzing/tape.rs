//! Bytes read as operations and blocks, so that a fuzzer or a property can steer them.

use cid::Cid;
use data_encoding::BASE64URL_NOPAD;
use multihash::Multihash;

use crate::{
    backend::{Block, BlockId, BlockRef, RefusedOp},
    content::{CODEC_RAW, ContentId, HASH_SHA2_256, StorageKind},
    op::{Configure, End, LiveLayer, Op, OpError, Push, Seq, SignedOp},
    quality::{Quality, Renditions},
    segment::SegmentDuration,
    time::Timestamp,
};

/// Bytes that are used up by what is made of them.
#[derive(Debug)]
pub(crate) struct Tape<'a> {
    left: std::slice::Iter<'a, u8>,
    /// Counts blocks, so that each has its own id.
    blocks: u64,
}

#[expect(clippy::expect_used, reason = "the texts are written here and tested")]
impl<'a> Tape<'a> {
    /// Every account that is named.
    pub(crate) const ACCOUNTS: [&'static str; 3] = ["alice", "bob", "Bob"];

    pub(crate) fn new(data: &'a [u8]) -> Self {
        Self { left: data.iter(), blocks: 0 }
    }

    pub(crate) fn byte(&mut self) -> Option<u8> {
        self.left.next().copied()
    }

    /// A number from 0 to `below` - 1; 0 when there is nothing left.
    fn below(&mut self, below: u8) -> u8 {
        self.byte().unwrap_or(0) % below
    }

    /// A block behind `last` of up to five operations, some of them refused already by their reader.
    pub(crate) fn block(&mut self, last: Option<&BlockRef>) -> Block {
        let id = |n: u64| -> BlockId { format!("{n:040x}").parse().expect("40 digits") };
        let last = last.cloned().unwrap_or_else(|| BlockRef { num: 99, id: id(0) });
        self.blocks += 1;
        let at = BlockRef { num: last.num + 1, id: id(self.blocks) };
        let ops = (0..self.below(6)).map(|_| self.read_op()).collect();
        let time = Timestamp::from_unix_secs(u32::from(self.below(u8::MAX)) * 3);
        Block { at, previous: last.id, time, ops }
    }

    fn read_op(&mut self) -> Result<SignedOp, RefusedOp> {
        let signed = self.op();
        match self.below(12) {
            0 => Err(RefusedOp {
                account: (self.below(2) == 0).then_some(signed.account),
                reason: OpError::Authorities(2),
            }),
            _ => Ok(signed),
        }
    }

    /// An operation of one of three accounts about one of three links.
    pub(crate) fn op(&mut self) -> SignedOp {
        let account = Self::ACCOUNTS.get(usize::from(self.below(3))).unwrap_or(&"alice");
        let account = account.parse().expect("a name");
        let link = ["s", "S", "-"].get(usize::from(self.below(8))).unwrap_or(&"s");
        let link = link.parse().expect("a link");
        let op = match self.below(16) {
            0..3 => Op::Configure(Configure {
                storage: if self.below(8) == 0 { StorageKind::Skynet } else { StorageKind::Ipfs },
                l2: (self.below(2) == 0).then_some(LiveLayer::GunDb),
                live_key: self.maybe("key").map(|key| key.parse().expect("a key")),
                gateway: self.maybe("http://g").map(|url| url.parse().expect("an address")),
                also: self.maybe("n/a/").map(|name| name.parse().expect("a name")),
                link,
            }),
            3 => Op::End(End { link }),
            _ => Op::Push(self.push(link)),
        };
        SignedOp { account, op }
    }

    fn maybe(&mut self, start: &str) -> Option<String> {
        let number = self.below(8);
        (number < 4).then(|| format!("{start}{number}"))
    }

    fn push(&mut self, link: crate::Link) -> Push {
        let seq = match self.below(32) {
            31 => Seq::MAX,
            30 => Seq::new(u64::from(Seq::MAX.as_u16()) - 1).expect("in range"),
            // Small numbers twice as often: runs have to start.
            n => Seq::new(u64::from(n % 12)).expect("in range"),
        };
        let mut renditions = Renditions::default();
        if self.below(4) == 0 {
            let quality = Quality::TRANSCODED.get(usize::from(self.below(4)));
            renditions.insert(*quality.expect("one of four"), self.content());
        }
        let len = match self.below(4) {
            0 => SegmentDuration::from_micros(1).ok(),
            1 => SegmentDuration::from_micros(SegmentDuration::LIMIT_MICROS - 1).ok(),
            _ => None,
        };
        let discontinuity = self.below(4) == 0;
        let src = self.content();
        if discontinuity && self.below(2) == 0 {
            let quality = *Quality::ALL.get(usize::from(self.below(5))).expect("one of five");
            let section = self.content();
            if section.kind() == src.kind() {
                renditions.insert_section(quality, section);
            }
        }
        Push { link, seq, src, len, renditions, discontinuity }
    }

    /// A CID, seldom a Skylink.
    fn content(&mut self) -> ContentId {
        let (kind, fill) = (self.below(8), self.below(u8::MAX));
        if kind == 0 {
            let mut raw = [fill; 34];
            // Version 1, the first 4 KiB.
            (raw[0], raw[1]) = (0, 0);
            return BASE64URL_NOPAD.encode(&raw).parse().expect("a Skylink");
        }
        let hash = Multihash::wrap(HASH_SHA2_256, &[fill; 32]).expect("32 bytes");
        ContentId::from_cid(&Cid::new_v1(CODEC_RAW, hash)).expect("a CID")
    }
}
