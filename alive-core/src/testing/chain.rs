//! The promises of [`BlockSource`] and [`Broadcaster`].

use std::{
    future::{Future, poll_fn},
    pin::pin,
    task::Poll,
};

use futures_util::FutureExt as _;

use crate::{
    account::AccountName,
    backend::{Block, BlockRef, BlockSource, Broadcaster, Next, Receipt},
    index::Index,
    op::{Configure, End, LiveLayer, Op, Push, Seq},
    quality::{Quality, Renditions},
    segment::SegmentDuration,
    stream_id::Link,
};

use super::{Dice, ok, script};

/// Makes blocks of the chain that a [`BlockSource`] reads, for [`block_source`].
pub trait ChainDriver {
    /// Who signs.
    fn account(&self) -> AccountName;

    /// Whether the chain can carry a payload that is JSON but no operation. All that cannot be carried is left out.
    fn carries(&self, _payload: &str) -> bool {
        true
    }

    /// Puts payloads on the chain in this order, all signed by the account, in one block if the chain can. The same
    /// payload may come twice. Makes at least one block, even for no payloads, and returns once the source can see it.
    fn produce(&self, payloads: &[String]) -> impl Future<Output = ()>;

    /// Takes back the last `count` blocks, so that the next ones made are others; `false` if this chain, or what its
    /// source shows of it, never forks.
    fn pop(&self, count: usize) -> impl Future<Output = bool>;

    /// Makes all blocks irreversible, the last one included; `false` if they become so by themselves only.
    fn finalize(&self) -> impl Future<Output = bool>;
}

/// Checks every promise of a [`BlockSource`] on a chain that the driver steps. Nobody else may make blocks meanwhile.
///
/// # Panics
/// The source breaks a promise; the message says which.
pub async fn block_source(source: &impl BlockSource, driver: &impl ChainDriver) {
    assert!(!source.poll_interval().is_zero(), "poll_interval must leave time between two asks");
    let mut follower = Follower::default();
    let mut payloads = payloads();
    payloads.retain(|payload| driver.carries(payload));
    for some in payloads.chunks(3) {
        driver.produce(some).await;
        driver.produce(&[]).await;
        follower.catch_up(source, 1).await;
    }
    follower.has_in_order(&driver.account(), &payloads);
    follower.at_head(source).await;
    follower.same_from_the_start(source).await;
    for (round, depth) in [1, 3, 2, 1].into_iter().enumerate() {
        driver.produce(&[configure(round)]).await;
        driver.produce(&[]).await;
        driver.produce(&[configure(round)]).await;
        follower.catch_up(source, 100).await;
        if driver.pop(depth).await {
            follower.forks(source, driver, depth).await;
        }
    }
    follower.stranger(source).await;
    if driver.finalize().await {
        let head = follower.head().num;
        follower.catch_up(source, 100).await;
        assert!(follower.irreversible >= head, "irreversible must follow the chain's");
    }
    follower.same_from_the_start(source).await;
}

/// Operations of every form and JSON that is none.
fn payloads() -> Vec<String> {
    let content = script::cid(&mut Dice(5), false);
    let push = |seq: u16| format!(r#"{{"op":0,"link":"suite","seq":{seq},"src":"{content}"}}"#);
    let mut payloads = vec![push(0), configure(0), push(0), push(2), push(1), push(1)];
    let none =
        [r#"{"op":9}"#, "{}", "[]", r#"{"op":1,"link":"\u0000"}"#, r#"{"op":0,"link":"suite"}"#];
    payloads.extend(none.map(str::to_owned));
    payloads.push(r#"{"op":2,"link":"suite-2","pub":"a.b","l2":"gundb"}"#.to_owned());
    payloads.push(r#"{"op":1,"link":"suite-2"}"#.to_owned());
    payloads
}

fn configure(round: usize) -> String {
    let link = if round == 0 { "suite".to_owned() } else { format!("suite-fork-{round}") };
    format!(r#"{{"op":2,"link":"{link}"}}"#)
}

/// Follows a source as an indexer does, and watches every answer.
#[derive(Debug, Default)]
struct Follower {
    blocks: Vec<Block>,
    index: Index,
    irreversible: u64,
}

impl Follower {
    fn head(&self) -> &BlockRef {
        let Some(last) = self.blocks.last() else {
            panic!("blocks were made, the source shows none")
        };
        &last.at
    }

    async fn ask(&mut self, source: &impl BlockSource, limit: usize) -> Next {
        let after = self.blocks.last().map(|last| &last.at);
        let next = ok(source.next(after, limit).await, "next must answer");
        let again = ok(source.next(after, limit).await, "next must answer");
        if let (Next::Blocks { blocks, .. }, Next::Blocks { blocks: same, .. }) = (&next, &again) {
            let count = blocks.len().min(same.len());
            let start = |blocks: &[Block]| blocks.iter().take(count).cloned().collect::<Vec<_>>();
            assert_eq!(
                start(blocks),
                start(same),
                "next keeps no position: it must answer the same again"
            );
        }
        next
    }

    /// Reads to the head and gives back how many blocks it had to undo on the way.
    async fn catch_up(&mut self, source: &impl BlockSource, limit: usize) -> usize {
        let mut undone = 0;
        loop {
            match self.ask(source, limit).await {
                Next::Forked => {
                    undone += 1;
                    self.undo();
                }
                Next::Blocks { blocks, irreversible } => {
                    assert!(blocks.len() <= limit, "at most {limit} blocks were asked for");
                    assert!(irreversible >= self.irreversible, "irreversible must not go back");
                    self.irreversible = irreversible;
                    if blocks.is_empty() {
                        return undone;
                    }
                    for block in blocks {
                        self.take(block);
                    }
                }
            }
        }
    }

    fn take(&mut self, block: Block) {
        if let Some(last) = self.blocks.last() {
            assert_eq!(block.at.num, last.at.num + 1, "blocks must come in order, none left out");
            assert_eq!(block.previous, last.at.id, "a block must name the one before it");
            assert_ne!(block.at.id, last.at.id, "each block has its own id");
            assert!(
                block.time >= last.time,
                "the time of a block is not before that of its previous one"
            );
        }
        ok(self.index.apply_block(&block), "a block that follows can be applied");
        self.blocks.push(block);
    }

    fn undo(&mut self) {
        let Some(block) = self.blocks.pop() else {
            panic!("the start of the chain cannot be forked away")
        };
        assert!(block.at.num > self.irreversible, "an irreversible block must not be forked away");
        let undone = self.index.undo_block().map(|undone| undone.at);
        assert_eq!(undone, Some(block.at), "the index undoes the same block");
    }

    fn has_in_order(&self, account: &AccountName, payloads: &[String]) {
        let ops = self.blocks.iter().flat_map(|block| &block.ops);
        let mut got = Vec::new();
        for op in ops {
            match op {
                Ok(signed) if signed.account == *account => got.push(Ok(signed.op.clone())),
                Err(refused) if refused.account.as_ref() == Some(account) => {
                    got.push(Err(refused.reason.clone()));
                }
                _ => {}
            }
        }
        let want: Vec<_> = payloads.iter().map(|payload| Op::from_json(payload)).collect();
        assert!(
            got.ends_with(&want),
            "operations must come in their order, each read or refused:\n got {got:?}\nwant {want:?}"
        );
    }

    async fn at_head(&mut self, source: &impl BlockSource) {
        match self.ask(source, 10).await {
            Next::Blocks { blocks, .. } => assert_eq!(blocks, [], "nothing follows the head"),
            Next::Forked => panic!("the head is part of the chain"),
        }
    }

    /// Whoever starts now sees what this one saw, in pieces of any size.
    async fn same_from_the_start(&self, source: &impl BlockSource) {
        for limit in [2, 1000] {
            let mut fresh = Self::default();
            fresh.catch_up(source, limit).await;
            assert_eq!(fresh.blocks, self.blocks, "a source must tell everybody the same");
            for (key, stream) in self.index.streams() {
                let rebuilt = fresh.index.stream(&key.account, &key.link);
                assert_eq!(rebuilt, Some(stream), "what forks left must be what the chain says");
            }
            assert_eq!(fresh.index.streams().count(), self.index.streams().count());
        }
    }

    /// `depth` blocks were taken back.
    async fn forks(&mut self, source: &impl BlockSource, driver: &impl ChainDriver, depth: usize) {
        assert_eq!(self.ask(source, 10).await, Next::Forked, "a block taken back must be Forked");
        for _ in 0..=depth {
            driver.produce(&[]).await;
        }
        let last = self.ask(source, 10).await;
        assert_eq!(
            last,
            Next::Forked,
            "a replaced block must be Forked, though its number is there"
        );
        let undone = self.catch_up(source, 100).await;
        assert_eq!(undone, depth, "just the blocks taken back must be Forked");
        self.at_head(source).await;
    }

    /// A block that never was.
    async fn stranger(&self, source: &impl BlockSource) {
        let Some([before, last]) = self.blocks.last_chunk() else { return };
        let never = BlockRef { num: before.at.num, id: last.at.id.clone() };
        let next = ok(source.next(Some(&never), 10).await, "next must answer");
        assert_eq!(next, Next::Forked, "a block is told by number and id, not by its number alone");
    }
}

/// Checks every promise of a [`Broadcaster`] with a stream of this link, which must not exist, and reads back what it did
/// from a source of the same chain.
///
/// `wait` is called again and again while a broadcast, or the source, waits for a block: make one there, or sleep a
/// little.
///
/// # Panics
/// The broadcaster breaks a promise; the message says which.
pub async fn broadcaster(
    broadcaster: &impl Broadcaster,
    source: &impl BlockSource,
    link: &Link,
    wait: impl AsyncFn(),
) {
    assert_eq!(broadcaster.network(), source.network(), "both must be of one chain");
    let mut follower = Follower::default();
    follower.catch_up(source, 1000).await;
    let before = follower.blocks.len();
    let ops = ops(link);
    let mut receipts: Vec<Receipt> = Vec::new();
    for op in &ops {
        let receipt = until_done(broadcaster.broadcast(op), &wait).await;
        receipts.push(ok(receipt, "broadcast must put an operation on the chain"));
    }
    let given_up = Op::End(End { link: link.clone() });
    drop(broadcaster.broadcast(&given_up).now_or_never());
    let receipt = until_done(broadcaster.broadcast(&given_up), &wait).await;
    let last = ok(receipt, "a broadcast that was given up can be sent again");
    while follower.blocks.last().is_none_or(|head| head.at.num < last.block) {
        wait().await;
        yield_now().await;
        follower.catch_up(source, 1000).await;
    }
    let blocks = follower.blocks.get(before..).unwrap_or_default();
    read_back(broadcaster.account(), blocks, ops.iter().zip(&receipts));
    read_back(broadcaster.account(), blocks, [(&given_up, &last)]);
    stream_is_there(broadcaster.account(), link, &follower.index);
}

/// Each operation is in the block of its receipt, under the right name.
fn read_back<'a>(
    account: &AccountName,
    blocks: &[Block],
    sent: impl IntoIterator<Item = (&'a Op, &'a Receipt)>,
) {
    let mut at = 0;
    for (op, receipt) in sent {
        assert!(!receipt.transaction.is_empty(), "a receipt must name the transaction");
        assert!(receipt.block >= at, "what was sent later must not be in an earlier block");
        at = receipt.block;
        let Some(block) = blocks.iter().find(|block| block.at.num == at) else {
            panic!("the block of receipt {receipt:?} must be one made since the broadcast");
        };
        let mut signed = block.ops.iter().filter_map(|op| op.as_ref().ok());
        assert!(
            signed.any(|signed| signed.account == *account && signed.op == *op),
            "block {at} must hold {op:?} of {account}"
        );
    }
}

/// Every operation had its effect once, those sent twice, too.
fn stream_is_there(account: &AccountName, link: &Link, index: &Index) {
    let Some(stream) = index.stream(account, link) else { panic!("the stream must be there") };
    assert!(stream.info().ended, "the stream must have ended");
    assert_eq!(stream.info().finalized, Seq::new(1), "each push counts once");
    assert_eq!(stream.pushes().count(), 2, "each push counts once");
}

/// Each kind of operation, with every field, and one push sent twice.
fn ops(link: &Link) -> Vec<Op> {
    let mut dice = Dice(6);
    let mut configure = Configure::new(link.clone());
    configure.l2 = Some(LiveLayer::GunDb);
    configure.live_key = Some(ok("key.of-a_streamer".parse(), "a key"));
    configure.gateway = Some(ok("https://gateway.example/it's".parse(), "a gateway"));
    configure.also = Some(ok("elsewhere/al.ice/show".parse(), "a name"));
    let mut renditions = Renditions::default();
    for quality in Quality::TRANSCODED {
        renditions.insert(quality, script::cid(&mut dice, false));
    }
    let segment = Push {
        link: link.clone(),
        seq: Seq::ZERO,
        src: script::cid(&mut dice, false),
        len: Some(ok(SegmentDuration::from_micros(10_033_334), "the length is in range")),
        renditions,
        discontinuity: true,
    };
    let chunk = Push {
        link: link.clone(),
        seq: Seq::new(1).unwrap_or(Seq::ZERO),
        src: script::cid(&mut dice, false),
        len: None,
        renditions: Renditions::default(),
        discontinuity: false,
    };
    let segment = Op::Push(segment);
    vec![Op::Configure(configure), segment.clone(), segment, Op::Push(chunk)]
}

/// Awaits `work` and calls `wait` while it is not done.
async fn until_done<F: Future>(work: F, wait: &impl AsyncFn()) -> F::Output {
    let mut work = pin!(work);
    loop {
        if let Poll::Ready(done) = poll_fn(|cx| Poll::Ready(work.as_mut().poll(cx))).await {
            return done;
        }
        wait().await;
        yield_now().await;
    }
}

/// Lets the runtime do something else once.
async fn yield_now() {
    let mut yielded = false;
    poll_fn(|cx| {
        if yielded {
            return Poll::Ready(());
        }
        yielded = true;
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}
