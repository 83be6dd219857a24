//! A chain that is reorganised a thousand times, and one that never was.

use alive_avalon::devnet::Devnet;
use alive_core::{
    Index,
    backend::{Block, BlockSource, Next},
};

use super::support::{CID, config, server, signed_at, source, step};

/// A generator of numbers that is the same on every run.
struct Dice(u64);

impl Dice {
    fn below(&mut self, end: u64) -> u64 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % end
    }
}

/// Follows a source and undoes what it is told to.
#[derive(Default)]
struct Follower {
    blocks: Vec<Block>,
    index: Index,
    undone: usize,
    irreversible: u64,
}

impl Follower {
    async fn catch_up(&mut self, source: &impl BlockSource) {
        loop {
            let after = self.blocks.last().map(|block| &block.at);
            match source.next(after, 1000).await.unwrap() {
                Next::Forked => {
                    let block = self.blocks.pop().unwrap();
                    assert!(block.at.num > self.irreversible, "an irreversible block was undone");
                    assert_eq!(self.index.undo_block().map(|undone| undone.at), Some(block.at));
                    self.undone += 1;
                }
                Next::Blocks { blocks, irreversible } => {
                    assert!(irreversible >= self.irreversible);
                    self.irreversible = irreversible;
                    if blocks.is_empty() {
                        return;
                    }
                    for block in blocks {
                        self.index.apply_block(&block).unwrap();
                        self.blocks.push(block);
                    }
                }
            }
        }
    }

    /// Everything that can be told of the streams.
    fn state(&self) -> Vec<String> {
        let streams = self.index.streams();
        let mut state: Vec<_> =
            streams.map(|(key, stream)| format!("{key:?} {stream:?}")).collect();
        state.sort();
        state
    }
}

/// Puts something about a stream into the pool; some of it is refused by the chain, some by the rule of streams.
fn something(chain: &mut Devnet, dice: &mut Dice) {
    let link = format!("show-{}", dice.below(300));
    let sender = if dice.below(2) == 0 { "alice" } else { "bob" };
    let (kind, data) = match dice.below(16) {
        0..5 => (
            25,
            format!(r#"{{"link":"{link}","json":{{"live":true,"pub":"k.{}"}}}}"#, dice.below(9)),
        ),
        5 => (25, format!(r#"{{"link":"{link}","json":{{"live":true,"ended":true}}}}"#)),
        6 => (27, format!(r#"{{"link":"{link}","seq":[{}]}}"#, dice.below(5))),
        _ => {
            let length = if dice.below(2) == 0 { ",10.0" } else { "" };
            (26, format!(r#"{{"link":"{link}","seq":[[{},"{CID}{length}"]]}}"#, dice.below(6)))
        }
    };
    let now = chain.head().time_ms();
    let offset = i64::try_from(dice.below(3000)).unwrap();
    let _ = chain.push_transaction(signed_at(now + offset, sender, kind, &data), now);
}

#[tokio::test]
async fn a_thousand_random_reorganisations_end_in_the_state_of_the_straight_chain() {
    let server = server(config()).await;
    let source = source(&server.url());
    let mut follower = Follower::default();
    let mut dice = Dice(7);
    for _ in 0..1000 {
        let depth = 1 + dice.below(5);
        server.with(|chain| {
            for _ in 0..=depth {
                (0..dice.below(3)).for_each(|_| something(chain, &mut dice));
                step(chain);
            }
        });
        follower.catch_up(&source).await;
        let looks_between = dice.below(3) == 0;
        server.with(|chain| chain.pop_blocks(depth, dice.below(2) == 0)).unwrap();
        if looks_between {
            follower.catch_up(&source).await;
        }
        // The other branch is longer by one, or the follower would rightly take the shorter chain for the past.
        server.with(|chain| {
            for _ in 0..=depth {
                (0..dice.below(3)).for_each(|_| something(chain, &mut dice));
                step(chain);
            }
        });
    }
    follower.catch_up(&source).await;
    assert!(follower.undone > 2000, "{} blocks were undone", follower.undone);
    let mut straight = Follower::default();
    straight.catch_up(&source).await;
    assert_eq!(straight.undone, 0);
    assert_eq!(follower.blocks.len(), straight.blocks.len());
    assert!(straight.state().len() > 100, "there were streams");
    assert!(follower.state() == straight.state(), "what was undone left a trace");
}
