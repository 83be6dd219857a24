//! Made-up blocks that visit every corner of the protocol, the same in every run.

use cid::Cid;
use data_encoding::BASE64URL_NOPAD;
use multihash::Multihash;

use crate::{
    account::AccountName,
    backend::{Block, BlockId, BlockRef, RefusedOp},
    content::{CODEC_RAW, ContentId, HASH_SHA2_256, StorageKind},
    op::{Configure, End, LiveLayer, Op, Push, Seq, SignedOp},
    quality::{Quality, Renditions},
    segment::SegmentDuration,
    stream_id::Link,
    time::Timestamp,
    twins::Twins,
};

use super::{Dice, ok};

/// Names that a careless store confuses: by case, by quotes, by wildcards, by their length, by not being ASCII.
const ACCOUNTS: [&str; 7] = ["alice", "Alice", "a'; --", "a%/_b", "", "живо\u{1f4fa}", "bob"];
/// Links that differ by case only, or match each other as patterns.
const LINKS: [&str; 5] = ["s", "S", "s_1", "s-1", ""];

/// Makes blocks, one after another or again from an earlier one.
#[derive(Debug)]
pub(super) struct Script {
    dice: Dice,
    made: u64,
}

impl Script {
    pub(super) fn new(seed: u64) -> Self {
        Self { dice: Dice(seed), made: 0 }
    }

    /// A number from 0 to `below` - 1, for what else has to be decided.
    pub(super) fn roll(&mut self, below: u64) -> u64 {
        self.dice.below(below)
    }

    /// Every account that a block may name. The empty text stands for the longest one.
    pub(super) fn accounts() -> impl Iterator<Item = AccountName> {
        let longest = "é".repeat(AccountName::MAX_LEN / "é".len());
        ACCOUNTS.into_iter().map(move |name| {
            let name = if name.is_empty() { &longest } else { name };
            ok(name.parse(), "the suite's own names are names")
        })
    }

    /// Every link that a block may name. The empty text stands for the longest one.
    pub(super) fn links() -> impl Iterator<Item = Link> {
        let longest = "L".repeat(Link::MAX_LEN);
        LINKS.into_iter().map(move |link| {
            let link = if link.is_empty() { &longest } else { link };
            ok(link.parse(), "the suite's own links are links")
        })
    }

    /// A block behind `last`, or the first one, which need not be block 1.
    pub(super) fn block(&mut self, last: Option<&BlockRef>) -> Block {
        self.made += 1;
        let first = || BlockRef { num: 4_294_967_290, id: Self::id(0) };
        let last = last.cloned().unwrap_or_else(first);
        let at = BlockRef { num: last.num + 1, id: Self::id(self.made) };
        let ops = (0..self.dice.below(8)).map(|_| self.op()).collect();
        // Half of a second in, as no real chain does, but the type allows it.
        let ms = i64::try_from(self.made).unwrap_or(0) * 1500;
        Block { at, previous: last.id, time: Timestamp::from_unix_ms(1_700_000_000_000 + ms), ops }
    }

    fn id(number: u64) -> BlockId {
        ok(format!("{number:040x}").parse(), "40 digits are a block id")
    }

    fn op(&mut self) -> Result<SignedOp, RefusedOp> {
        let which = usize::try_from(self.dice.below(7)).unwrap_or(0);
        let account = Self::accounts().nth(which);
        let (Some(account), 1..) = (account.clone(), self.dice.below(12)) else {
            let account = account.filter(|_| self.dice.below(3) > 0);
            let Err(reason) = Op::from_json("{}") else {
                panic!("an empty object is no operation")
            };
            return Err(RefusedOp { account, reason });
        };
        // Mostly the first link, so that some streams grow long.
        let which = self.dice.below(10).saturating_sub(5);
        let Some(link) = Self::links().nth(usize::try_from(which).unwrap_or(0)) else {
            panic!("there are five links")
        };
        let op = match self.dice.below(40) {
            0..6 => Op::Configure(self.configure(link)),
            6 => Op::End(End { link }),
            _ => Op::Push(self.push(link)),
        };
        Ok(SignedOp { account, op })
    }

    fn configure(&mut self, link: Link) -> Configure {
        let mut configure = Configure::new(link);
        if self.dice.below(5) == 0 {
            configure.storage = StorageKind::Skynet;
        }
        configure.l2 = (self.dice.below(2) == 0).then_some(LiveLayer::GunDb);
        let key =
            format!("key-{}.{}_", self.made, "k".repeat(90)).chars().take(100).collect::<String>();
        configure.live_key = (self.dice.below(2) == 0).then(|| ok(key.parse(), "a key"));
        let gateway = format!("https://gw{}.example/it's;--&%27/", self.made);
        configure.gateway = (self.dice.below(2) == 0).then(|| ok(gateway.parse(), "a gateway"));
        let also = format!("avalon/twin.of-{}/show,blurt/x/y", self.made);
        configure.also = match self.dice.below(4) {
            0 => Some(Twins::default()),
            1 | 2 => Some(ok(also.parse(), "names")),
            _ => None,
        };
        configure
    }

    fn push(&mut self, link: Link) -> Push {
        let seq = match self.dice.below(100) {
            0 => Seq::MAX.as_u16().into(),
            1..70 => self.dice.below(6),
            _ => self.dice.below(24),
        };
        let skynet = self.dice.below(6) == 0;
        let mut renditions = Renditions::default();
        if self.dice.below(4) == 0 {
            for quality in Quality::TRANSCODED {
                if self.dice.below(2) == 0 {
                    renditions.insert(quality, self.content(skynet));
                }
            }
        }
        if self.made.is_multiple_of(3) {
            // By dice of their own, so that the blocks are those that the suite is known to find faults with.
            let mut sections = Self::new(self.made + seq);
            for quality in Quality::ALL.into_iter().skip(usize::from(seq.is_multiple_of(2))) {
                renditions.insert_section(quality, sections.content(skynet));
            }
        }
        let micros = match self.dice.below(4) {
            0 => 1,
            1 => SegmentDuration::LIMIT_MICROS - 1,
            _ => 10_033_334,
        };
        let len = ok(SegmentDuration::from_micros(micros), "the length is in range");
        Push {
            link,
            seq: Seq::new(seq).unwrap_or(Seq::ZERO),
            src: self.content(skynet),
            len: (self.dice.below(2) == 0).then_some(len),
            renditions,
            discontinuity: self.dice.below(5) == 0,
        }
    }

    fn content(&mut self, skynet: bool) -> ContentId {
        if skynet {
            let mut raw = self.dice.bytes(34);
            // A Skylink of version 1 that names the first 4 KiB of a sector.
            raw.iter_mut().take(2).for_each(|byte| *byte = 0);
            return ok(BASE64URL_NOPAD.encode(&raw).parse(), "34 bytes are a Skylink");
        }
        let v1 = self.dice.below(2) == 0;
        cid(&mut self.dice, v1)
    }
}

/// An id of content that nobody has, of version 1 or 0.
pub(super) fn cid(dice: &mut Dice, v1: bool) -> ContentId {
    let hash = ok(Multihash::wrap(HASH_SHA2_256, &dice.bytes(32)), "32 bytes fit");
    let cid = if v1 { Ok(Cid::new_v1(CODEC_RAW, hash)) } else { Cid::new_v0(hash) };
    ok(ContentId::from_cid(&ok(cid, "a SHA2-256 makes a CID")), "a CID is a content id")
}
